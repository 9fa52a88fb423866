"""A list of objects after a mark, as Mistral's tokenizers of versions 2 to 7 have it, or the name before its arguments (11 on):

    [TOOL_CALLS] [{"name": "submit", "arguments": {"reasoning": "9 * 2 = 18", "answer": 18}}]
    [TOOL_CALLS]submit[ARGS]{"reasoning": "9 * 2 = 18", "answer": 18}

The marks are special tokens, which a decoded text may lack. No grammar can hold one, so an enforced call has its mark in the
prompt.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from fmtbench.decoding.patterns import literal
from fmtbench.formats.calls.base import MOST, Call, CallSyntax, arguments_call, enclosed, object_text, objects, skipped
from fmtbench.formats.json import DECODER
from fmtbench.types import Constraint

MARK = "[TOOL_CALLS]"
START = re.compile(r"[\s\ufeff]*+(?:\[TOOL_CALLS\])?")
NAMED = re.compile(r"(?:\[TOOL_CALLS\])?\s{0,9}(?P<name>[A-Za-z_][\w.-]{0,80})(?:\[CALL_ID\][\w-]{1,40})?(?:\[ARGS\])?(?=\{)")


class Mistral(CallSyntax):
    """A list of objects."""

    rendered = re.escape(MARK)

    def parse(self, text: str) -> list[Call] | None:
        stop, start = len(text.rstrip()), START.match(text)
        assert start is not None
        position = skipped(text, start.end(), "")
        if NAMED.match(text, position):
            return _named(text, position, stop)
        if not text.startswith("[", position) or not text.endswith("]", 0, stop):
            return None
        return objects(text, position + 1, stop - 1, ",")

    def grammar(self, name: str, fields: Constraint) -> Constraint:
        return enclosed(f'[{{"name": "{name}", "arguments": ', fields, "}]")

    def write(self, name: str, arguments: Mapping[str, Any]) -> str:
        return f"[{object_text(name, 'arguments', arguments)}]"


def opens(call: Constraint) -> bool:
    """Whether what is allowed is a call in this syntax, so that the mark belongs before it."""
    return call.source.startswith(literal('[{"name": "'))


def _named(text: str, position: int, stop: int) -> list[Call] | None:
    found: list[Call] = []
    while (position := skipped(text, position, ",")) < stop:
        head = NAMED.match(text, position)
        if head is None or len(found) == MOST:
            return None
        try:
            _, end = DECODER.raw_decode(text, head.end())
        except (ValueError, RecursionError):
            return None
        one = arguments_call(head["name"], text, (head.end(), end), (position, end))
        if one is None:
            return None
        found.append(one)
        position = end
    return found or None
