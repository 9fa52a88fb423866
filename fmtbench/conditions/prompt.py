"""A prompt: one paraphrase of everything a condition does not decide. Prompts are a random effect, not a choice."""

from __future__ import annotations

from pydantic import ConfigDict
from pydantic.dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class Prompt:
    """Role, task wording and the instruction on reasoning for each level of that axis."""

    role: str
    task: str
    """Introduces the question, which follows on its own line."""
    none: str
    """Instruction for `reasoning: none`; likewise below."""
    free: str
    budget: str
    """`{words}` stands for the word budget."""
    staged: str
    """`{stages}` stands for the names of the stages, in order."""

    def instruction(self, reasoning: str, words: int | None, stages: tuple[str, ...]) -> str:
        template: str = getattr(self, reasoning)
        return template.replace("{words}", str(words)).replace("{stages}", ", ".join(stages))
