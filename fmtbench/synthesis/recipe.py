"""What is asked for: the prompts of both steps, the lists that attributes are drawn from, and the bounds of a triple.

The two steps are those of E5-mistral (Wang et al. 2024, Improving Text Embeddings with Large Language Models, arXiv
2401.00368): brainstorm retrieval tasks, then write one triple (query, positive, hard negative) for a task and sampled
attributes. The words and lists are data, in `conf/synthesis/`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any, ClassVar, Self

from pydantic import ConfigDict, Field, field_validator, model_validator
from pydantic.dataclasses import dataclass

from fmtbench.decoding.schema import json_schema
from fmtbench.tasks.base import item_rng
from fmtbench.types import Constraint

PLACEHOLDER = re.compile(r"\{(\w+)\}")
FIELDS = ("query", "positive", "negative")
Values = Annotated[list[str], Field(min_length=1)]


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class Bounds:
    """Minimum and maximum number of characters; not of words, since not every language puts spaces between them.

    The schema has the minimum, so the decoder enforces it. It has no maximum: a `maxLength` takes more states than any
    compiler can afford, and would cut texts in the middle of a word.
    """

    least: int = Field(gt=0)
    most: int = Field(gt=0)

    @property
    def annotation(self) -> Any:
        return Annotated[str, Field(min_length=self.least)]

    @model_validator(mode="after")
    def _in_order(self) -> Bounds:
        if self.least > self.most:
            raise ValueError(f"least={self.least} is above most={self.most}: give bounds in order")
        return self


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class Language:
    """How to recognise a text in this language; an empty list is not checked."""

    scripts: list[str] = Field(default_factory=list)
    """The first words of its letters' Unicode names, such as `HANGUL`."""
    common: list[str] = Field(default_factory=list)
    """Words, in lower case, of which every longer text has some."""


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class StepPrompt:
    """The prompt of one step. Each `{name}` in it becomes a value drawn from the list of that name."""

    GIVEN: ClassVar[tuple[str, ...]] = ()
    """Names that the step itself fills in."""
    prompt: str
    attributes: dict[str, Values] = Field(default_factory=dict)
    """The lists of values; a value listed twice is drawn twice as often."""
    max_tokens: int = Field(gt=0)

    def draw(self, seed: int, item_id: str) -> dict[str, str]:
        """The attributes of one request, determined by seed and id alone."""
        rng = item_rng(seed, item_id)
        return {name: rng.choice(values) for name, values in self.attributes.items()}

    def longest(self) -> dict[str, str]:
        """The longest value of each attribute, to find the longest prompt."""
        return {name: max(values, key=len) for name, values in self.attributes.items()}

    @model_validator(mode="after")
    def _every_placeholder(self) -> Self:
        found, known = set(PLACEHOLDER.findall(self.prompt)), {*self.attributes, *self.GIVEN}
        for name in sorted(found - known):
            raise ValueError(f"the prompt holds {{{name}}}, which has no list: it may hold {', '.join(sorted(known))}")
        for name in sorted(known - found):
            raise ValueError(f"the prompt does not hold {{{name}}}")
        return self


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class BrainstormPrompt(StepPrompt):
    """The first step: each reply is a list of tasks. `{count}` says how many, `{examples}` is a line for each example."""

    GIVEN = ("count", "examples")
    count: int = Field(gt=0)
    examples: Values
    chars: Bounds

    @cached_property
    def constraint(self) -> Constraint:
        tasks = Annotated[list[self.chars.annotation], Field(min_length=self.count, max_length=self.count)]  # type: ignore[name-defined]
        return Constraint(kind="json_schema", source=json_schema({"tasks": tasks}))


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class TriplePrompt(StepPrompt):
    """The second step: each reply is a triple. `{task}` is the search task, `{language}` the language to write in."""

    GIVEN = ("task", "language")
    chars: dict[str, Bounds]
    """Bounds of `query`, `positive` and `negative`."""

    @field_validator("chars")
    @classmethod
    def _each_field(cls, value: dict[str, Bounds]) -> dict[str, Bounds]:
        if set(value) != set(FIELDS):
            raise ValueError(f"needs bounds of {', '.join(FIELDS)}; has {', '.join(value) or 'none'}")
        return value

    @cached_property
    def constraint(self) -> Constraint:
        return Constraint(kind="json_schema", source=json_schema({name: self.chars[name].annotation for name in FIELDS}))


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class SynthesisRecipe:
    """Everything that determines what is written, apart from the backbone, the seed and the amount."""

    name: str
    brainstorm: BrainstormPrompt
    triple: TriplePrompt
    languages: Values
    """Languages to write in, drawn like an attribute; each is a key of `known`."""
    known: dict[str, Language]
    similarity: float = Field(gt=0, le=1)
    """The Jaccard similarity from which two texts are near duplicates; also the share of a passage from which it counts as copied
    from its prompt."""
    temperature: float = Field(gt=0)
    top_p: float = Field(gt=0, le=1)

    @model_validator(mode="after")
    def _languages_are_known(self) -> SynthesisRecipe:
        for language in self.languages:
            if language not in self.known:
                known = ", ".join(self.known)
                raise ValueError(f"language {language!r} is not known: allowed are {known}; add others to synthesis.known")
        return self


def fill(prompt: str, values: Mapping[str, str]) -> str:
    """The prompt with its placeholders replaced in one pass: braces inside a value stay as they are."""
    return PLACEHOLDER.sub(lambda found: values[found[1]], prompt)
