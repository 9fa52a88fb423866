"""How a rationale is laid out, in the same words: as one string, as a list of strings, or with a line for each step.

    string       "We add 7 and 5. That makes 12."
    list         ["We add 7 and 5.", "That makes 12."]
    lines        "We add 7 and 5.\\nThat makes 12."
    paragraph    text without any line break, up to the answer

A JSON string holds no raw line break, and free rationales are full of them. The first three give JSON's rationale room for
its steps in three ways, and the last takes the line breaks away from text.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import Field

Rationale = Literal["string", "list", "lines", "paragraph"]
SENTENCES = re.compile(r"(?<=[.!?])[ \t]+(?=\S)")


def laid_out(reasoning: str, rationale: Rationale) -> str | list[str]:
    """A rationale as a reply holds it; a list for `list`, a text for the others."""
    if rationale == "string":
        return reasoning
    if rationale == "paragraph":
        return " ".join(reasoning.splitlines())
    steps = _steps(reasoning)
    return steps if rationale == "list" else "\n".join(steps)


def _steps(reasoning: str) -> list[str]:
    """Its lines, or the sentences of the only one; of nothing, nothing in one step."""
    lines = [line for line in reasoning.splitlines() if line.strip()]
    return lines if len(lines) > 1 else SENTENCES.split(lines[0] if lines else reasoning)


def placeholder(rationale: Rationale) -> str | list[str]:
    """What the form in a prompt shows in its place: two steps, where there are steps."""
    return laid_out("<text>\n<text>" if rationale in ("list", "lines") else "<text>", rationale)


def annotation(rationale: Rationale) -> Any:
    """The Python type that a schema of fields is made from."""
    return Annotated[list[str], Field(min_length=1)] if rationale == "list" else str


def fragment(rationale: Rationale) -> dict[str, Any]:
    """The same as a fragment of a JSON schema. A list has a step: Outlines allows two spaces in an empty one."""
    text: dict[str, Any] = {"type": "string"}
    return {"type": "array", "items": text, "minItems": 1} if rationale == "list" else text


def is_list(value: Any) -> bool:
    """Whether what was read is a list of strings, at least of one, and nothing else."""
    return isinstance(value, list) and bool(value) and all(isinstance(one, str) for one in value)
