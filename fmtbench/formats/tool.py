"""A call of one tool, `submit`, whose arguments are the fields:

    <tool_call>
    {"name": "submit", "arguments": {"reasoning": "9 * 2 = 18", "answer": 18}}
    </tool_call>

The chat template, or a server, tells the model of the tool, in the words that the model was trained on; a reply is read in
whatever syntax of calls it is written (formats/calls/). A call of another tool, or two calls, break the contract, and so do
words around the call, as for every format.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fmtbench.answers import AnswerKind, Record
from fmtbench.formats.base import Field, Layout, Syntax
from fmtbench.formats.blanks import blank, undone
from fmtbench.formats.calls import CALLS, CANONICAL
from fmtbench.formats.calls.base import JSON, Call, objects_inside, together
from fmtbench.formats.calls.pythonic import ARGUMENT, HEAD, calls_inside
from fmtbench.formats.json import NUMBER, stripped
from fmtbench.formats.json_parts import divide_object
from fmtbench.formats.names import NAMED, NAMES, NOTHING
from fmtbench.formats.parts import PartName, around, fill
from fmtbench.formats.records import Bare, filled
from fmtbench.formats.rendering import object_schema
from fmtbench.formats.statements import heads_rationale
from fmtbench.formats.steps import laid_out
from fmtbench.formats.structured import Part, StructuredFormat
from fmtbench.types import Constraint

TOOL = "submit"
"""Not a name that an answer has, so that no reader takes the call for one."""
OBJECT = re.compile(
    r'(?:\[\s{0,9})?\{\s{0,9}"name"\s{0,9}:\s{0,9}"[^"\\\n]{0,80}"\s{0,9},\s{0,9}"(?:arguments|parameters)"\s{0,9}:\s{0,9}(?=[{"])'
)
"""The text before the arguments."""
BEGUN = ("<tool_call>", "[TOOL_CALLS]", "<|python_tag|>", "{", "[")
HELD = r"\"(?P<double>(?:[^\"\\]|\\.)*+)\"?|'(?P<single>(?:[^'\\]|\\.)*+)'?|(?P<bare>[^\s,()\"'\[\]]+)"
VALUE = re.compile(rf"(?:{HELD})\s{{0,9}}[,)\]]{{0,9}}\s{{0,9}}", re.S)
KEYWORD = re.compile(rf"(?<=[(,\s])({NAMES})\s{{0,9}}=\s{{0,9}}(?:{HELD})", re.I | re.S)


class ToolFormat(StructuredFormat):
    """The call of a tool."""

    name = "tool"
    precedence = 5
    languages = ("json", "python", "tool_call", "tool_code", "xml")
    enforceable = True
    syntax = Syntax(answer=None, tags=re.compile(r"<\|python_(?:tag|start|end)\|>|\[TOOL_CALLS\]|\[ARGS\]"))

    def form(self, layout: Layout, kind: AnswerKind) -> str:
        return f'a call of the tool "{TOOL}" with arguments of this form{layout.in_order("keys")}: {JSON.shown(layout, kind)}'

    def write(self, layout: Layout, kind: AnswerKind, reasoning: str, answer: str) -> str:
        if isinstance(kind, Record):
            return self._written(layout, filled(layout, kind, reasoning, answer))
        shown = Bare(answer) if kind.numeric and NUMBER.fullmatch(answer) else answer
        rationale = laid_out(reasoning, layout.rationale)
        return self._written(layout, {name: shown if name == layout.answer else rationale for name in layout.fields})

    def _written(self, layout: Layout, arguments: Mapping[str, Any]) -> str:
        return CALLS[layout.calls or CANONICAL].write(TOOL, arguments)

    def grammar(self, layout: Layout, kind: AnswerKind, fields: Constraint) -> Constraint:
        return CALLS[layout.calls or CANONICAL].grammar(TOOL, fields)

    def load(self, body: str, layout: Layout, kind: Record) -> dict[str, Any] | None:
        calls = parse_calls(body)
        return None if calls is None else {f"{name}()": "" for name in strangers(calls)} | together(calls)

    def parse(self, body: str, fields: Sequence[str] | None) -> list[Part] | None:
        calls = parse_calls(body)
        if calls is None:
            return None
        return [Part(f"{name}()", "", (0, 0)) for name in strangers(calls)] + [part for one in calls for part in one.parts]

    def divide(self, text: str, layout: Layout, kind: AnswerKind) -> list[PartName]:
        parts = around(text)
        if head := OBJECT.search(text):
            parts[head.end() :] = divide_object(text[head.end() :], layout.answer)
        elif python := HEAD.search(text):
            _divide_python(parts, text, python.end(), layout.answer)
        elif not text.lstrip().startswith(BEGUN):
            fill(parts, [(0, len(text))], "reasoning")
        return parts

    def find(self, text: str) -> Iterator[Field]:
        """In a call anywhere in a text, and among the arguments of one in Python's notation that is cut or broken."""
        for call in calls_anywhere(text):
            for part in call.parts:
                if NAMED.fullmatch(part.name) and part.written is not None:
                    yield Field(part.name, "" if NOTHING.fullmatch(part.written) else part.written, part.span)
        for match in KEYWORD.finditer(text) if HEAD.search(text) else ():
            group = next(name for name in ("double", "single", "bare") if match[name] is not None)
            yield Field(match[1], "" if NOTHING.fullmatch(match[group]) else match[group], match.span(group))

    def unpack(self, text: str, answers: bool) -> str | None:
        """The strings of the arguments alone."""
        if head := OBJECT.search(text):
            called = OBJECT.sub(lambda match: blank(match[0]), text)
            return called[: head.end()] + stripped(called[head.end() :], answers)
        begins = len(text) - len(text.lstrip())
        if python := HEAD.match(text, begins + text.startswith("[", begins)):
            return _unpacked_python(text, python.end(), answers)
        return None


def definition(layout: Layout, kind: AnswerKind) -> dict[str, Any]:
    """The tool as chat templates and servers take it: what OpenAI's API calls a function."""
    what = {"name": TOOL, "description": "Submits the reply.", "parameters": object_schema(layout, kind)}
    return {"type": "function", "function": what}


def parse_calls(text: str) -> list[Call] | None:
    """The calls in a text that is nothing but calls, in any syntax."""
    return next((calls for one in CALLS.values() if (calls := one.parse(text))), None)


def calls_anywhere(text: str) -> list[Call]:
    """Calls in a text, whatever is around them, with objects first."""
    return list(objects_inside(text)) or list(calls_inside(text))


def strangers(calls: Sequence[Call]) -> list[str]:
    """The names of other tools that are called, each once."""
    return [name for name in dict.fromkeys(call.name for call in calls) if name != TOOL]


# -- Python's notation, by local marks: a cut changes nothing before it


def _python_arguments(text: str, position: int) -> Iterator[tuple[re.Match[str], re.Match[str]]]:
    """Name and value of each argument from here on."""
    while (named := ARGUMENT.match(text, position)) and (value := VALUE.match(text, named.end())):
        yield named, value
        position = value.end()


def _held(value: re.Match[str]) -> tuple[int, int]:
    return next(value.span(name) for name in ("double", "single", "bare") if value[name] is not None)


def _divide_python(parts: list[PartName], text: str, position: int, answer: str) -> None:
    for named, value in _python_arguments(text, position):
        fill(parts, [named.span(1)], "key")
        fill(parts, [_held(value)], "answer" if named[1] == answer else "reasoning")


def _unpacked_python(text: str, position: int, answers: bool) -> str:
    kept, end = [blank(text[:position])], position
    for named, value in _python_arguments(text, position):
        start, stop = _held(value)
        held = text[start:stop]
        wanted = answers or not NAMED.fullmatch(named[1]) or heads_rationale(held)
        inside = undone(held.replace("\\'", "\0'")) if wanted else blank(held)
        kept += [blank(text[named.start() : start]), inside, blank(text[stop : value.end()])]
        end = value.end()
    return "".join([*kept, text[end:]])


def arguments_text(text: str) -> str | None:
    """The arguments in a text that is one call of the tool, as JSON with one space; None for any other."""
    calls = parse_calls(text)
    if calls is None or len(calls) != 1 or strangers(calls):
        return None
    return json.dumps(json.loads(calls[0].arguments), ensure_ascii=False)
