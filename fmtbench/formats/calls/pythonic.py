"""Calls in Python's notation, in a list, as small Llama 3.2 and Llama 4 write them; Gemma leaves out the brackets:

    [submit(reasoning="9 * 2 = 18", answer=18)]

Arguments have their names. Nothing is ever evaluated (see `literals`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from fmtbench.decoding.grammar import regex
from fmtbench.decoding.patterns import literal
from fmtbench.errors import UnaskableError
from fmtbench.formats.calls.base import MOST, TRIES, Call, CallSyntax, skipped
from fmtbench.formats.calls.literals import LONGEST, literal_at, shown, spaces
from fmtbench.formats.records import Bare
from fmtbench.formats.structured import Part
from fmtbench.types import Constraint

HEAD = re.compile(r"(?<![\w.])([A-Za-z_][\w.]{0,80})\(\s{0,9}(?=[A-Za-z_]\w{0,80}\s{0,9}=[^=])")
ARGUMENT = re.compile(r"([A-Za-z_]\w{0,80})\s{0,9}=\s{0,9}")
MARKS = re.compile(r"[\s\ufeff]*+(?:<\|python_(?:tag|start)\|>)?")
ENDS = ("<|python_end|>", "<|eom_id|>", "<|eot_id|>", "<|eot|>")
PYTHON = {"true": "True", "false": "False"}


class Pythonic(CallSyntax):
    """Names before parentheses."""

    rendered = r"func_name1\(|\[func_name|pythonic|tool_code"

    def parse(self, text: str) -> list[Call] | None:
        marks, stop = MARKS.match(text), len(text.rstrip())
        assert marks is not None
        stop -= next((len(mark) for mark in ENDS if text.endswith(mark, 0, stop)), 0)
        position = skipped(text, marks.end(), "")
        if stop - position > LONGEST:
            return None
        listed = text.startswith("[", position)
        if listed and not text.endswith("]", 0, stop):
            return None
        return _calls(text, position + listed, stop - listed)

    def grammar(self, name: str, fields: Constraint) -> Constraint:
        """Raises `UnaskableError` for a record that nests: Python's words for true, false and null are its own."""
        schema = json.loads(fields.source)
        required = schema.get("required", ())
        if optional := [one for one in schema["properties"] if one not in required]:
            raise UnaskableError(f"pythonic calls are enforced with all arguments, and {optional[0]!r} may be missing: {ADVICE}")
        values = (f"{literal(key)}={_value(key, held)}" for key, held in schema["properties"].items())
        return Constraint(kind="regex", source=rf"\[{literal(name)}\({', '.join(values)}\)\]")

    def write(self, name: str, arguments: Mapping[str, Any]) -> str:
        return f"[{name}({', '.join(f'{key}={_written(held)}' for key, held in arguments.items())})]"


ADVICE = "leave out conditions with asked=tool and enforced=schema, or give the backbone another syntax of calls"


def calls_inside(text: str) -> Iterator[Call]:
    """Calls anywhere in a text, in order; if there are many, the last ones."""
    if "=" not in text or len(text) > LONGEST:
        return
    last = 0
    for head in list(HEAD.finditer(text))[-TRIES:]:
        one = _call(text, head.start()) if head.start() >= last else None
        if one is not None:
            last = one.end
            yield one


def _calls(text: str, position: int, stop: int) -> list[Call] | None:
    found: list[Call] = []
    while (position := skipped(text, position, ",;" if found else "")) < stop:
        one = _call(text, position)
        if one is None or one.end > stop or len(found) == MOST:
            return None
        found.append(one)
        position = one.end
    return found or None


def _call(text: str, start: int) -> Call | None:
    head = HEAD.match(text, start)
    if head is None:
        return None
    position, parts, tree = head.end(), list[Part](), dict[str, Any]()
    while not text.startswith(")", position):
        named = ARGUMENT.match(text, position)
        value = literal_at(text, named.end()) if named else None
        if named is None or value is None or named[1] in tree:
            return None
        held, end = value
        tree[named[1]] = held
        parts.append(_part(named[1], held, text, (named.end(), end)))
        position = spaces(text, end)
        if text.startswith(",", position):
            position = spaces(text, position + 1)
        elif not text.startswith(")", position):
            return None
    return Call(head[1], json.dumps(tree, ensure_ascii=False), parts, tree, (start, position + 1))


def _part(name: str, held: Any, text: str, span: tuple[int, int]) -> Part:
    quoted = isinstance(held, str) and text[span[1] - 1] in "\"'"
    listed = isinstance(held, list) and bool(held) and all(isinstance(one, str) for one in held)
    written = None if isinstance(held, list | dict) else held or ""
    return Part(name, written, span, prose=quoted, listed=listed)


def _value(key: str, held: Mapping[str, Any]) -> str:
    """The pattern of an argument: JSON's, except for the words that Python spells differently."""
    if shapes := held.get("anyOf"):
        return f"({'|'.join(_value(key, one) for one in shapes)})"
    if isinstance(held.get("type"), list):
        return f"({'|'.join(_value(key, {**held, 'type': one}) for one in held['type'])})"
    if held.get("type") == "boolean":
        return "(True|False)"
    if held.get("type") == "null":
        return "None"
    inner = held.get("items", {})
    if "properties" in held or inner.get("type") not in (None, "string", "number", "integer"):
        raise UnaskableError(f"pythonic calls are enforced for flat records, and {key!r} nests: {ADVICE}")
    return f"({regex(Constraint(kind='json_schema', source=json.dumps(held)))})"


def _written(held: Any) -> str:
    """An argument as we write it: what JSON writes without quotes has none."""
    if isinstance(held, Mapping):
        inner = (f"{json.dumps(name, ensure_ascii=False)}: {_written(one)}" for name, one in held.items())
        return "{" + ", ".join(inner) + "}"
    if isinstance(held, list):
        return "[" + ", ".join(map(_written, held)) + "]"
    return PYTHON.get(held, str(held)) if isinstance(held, Bare) else shown(held)
