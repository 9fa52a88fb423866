"""Between tags, as Hermes and Qwen write calls, and as vLLM's parser of that name reads them:

    <tool_call>
    {"name": "submit", "arguments": {"reasoning": "9 * 2 = 18", "answer": 18}}
    </tool_call>

Each call has tags of its own. A reply that ends right after its last object has ended its call.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fmtbench.formats.calls.base import MOST, Call, CallSyntax, bare, enclosed, object_call, object_text, skipped
from fmtbench.types import Constraint

OPENS, CLOSES = "<tool_call>", "</tool_call>"


class Hermes(CallSyntax):
    """An object between tags."""

    rendered = r'<tool_call>(?:\\n|\s){0,4}\{\\?"name'

    def parse(self, text: str) -> list[Call] | None:
        found: list[Call] = []
        position = skipped(text, 0, "\ufeff")
        while position < len(text):
            closing = text.find(CLOSES, position)
            end = len(text) if closing < 0 else closing
            if not text.startswith(OPENS, position) or len(found) == MOST:
                return None
            one = object_call(text, *bare(text, position + len(OPENS), end))
            if one is None:
                return None
            found.append(one)
            position = skipped(text, end + len(CLOSES), "")
        return found or None

    def grammar(self, name: str, fields: Constraint) -> Constraint:
        return enclosed(f'{OPENS}\n{{"name": "{name}", "arguments": ', fields, f"}}\n{CLOSES}")

    def write(self, name: str, arguments: Mapping[str, Any]) -> str:
        return f"{OPENS}\n{object_text(name, 'arguments', arguments)}\n{CLOSES}"


class ServedCall(Hermes):
    """What a server sends in fields of their own: it masks by the schema of the arguments, which it is sent."""

    rendered = ""

    def grammar(self, name: str, fields: Constraint) -> Constraint:
        return fields


def served_text(name: str, arguments: str) -> str:
    """A call whose arguments a server sent as text: as it sent them, whether they are whole or not."""
    return f"{OPENS}\n{object_text(name, 'arguments', {})[:-3]}{arguments}}}\n{CLOSES}"
