"""A bare object, as Llama 3 writes calls:

    {"name": "submit", "parameters": {"reasoning": "9 * 2 = 18", "answer": 18}}

A mark may stand before it, and several calls have semicolons between them. The other form that Meta documents, a tag with the
name in it, is read as well: <function=submit>{"answer": 18}</function>
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from fmtbench.formats.calls.base import MOST, Call, CallSyntax, arguments_call, enclosed, object_text, objects, skipped
from fmtbench.types import Constraint

START = re.compile(r"[\s\ufeff]*+(?:<\|python_tag\|>)?")
ENDS = ("<|eom_id|>", "<|eot_id|>")
FUNCTION = re.compile(r"<function=([\w.-]{1,80})>")
CLOSES = "</function>"


class Llama(CallSyntax):
    """An object with `parameters`."""

    rendered = r"python_tag|\"parameters\": dictionary of argument name"

    def parse(self, text: str) -> list[Call] | None:
        start, end = _inside(text)
        if text.startswith("<function=", start):
            return _tagged(text, start, end)
        return objects(text, start, end, ";")

    def grammar(self, name: str, fields: Constraint) -> Constraint:
        return enclosed(f'{{"name": "{name}", "parameters": ', fields, "}")

    def write(self, name: str, arguments: Mapping[str, Any]) -> str:
        return object_text(name, "parameters", arguments)


def _inside(text: str) -> tuple[int, int]:
    """The place between the marks around a reply."""
    start = START.match(text)
    assert start is not None
    stop = len(text.rstrip())
    ending = next((mark for mark in ENDS if text.endswith(mark, 0, stop)), "")
    return skipped(text, start.end(), ""), stop - len(ending)


def _tagged(text: str, position: int, stop: int) -> list[Call] | None:
    found: list[Call] = []
    while (position := skipped(text, position, "")) < stop:
        head, closing = FUNCTION.match(text, position), text.find(CLOSES, position)
        end = stop if closing < 0 else closing
        one = arguments_call(head[1], text, (head.end(), end), (position, end)) if head and len(found) < MOST else None
        if one is None:
            return None
        found.append(one)
        position = end + len(CLOSES)
    return found or None
