"""Think freely, then write only the answer in a format: 9 * 2 makes 18. Final answer: {"answer": 18}

The decoder allows any text up to the trigger, and the format alone from there on, in one pass, as in CRANE
(Banerjee et al. 2025, arXiv 2502.09061) and "Thinking Before Constraining" (arXiv 2601.07525). A constrained
reply cannot end before its answer, so one that never reaches its trigger runs into the token limit. Its status is
`missing_trigger`, like that of an unconstrained reply that ends without it. `premature_trigger` has nothing before the trigger.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from fmtbench.answers import AnswerKind
from fmtbench.decoding.grammar import regex
from fmtbench.decoding.patterns import until
from fmtbench.formats.base import Layout
from fmtbench.formats.parts import PartName, around, fill
from fmtbench.formats.structured import StructuredFormat
from fmtbench.types import Constraint, Extraction

SPACE = r"[ \n]?"


@dataclass(frozen=True, kw_only=True)
class DelayedFormat:
    """Plain text, the trigger, and a JSON object with the answer alone."""

    trigger: str
    inner: StructuredFormat

    def ask(self, layout: Layout, kind: AnswerKind) -> str:
        plain = f"Begin with the {', '.join(layout.stages)} in plain text"
        return f'{plain}, then write "{self.trigger}" and only {self.inner.form(_alone(layout), kind)}'

    def constraint(self, allowed: Constraint) -> Constraint:
        """Free text; from the first trigger on, what `allowed` says and nothing more."""
        return Constraint(kind="regex", source=f"{until(self.trigger)}{SPACE}({regex(allowed)})")

    def read(self, text: str, layout: Layout, kind: AnswerKind) -> Extraction:
        thoughts, trigger, reply = text.partition(self.trigger)
        reasoning = ((0, len(thoughts)),) if thoughts else ()
        if not trigger:
            return Extraction(status="missing_trigger" if thoughts.strip() else "no_answer", reasoning=reasoning)
        if not thoughts.strip():
            return Extraction(status="premature_trigger")
        found = self.inner.read(reply, _alone(layout), kind)
        return replace(found.moved(len(thoughts) + len(trigger)), reasoning=reasoning)

    def divide(self, text: str, layout: Layout, kind: AnswerKind) -> list[PartName]:
        """The part of each character, as for any format; a trigger that was cut is still rationale."""
        thoughts, trigger, reply = text.partition(self.trigger)
        parts = around(text)
        fill(parts, [(0, len(thoughts))], "reasoning")
        if trigger:
            parts[len(thoughts) + len(trigger) :] = (
                self.inner.divide(reply, _alone(layout), kind) if "{" in reply else around(reply)
            )
        return parts

    def write(self, layout: Layout, kind: AnswerKind, reasoning: str, answer: str) -> str:
        thoughts = "\n".join(reasoning for _ in layout.stages)
        return f"{thoughts}\n{self.trigger} {self.inner.write(_alone(layout), kind, '', answer)}"


def _alone(layout: Layout) -> Layout:
    """The answer without its rationale."""
    return replace(layout, stages=(), order="answer_only")
