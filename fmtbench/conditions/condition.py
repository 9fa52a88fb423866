"""A condition: one point in the factorial design of what is asked, what is allowed, and how the reply is read.

Two conditions that differ on one axis make a clean contrast. The paper's names are presets in `conf/condition/`.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from pydantic import ConfigDict, Field, model_validator
from pydantic.dataclasses import dataclass

from fmtbench.answers import AnswerKind
from fmtbench.conditions.contract import Contract, Layout, Order
from fmtbench.conditions.failure import name_failure
from fmtbench.conditions.json_object import JsonContract
from fmtbench.conditions.prompt import Prompt
from fmtbench.conditions.text import TextContract
from fmtbench.decoding.grammar import ANYTHING
from fmtbench.types import Constraint, Extraction, Generation, Item, Message

JSON = JsonContract()
CONTRACTS: dict[str, Contract] = {"text": TextContract(), "json": JSON}


class Parts(NamedTuple):
    """A prompt in its parts; only `contract` may differ between conditions that share a reasoning level."""

    role: str
    task: str
    hint: str
    reasoning: str
    contract: str
    question: str


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class Condition:
    """The axes of the design, each with its levels."""

    reasoning: Literal["none", "free", "budget", "staged"] = "free"
    """Answer at once, reason freely, reason in at most `words` words, or in the `stages`, in order."""
    asked: Literal["text", "json"] = "text"
    """The format that the prompt demands."""
    enforced: Literal["no", "schema", "sham"] = "no"
    """What the decoder allows: everything, the JSON schema, or everything through the same machinery."""
    order: Order = "reasoning_first"
    words: int | None = Field(default=None, gt=0)
    """Word budget of the rationale, for `reasoning: budget`."""
    stages: tuple[str, ...] = ("phenomenon", "observation", "conclusion")
    """Names of the parts, for `reasoning: staged`."""
    reasoning_field: str = "reasoning"
    answer_field: str = "answer"

    @model_validator(mode="after")
    def _consistent(self) -> Condition:
        if (self.reasoning == "none") != (self.order == "answer_only"):
            raise ValueError(
                f"reasoning={self.reasoning} contradicts order={self.order}: "
                "reasoning=none goes with order=answer_only, and only with it"
            )
        if (self.reasoning == "budget") != (self.words is not None):
            raise ValueError(
                f"reasoning={self.reasoning} contradicts words={self.words}: reasoning=budget needs words, others have none"
            )
        if len(set(self.layout.fields)) < len(self.layout.fields):
            raise ValueError(f"the fields {list(self.layout.fields)} are not all different: rename one of them")
        return self

    @property
    def layout(self) -> Layout:
        stages = {"none": (), "staged": self.stages}.get(self.reasoning, (self.reasoning_field,))
        return Layout(stages=stages, answer=self.answer_field, order=self.order)

    @property
    def produced(self) -> Contract:
        """The format that comes out: an enforced schema wins over what was asked."""
        return CONTRACTS["json" if self.enforced == "schema" else self.asked]

    def parts(self, item: Item, kind: AnswerKind, prompt: Prompt) -> Parts:
        return Parts(
            role=prompt.role,
            task=prompt.task,
            question=item.question,
            hint=kind.hint(),
            reasoning=prompt.instruction(self.reasoning, self.words, self.stages),
            contract=CONTRACTS[self.asked].ask(self.layout, kind),
        )

    def render(self, item: Item, kind: AnswerKind, prompt: Prompt) -> tuple[Message, ...]:
        """What the model is shown: one user turn, because some chat templates refuse a system turn.

        The question comes last: small models otherwise answer the instructions (measured on the embedded model).
        """
        parts = self.parts(item, kind, prompt)
        instructions = " ".join(filter(None, (parts.role, parts.task, parts.hint, parts.reasoning, parts.contract)))
        return (Message(role="user", content=f"{instructions}\n\n{parts.question}"),)

    def constraint(self, kind: AnswerKind) -> Constraint | None:
        """What the decoder allows."""
        if self.enforced == "schema":
            return JSON.constraint(self.layout, kind)
        return ANYTHING if self.enforced == "sham" else None

    def read(self, generation: Generation, kind: AnswerKind) -> Extraction:
        """Locate the answer by the contract, and name the status; the answer kind normalises and judges."""
        found = self.produced.read(generation.text, self.layout, kind)
        status = name_failure(found, generation)
        if status == "ok":
            return found
        return Extraction(status=status, reasoning=found.reasoning)

    def example(self, kind: AnswerKind, reasoning: str, answer: str) -> str:
        """A reply that keeps this condition's contract."""
        return self.produced.example(self.layout, kind, reasoning, answer)
