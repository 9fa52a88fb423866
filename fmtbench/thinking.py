"""How a model thinks before it answers: what switches that on, and the marks around a thought.

    thinking:                              what Qwen3's chat template calls it, and what its model writes
      switch: {enable_thinking: true}
      opens: "<think>\\n"
      closes: "</think>"

A backbone states it once; whether a request thinks is an axis of its condition.
"""

from __future__ import annotations

from dataclasses import field
from typing import Any

from pydantic import ConfigDict, Field, JsonValue, field_validator, model_validator
from pydantic.dataclasses import dataclass

from fmtbench.types import Thinking

OURS = ("add_generation_prompt", "continue_final_message", "conversation", "messages", "return_dict", "tokenize", "tools")
"""Arguments of a chat template that fmtbench itself sets."""


def check_arguments(given: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """The further arguments of a chat template. Raises `ValueError` for one that users must not set."""
    if taken := sorted(set(given) & set(OURS)):
        raise ValueError(f"fmtbench itself sets {', '.join(taken)}: leave it out")
    return given


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class ThinkingStyle:
    """How one model thinks."""

    switch: dict[str, JsonValue] = field(default_factory=dict, hash=False)
    """Arguments of the chat template that make the model think; empty for one that always does."""
    opens: str = Field(default=Thinking().opens, min_length=1)
    closes: str = Field(default=Thinking().closes, min_length=1)
    forced: str = Thinking().forced
    """What is written to end the thought once its budget is spent."""

    @field_validator("switch")
    @classmethod
    def _further_arguments(cls, given: dict[str, JsonValue]) -> dict[str, JsonValue]:
        return check_arguments(given)

    @model_validator(mode="after")
    def _ends(self) -> ThinkingStyle:
        _, closes, after = self.forced.partition(self.closes)
        if not closes or after.strip():
            raise ValueError(
                f"forced={self.forced!r} does not end the thought: it must hold closes={self.closes!r}, and nothing after it "
                "but white space"
            )
        return self

    @property
    def always(self) -> bool:
        """Whether it cannot be switched off."""
        return not self.switch

    def thought(self, tokens: int | None) -> Thinking:
        """A thought of at most this many tokens; None leaves its length to the model."""
        return Thinking(tokens=tokens, opens=self.opens, closes=self.closes, forced=self.forced)

    def arguments(self, given: dict[str, JsonValue]) -> dict[str, Any]:
        """The arguments of the chat template with which the model thinks."""
        return given | self.switch
