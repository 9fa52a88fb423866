"""A condition: one point in the factorial design of what is asked, what is allowed, and how the reply is read.

Two conditions that differ on one axis make a clean contrast. The paper's names are presets in `conf/condition/`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal, NamedTuple

from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

from fmtbench.answers import AnswerKind, Record
from fmtbench.conditions.allowed import budgeted_object, budgeted_text, free_object, object_of_fields, one_line
from fmtbench.conditions.axes import HELD_TO_JSON, Axes
from fmtbench.conditions.delayed import DelayedFormat
from fmtbench.conditions.prompt import Prompt
from fmtbench.decoding.grammar import ANYTHING
from fmtbench.errors import UnaskableError
from fmtbench.formats import FORMATS
from fmtbench.formats.base import Format, Layout
from fmtbench.formats.json import JsonFormat
from fmtbench.formats.parts import PartName, around, fill, stripped
from fmtbench.readers.failure import name_failure
from fmtbench.readers.reply import reply_place
from fmtbench.types import Constraint, Extraction, Generation, Item, Message, Shot

JSON = JsonFormat()
"""The levels of `enforced` under which no format is asked for."""
FREELY: dict[str, Any] = {
    "asked": "text",
    "enforced": "no",
    "when": "whole",
    "rationale": "string",
    "schema_shown": True,
    "rendering": "form",
    "whitespace": "one_space",
    "calls": None,
    "formatter": "same",
}
"""The levels of a pass without a format."""
REASONED: dict[str, Any] = {
    "reasoning": "free",
    "words": None,
    "budget": "soft",
    "order": "reasoning_first",
    "thinking": "off",
    "thinking_tokens": None,
    "shots": 0,
}
"""The levels of a reply that reasons freely before its answer, whatever came before it."""


class Parts(NamedTuple):
    """A prompt in its parts; only `contract` may differ between conditions that share a reasoning level."""

    role: str
    task: str
    hint: str
    reasoning: str
    contract: str
    question: str


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class Condition(Axes):
    """A point on the axes, and what it asks, allows and reads."""

    @property
    def opening(self) -> Condition:
        """The condition of the first pass: this one, or free text if a second pass makes the format."""
        if self.when == "reconsider":
            return replace(self, when="whole")
        return replace(self, **FREELY, descriptions=self._worded) if self.when == "second_pass" else self

    @property
    def closing(self) -> Condition:
        """The condition of the last pass: itself, or free chain of thought where a first reply is reconsidered. What that one
        was held to is no part of it, so all are reconsidered in the same words."""
        return replace(self, **FREELY, **REASONED, descriptions=self._worded) if self.when == "reconsider" else self

    @property
    def _worded(self) -> Literal["prompt", "schema", "nowhere"]:
        """Where a first pass in free text describes fields: it knows nothing that only the schema says."""
        return "nowhere" if self.descriptions == "schema" else self.descriptions

    @property
    def rewrites(self) -> bool:
        """Whether a second pass rewrites the first one's reply, and says what that said."""
        return self.when in ("second_pass", "reconsider")

    @property
    def passes(self) -> int:
        """The most requests per item: two passes, or the number of tries."""
        return 2 if self.rewrites else self.tries

    @property
    def writes_a_format(self) -> bool:
        """Whether a program can read the last reply: it is asked for in a format, or held to a schema."""
        last = self.closing
        return last.asked not in ("text", "prose") or last.enforced == "schema"

    # -- ask

    @property
    def asking(self) -> Format | DelayedFormat:
        """The contract that the prompt states."""
        return DelayedFormat(trigger=self.trigger, inner=JSON) if self.when == "answer" else FORMATS[self.asked]

    def parts(self, item: Item, kind: AnswerKind, prompt: Prompt) -> Parts:
        """The parts of the first pass's prompt."""
        return Parts(
            role=prompt.role,
            task=prompt.task,
            question=item.question,
            hint=kind.hint(),
            reasoning=prompt.instruction(self.reasoning, self.words, self.stages),
            contract=prompt.wrapped(self.opening.contract(kind)),
        )

    def contract(self, kind: AnswerKind) -> str:
        """What is demanded of the reply, for a record with its fields' meanings. All that the condition changes is in here."""
        asked = self.asking.ask(self.layout, self.layout.arranged(kind))
        meaning = kind.descriptions() if isinstance(kind, Record) and self.descriptions == "prompt" else ""
        return f"{meaning} {asked}" if meaning else asked

    def render(self, item: Item, kind: AnswerKind, prompt: Prompt, shots: Sequence[Shot] = ()) -> tuple[Message, ...]:
        """What the model is shown first: user turns alone, because some chat templates have no system turn, unless the prompt has
        messages of its own. Raises `UnaskableError` where these meet worked examples.

        The question comes last: small models otherwise answer the instructions (measured on the embedded model). Worked
        examples are turns of their own, so that no word but theirs is added.
        """
        parts = self.parts(item, kind, prompt)
        if prompt.messages:
            if shots:
                raise UnaskableError(f"shots={len(shots)}: a prompt with messages of its own has its examples among them")
            return prompt.chat(parts._asdict())
        instructions = " ".join(filter(None, (parts.role, parts.task, parts.hint, parts.reasoning, parts.contract)))
        replies = [self.opening.example(kind, self.worked(shot), shot.answer) for shot in shots]
        questions = [*(shot.question for shot in shots), parts.question]
        asked = [f"{instructions}\n\n{questions[0]}", *questions[1:]]
        turns = [Message(role="user", content=asked[0])]
        for reply, question in zip(replies, asked[1:]):
            turns += [Message(role="assistant", content=reply), Message(role="user", content=question)]
        return tuple(turns)

    def worked(self, shot: Shot) -> str:
        """The rationale of a worked example, at the length that this condition asks for."""
        return shot.draft if self.reasoning == "draft" else shot.reasoning

    def follow(self, asked: tuple[Message, ...], reply: str, kind: AnswerKind, prompt: Prompt) -> tuple[Message, ...]:
        """What the model is shown in the second pass: the first one, its own reply, and the demand to convert or rethink it."""
        last, demand = self.closing, prompt.reconsider if self.when == "reconsider" else prompt.convert
        again = f"{demand} {prompt.wrapped(last.asking.ask(last.layout, last.layout.arranged(kind)))}"
        return (*asked, Message(role="assistant", content=reply), Message(role="user", content=again))

    # -- allow

    def constraint(self, kind: AnswerKind) -> Constraint | None:
        """What the decoder allows in the last pass; for the first, ask `opening`."""
        if self.when == "reconsider":
            return self.closing.constraint(kind)
        if self.enforced in ("sham", "one_line"):
            return ANYTHING if self.enforced == "sham" else one_line(kind)
        kind = self.layout.arranged(kind)
        if self.budget == "hard" and self.words:
            return budgeted_object(self.layout, kind, self.words) if self.enforced == "schema" else budgeted_text(self.words)
        if self.enforced == "no":
            return None
        layout = replace(self.layout, stages=(), order="answer_only") if self.when == "answer" else self.layout
        inner = free_object(kind) if self.enforced == "object" else object_of_fields(layout, kind)
        if self.when == "answer":
            return DelayedFormat(trigger=self.trigger, inner=JSON).constraint(inner)
        return inner if self.enforced == "object" else self._held.grammar(layout, kind, inner)

    def check_last(self, kind: AnswerKind) -> None:
        """Raises `UnaskableError` for answers that the last pass cannot ask for, or hold."""
        self.closing.contract(kind)
        self.constraint(kind)

    # -- read

    @property
    def produced(self) -> Format | DelayedFormat:
        """The format that comes out in the end: an enforced schema wins over what was asked."""
        last = self.closing
        return last._held if last.enforced == "schema" and last.when != "answer" else last.asking

    @property
    def _held(self) -> Format:
        """The format that an enforced schema describes: JSON, where text or prose is asked for."""
        return JSON if self.asked in HELD_TO_JSON else FORMATS[self.asked]

    @property
    def returned(self) -> Layout:
        """Its layout: what the decoder keeps on one line is one paragraph, whatever was asked."""
        last = self.closing
        return replace(last.layout, rationale="paragraph") if last.enforced == "one_line" else last.layout

    def read(self, generation: Generation, kind: AnswerKind) -> Extraction:
        """Locate the answer by the contract, and name the status; the answer kind normalises and judges."""
        layout = self.returned
        kind = layout.arranged(kind)
        start, end = reply_place(generation.text, kind)
        found = self.produced.read(generation.text[start:end], layout, kind).moved(start)
        status = name_failure(found, generation, kind)
        if status == "ok":
            return found
        return Extraction(status=status, reasoning=found.reasoning)

    def divide(self, text: str, kind: AnswerKind) -> list[PartName]:
        """The part of each character of a reply of the last pass, cut or not. Thinking before the reply is rationale; what
        follows it, such as a question that the model makes up, is scaffold."""
        start, end = reply_place(text, kind)
        parts = around(text)
        fill(parts, [stripped(text, 0, start)], "reasoning")
        parts[start:end] = self.produced.divide(text[start:end], self.returned, kind)
        return parts

    def example(self, kind: AnswerKind, reasoning: str, answer: str) -> str:
        """A reply of the last pass that keeps this condition's contract."""
        layout = self.returned
        return self.produced.write(layout, layout.arranged(kind), reasoning, answer)
