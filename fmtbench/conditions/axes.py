"""The axes of the factorial design: their levels, their defaults, and which levels contradict each other.

This is the only list of them: `condition.py` says what a point on these axes asks, allows and reads, and the analysis
places conditions on the same axes with the same defaults.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, model_validator
from pydantic.dataclasses import dataclass
from pydantic_core import PydanticCustomError

from fmtbench.answers.arranging import Arrangement
from fmtbench.decoding.whitespace import Whitespace
from fmtbench.formats import FORMATS
from fmtbench.formats.base import Layout, Order
from fmtbench.formats.calls import CALLS
from fmtbench.formats.rendering import Rendering
from fmtbench.formats.steps import Rationale

REFERENCE = "free_cot"
"""The condition that others are compared with, unless another is asked for."""
HELD_TO_JSON = ("prose", "text")
"""What may be asked for besides JSON when JSON's schema is enforced: its fields in prose, or nothing."""
FROM_THE_FIRST = ("whole", "reconsider")
"""Levels of `when` at which the format holds from the first token of the first pass."""


def known_format(name: str) -> str:
    if name not in FORMATS:
        known = [f"'{one}'" for one in FORMATS]
        allowed = f"{', '.join(known[:-1])} or {known[-1]}"
        raise PydanticCustomError("unknown_format", "Input should be {allowed}", {"allowed": allowed})
    return name


def known_calls(name: str | None) -> str | None:
    if name is not None and name not in CALLS:
        raise PydanticCustomError("unknown_calls", "Input should be one of {allowed}", {"allowed": ", ".join(CALLS)})
    return name


def worded(level: Any) -> Any:
    """YAML reads an `off` without quotes as false."""
    return "off" if level is False else level


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class Axes:
    """A point of the design, each field an axis with its levels. Raises `ValueError` for levels that contradict each other."""

    reasoning: Literal["none", "free", "budget", "staged", "draft"] = "free"
    """Answer at once, reason freely, in at most `words` words, in the `stages` in order, or in steps of five words."""
    asked: Annotated[str, AfterValidator(known_format)] = "text"
    """The format that the prompt demands, by its name; `prose` asks for the fields of the formats without a format."""
    enforced: Literal["no", "object", "schema", "sham", "one_line"] = "no"
    """What the decoder allows: everything, any JSON object, the JSON schema, everything but through the masking machinery, or
    everything except line breaks."""
    when: Literal["whole", "answer", "second_pass", "reconsider"] = "whole"
    """The format holds from the first token, after the `trigger`, or in a second pass that converts a free reply. `reconsider`
    is `whole` with a second pass that shows the model its reply and asks for a new answer in prose."""
    order: Order = "reasoning_first"
    words: int | None = Field(default=None, gt=0)
    """Word budget of the rationale, for `reasoning: budget`."""
    budget: Literal["soft", "hard"] = "soft"
    """Whether the word budget is only asked for, or also counted by the decoder."""
    stages: tuple[str, ...] = ("phenomenon", "observation", "conclusion")
    """Names of the parts, for `reasoning: staged`."""
    rationale: Rationale = "string"
    """How a JSON object holds its rationale: in one string, in a list of strings, or in a string for which the form in the
    prompt shows a line break, as prose may as well. `paragraph` is for text, and discourages line breaks in words."""
    reasoning_field: str = "reasoning"
    answer_field: str = "answer"
    schema_shown: bool = True
    """Whether the prompt shows the names and types of the JSON object's fields."""
    trigger: str = Field(default="Final answer:", min_length=1)
    """What ends the free part, for `when: answer`."""
    rendering: Rendering = "form"
    """How the prompt shows the shape of a JSON object: as a form with placeholders, as JSON Schema, or as a TypeScript type."""
    descriptions: Literal["prompt", "schema", "nowhere"] = "prompt"
    """Where a record's fields are described: in the prompt's own words, in the rendering of the schema, or nowhere."""
    optional_fields: Literal["as_given", "required", "nullable"] = "as_given"
    """Whether a record's optional fields must be there; `nullable`: fields that may be null may be missing, too."""
    nulls: Literal["as_given", "allowed", "forbidden"] = "as_given"
    """Whether a record's optional fields may be null."""
    field_order: Literal["as_given", "sorted", "reversed"] = "as_given"
    last_fields: tuple[str, ...] = ()
    """Fields of a record that come after all others, for instance because they depend on them."""
    enums: Literal["as_given", "open"] = "as_given"
    """Whether a field is limited to the values that its schema lists, or these are only named in the prompt."""
    whitespace: Whitespace = "one_space"
    """White space between the tokens of a JSON object, both in the prompt and in what the decoder allows."""
    calls: Annotated[str | None, AfterValidator(known_calls)] = None
    """The syntax of calls that an enforced `asked: tool` is held to; None means the backbone's own, which a run looks up."""
    shots: int = Field(default=0, ge=0)
    """Worked examples before the question."""
    thinking: Annotated[Literal["off", "free", "budget", "masked"], BeforeValidator(worded)] = "off"
    """Whether a model that can think does so before it replies: not at all, as long as it likes, or for at most
    `thinking_tokens`, and what is enforced holds from the end of the thought on. `masked` switches thinking on and enforces from
    the first token, which forbids the thought, as an engine does that cannot tell where a thought ends."""
    thinking_tokens: int | None = Field(default=None, gt=0)
    """The tokens after which the thought is ended by force, for `thinking: budget`."""
    remedy: Literal["none", "retry", "first_valid"] = "none"
    """What follows a reply that breaks its contract, up to `tries` in all: `retry` shows it to the model with the validator's
    error, `first_valid` draws the first request anew. Whether a reply is right plays no part."""
    tries: int = Field(default=1, gt=0, le=100)
    """The most replies to a question, for `remedy`."""
    formatter: Literal["same", "other"] = "same"
    """Which backbone makes the second pass: the one that made the first, or another, the run's `formatter`."""

    @model_validator(mode="after")
    def _consistent(self) -> Axes:
        if problem := contradiction(self):
            raise ValueError(problem)
        return self

    @property
    def layout(self) -> Layout:
        stages = {"none": (), "staged": self.stages}.get(self.reasoning, (self.reasoning_field,))
        return Layout(
            stages=stages,
            answer=self.answer_field,
            order=self.order,
            rationale=self.rationale,
            shown=self.schema_shown,
            rendering=self.rendering,
            described=self.descriptions == "schema",
            arrangement=self.arrangement,
            whitespace=self.whitespace,
            calls=self.calls,
        )

    @property
    def arrangement(self) -> Arrangement:
        """What a condition changes in the schema of a record."""
        return Arrangement(
            optional=self.optional_fields,
            nulls=self.nulls,
            order=self.field_order,
            last=self.last_fields,
            enums=self.enums,
        )


DEFAULTS: dict[str, Any] = {name: axis.default for name, axis in Axes.__pydantic_fields__.items()}  # type: ignore[attr-defined]
"""The level of each axis that a condition does not name."""


def contradiction(axes: Axes) -> str | None:
    """The first reason why these levels cannot go together, or None."""
    return next(_reasons(axes), None)


def _reasons(c: Axes) -> Iterator[str]:
    if (c.reasoning == "none") != (c.order == "answer_only"):
        yield (
            f"reasoning={c.reasoning} contradicts order={c.order}: reasoning=none goes with order=answer_only, and only with it"
        )
    if (c.reasoning == "budget") != (c.words is not None):
        yield f"reasoning={c.reasoning} contradicts words={c.words}: reasoning=budget needs words, others have none"
    if len(set(c.layout.fields)) < len(c.layout.fields):
        yield f"the fields {list(c.layout.fields)} are not all different: rename one of them"
    yield from _of_when(c)
    yield from _of_formats(c)
    yield from _of_rationale(c)
    yield from _of_one_line(c)
    yield from _of_records(c)
    yield from _of_budget(c)
    yield from _of_thinking(c)
    yield from _of_remedies(c)
    if c.shots and c.reasoning not in ("none", "free", "draft"):
        yield f"shots={c.shots} contradicts reasoning={c.reasoning}: a worked example has a rationale of free length, and a draft"


def _of_when(c: Axes) -> Iterator[str]:
    if c.when in FROM_THE_FIRST:
        return
    if c.order != "reasoning_first":
        yield f"when={c.when} contradicts order={c.order}: free thought comes before the answer"
    if c.when == "answer" and c.asked != "json":
        yield f"when=answer contradicts asked={c.asked}: the answer after the trigger is JSON, so set asked=json"
    if c.when == "second_pass" and c.asked == "text":
        yield "when=second_pass contradicts asked=text: the first pass is text already; ask for the format to convert to"
    if c.when == "second_pass" and c.enforced == "sham":
        yield "when=second_pass contradicts enforced=sham: test the machinery on the first pass, with when=whole"


def _of_formats(c: Axes) -> Iterator[str]:
    if c.enforced == "object" and c.asked not in ("text", "json"):
        yield f"enforced=object contradicts asked={c.asked}: any object is one of JSON, so ask for json"
    if c.enforced == "schema" and c.asked not in HELD_TO_JSON and not FORMATS[c.asked].enforceable:
        known = ", ".join(name for name, one in FORMATS.items() if one.enforceable)
        yield (
            f"enforced=schema contradicts asked={c.asked}: there is no grammar of {c.asked}; ask for {known}, or for "
            f"{' or '.join(HELD_TO_JSON)}, which are held to JSON"
        )
    if c.calls is not None and (c.asked, c.enforced) != ("tool", "schema"):
        yield (
            f"calls={c.calls} contradicts asked={c.asked}, enforced={c.enforced}: it is the syntax of enforced calls, so set "
            "asked=tool and enforced=schema"
        )
    if c.enforced == "object" and c.asked == "text":
        yield "enforced=object contradicts asked=text: nothing would name the keys; set asked=json, or enforced=schema"
    if not c.schema_shown and (c.asked != "json" or c.enforced != "schema"):
        yield (
            f"schema_shown=false contradicts asked={c.asked}, enforced={c.enforced}: "
            "only where JSON is asked for and its schema enforced can the prompt leave the fields out"
        )


def _of_rationale(c: Axes) -> Iterator[str]:
    asked = f"rationale={c.rationale} contradicts asked={c.asked}"
    if c.rationale == "string":
        return
    if c.reasoning == "none":
        yield f"rationale={c.rationale} contradicts reasoning=none: there is no rationale to lay out"
    if c.rationale != "paragraph" and c.when == "answer":
        yield f"rationale={c.rationale} contradicts when=answer: the rationale before the trigger is plain text"
    if c.rationale == "list":
        if c.asked not in ("json", "tool") and (c.asked, c.enforced) != ("text", "schema"):
            yield f"{asked}, enforced={c.enforced}: a list of strings is JSON's; set asked=json or enforced=schema"
        if c.budget == "hard":
            yield "rationale=list contradicts budget=hard: the decoder counts the words of one string; set budget=soft"
    if c.rationale == "lines" and (c.asked not in ("json", "prose") or c.rendering != "form" or not c.schema_shown):
        yield (
            f"{asked}, rendering={c.rendering}, schema_shown={str(c.schema_shown).lower()}: the line break stands in the form "
            "that the prompt shows, which JSON and prose have; set asked=json or asked=prose, with the form shown"
        )
    if c.rationale == "paragraph" and (c.asked != "text" or c.enforced == "schema" or c.reasoning == "staged"):
        yield (
            f"{asked}, enforced={c.enforced}, reasoning={c.reasoning}: one paragraph is asked of text, whose stages stand on "
            "lines of their own; set asked=text without a schema or stages"
        )


def _of_one_line(c: Axes) -> Iterator[str]:
    if c.enforced != "one_line":
        return
    if c.asked not in ("text", "prose"):
        yield f"enforced=one_line contradicts asked={c.asked}: one line of text is no {c.asked}; set asked=text or asked=prose"
    if c.rationale == "lines":
        yield "enforced=one_line contradicts rationale=lines: the decoder forbids the line break that the prompt shows"
    if c.asked == "text" and c.reasoning == "staged":
        yield "enforced=one_line contradicts reasoning=staged: in text each stage stands on a line of its own; set asked=prose"


def _of_records(c: Axes) -> Iterator[str]:
    if c.rendering != "form" and (c.asked != "json" or not c.schema_shown):
        yield (
            f"rendering={c.rendering} contradicts asked={c.asked}, schema_shown={str(c.schema_shown).lower()}: "
            "what is rendered is the schema of a JSON object that is asked for and shown"
        )
    if c.descriptions == "schema" and c.rendering == "form":
        yield "descriptions=schema contradicts rendering=form: a form has no room for them; set rendering=json_schema"
    of_json = c.asked == "json" or (c.asked == "text" and c.enforced == "schema")
    if c.whitespace != "one_space" and (not of_json or (c.whitespace == "free" and c.enforced != "schema")):
        yield (
            f"whitespace={c.whitespace} contradicts asked={c.asked}, enforced={c.enforced}: it is that of JSON, enforced "
            "(enforced=schema), or shown in one way of writing (asked=json)"
        )
    if c.whitespace != "one_space" and c.enforced == "object":
        yield f"whitespace={c.whitespace} contradicts enforced=object: JSON mode has one white space; set enforced=schema"


def _of_budget(c: Axes) -> Iterator[str]:
    if c.budget == "soft":
        return
    if c.reasoning != "budget":
        yield f"budget=hard contradicts reasoning={c.reasoning}: only reasoning=budget has words to count"
    if c.when not in FROM_THE_FIRST or c.order != "reasoning_first":
        yield f"budget=hard contradicts when={c.when}, order={c.order}: words are counted from the start up to the answer"
    if (c.asked, c.enforced) not in (("text", "no"), ("text", "schema"), ("json", "schema")):
        yield (
            f"budget=hard contradicts asked={c.asked}, enforced={c.enforced}: "
            "words are counted in free text (asked=text, enforced=no) or in enforced JSON (enforced=schema)"
        )


def _of_thinking(c: Axes) -> Iterator[str]:
    if (c.thinking == "budget") != (c.thinking_tokens is not None):
        yield (
            f"thinking={c.thinking} contradicts thinking_tokens={c.thinking_tokens}: thinking=budget needs thinking_tokens, "
            "others have none"
        )
    if c.thinking == "masked" and c.enforced not in ("object", "schema"):
        yield f"thinking=masked contradicts enforced={c.enforced}: only a mask forbids the thought; set enforced=schema or object"
    if c.thinking == "masked" and c.when not in FROM_THE_FIRST:
        yield f"thinking=masked contradicts when={c.when}: the mask that forbids the thought holds from the first token"


def _of_remedies(c: Axes) -> Iterator[str]:
    if (c.remedy == "none") != (c.tries == 1):
        yield f"remedy={c.remedy} contradicts tries={c.tries}: a remedy needs two tries or more, and without one there is one"
    if c.remedy != "none" and c.when in ("second_pass", "reconsider"):
        yield f"remedy={c.remedy} contradicts when={c.when}: tries are of one reply; set when=whole or when=answer"
    if c.formatter == "other" and c.when != "second_pass":
        yield f"formatter=other contradicts when={c.when}: another backbone writes the second pass; set when=second_pass"
