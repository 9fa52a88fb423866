"""A prompt: one paraphrase of everything a condition does not decide. Prompts are a random effect, not a choice."""

from __future__ import annotations

from pydantic import ConfigDict, field_validator
from pydantic.dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class Prompt:
    """Role, task wording, the instruction on reasoning for each level of that axis, and words around the contract."""

    role: str
    task: str
    """Introduces the question, which follows on its own line."""
    none: str
    """Instruction for `reasoning: none`; the next four are those for the other levels."""
    free: str
    budget: str
    """`{words}` stands for the word budget."""
    staged: str
    """`{stages}` stands for the names of the stages, in order."""
    draft: str
    convert: str
    """Asks for the previous reply in another form, for `when: second_pass`."""
    reconsider: str = ""
    """Asks for a new answer in prose, for `when: reconsider`; a prompt without it asks no such condition."""
    format: str = "{contract}"
    """The format wording: the words around the contract, whose place is `{contract}`."""

    @field_validator("format")
    @classmethod
    def _holds_the_contract(cls, value: str) -> str:
        if value.count("{contract}") != 1:
            raise ValueError("must hold {contract} once: it stands for what the condition demands of the reply")
        return value

    def instruction(self, reasoning: str, words: int | None, stages: tuple[str, ...]) -> str:
        template: str = getattr(self, reasoning)
        return template.replace("{words}", str(words)).replace("{stages}", ", ".join(stages))

    def wrapped(self, contract: str) -> str:
        return self.format.replace("{contract}", contract)
