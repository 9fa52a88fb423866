"""A prompt: one paraphrase of everything that a condition does not decide. Prompts are a random effect, not a choice."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal

from pydantic import ConfigDict, field_validator
from pydantic.dataclasses import dataclass

from fmtbench.types import Message

PLACES = ("question", "contract", "hint", "reasoning")
"""The placeholders of a user's own chat; anything else in braces is text, such as an example in JSON."""
PLACE = re.compile(rf"\{{({'|'.join(PLACES)})\}}")


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class Turn:
    """A turn of such a chat."""

    role: Literal["system", "user", "assistant"]
    content: str


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
    """Asks for a new answer in prose, for `when: reconsider`; a prompt without it cannot ask under such a condition."""
    retry: str = ""
    """Asks again, for `remedy: retry`; `{error}` stands for what the validator says. A prompt without it cannot ask again."""
    format: str = "{contract}"
    """The format wording: the words around the contract, whose place is `{contract}`."""
    messages: tuple[Turn, ...] = ()
    """A whole chat in place of role, task and hint, with `{question}` and `{contract}` where they go. The instruction on
    reasoning comes before the contract unless `{reasoning}` has a place; the hint is left out unless `{hint}` has one."""

    @field_validator("format")
    @classmethod
    def _holds_the_contract(cls, value: str) -> str:
        if value.count("{contract}") != 1:
            raise ValueError("must hold {contract} once: it stands for what the condition demands of the reply")
        return value

    @field_validator("retry")
    @classmethod
    def _says_the_error(cls, value: str) -> str:
        if value and value.count("{error}") != 1:
            raise ValueError("must hold {error} once: it stands for what the validator says of the reply")
        return value

    @field_validator("messages")
    @classmethod
    def _asks_the_question(cls, value: tuple[Turn, ...]) -> tuple[Turn, ...]:
        if not value:
            return value
        places = PLACE.findall("".join(turn.content for turn in value))
        for name in PLACES:
            if places.count(name) > 1 or (name in ("question", "contract") and name not in places):
                raise ValueError(f"must hold {{{name}}} once in all turns, and has it {places.count(name)} times")
        if value[-1].role != "user":
            raise ValueError(f"must end with a turn of the user, who is answered, and ends with one of the {value[-1].role}")
        return value

    def chat(self, said: Mapping[str, str]) -> tuple[Message, ...]:
        """The turns of `messages`, with what is `said` in each of `PLACES`. Braces in a question are never a place."""
        held = dict(said)
        if not any("{reasoning}" in turn.content for turn in self.messages):
            held["contract"] = " ".join(filter(None, (held["reasoning"], held["contract"])))
        return tuple(
            Message(role=turn.role, content=PLACE.sub(lambda place: held[place[1]], turn.content)) for turn in self.messages
        )

    def instruction(self, reasoning: str, words: int | None, stages: tuple[str, ...]) -> str:
        template: str = getattr(self, reasoning)
        return template.replace("{words}", str(words)).replace("{stages}", ", ".join(stages))

    def wrapped(self, contract: str) -> str:
        return self.format.replace("{contract}", contract)
