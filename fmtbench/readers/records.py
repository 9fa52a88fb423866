"""The latent reader of records: one lenient reading for every condition, blind to which condition it reads.

1. An object of the record's fields, in any format: the whole reply, fenced or not, or the last one inside prose. One in another
   object (`{"invoice": {...}}`) or in a call counts as it would alone; names are compared without case and separators.
2. Fields that it lacks: named on a line ("Total: 12", `| total | 12 |`), in a sentence ("The total is 12."), by a tag or a key of
   an object that was cut or is broken.

Of several places, the last. The result is a record as JSON text, with leaves as written.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import fmtbench.answers.spelling as spelling
from fmtbench.answers import Record
from fmtbench.answers.json_value import JsonValue
from fmtbench.answers.nodes import Node
from fmtbench.formats import FORMATS
from fmtbench.formats.base import Layout
from fmtbench.formats.calls.base import opened
from fmtbench.formats.calls.pythonic import calls_inside
from fmtbench.formats.json import load_object
from fmtbench.formats.markdown import RECORD_HEADING
from fmtbench.formats.prose import RECORD_OPENING
from fmtbench.formats.records import Opening, labels, openings, put_together
from fmtbench.formats.statements import LONGEST, MOST, SENTENCE_END
from fmtbench.formats.structured import StructuredFormat, unfenced
from fmtbench.formats.text import RECORD_LINE

BARE = Layout(stages=(), answer="", order="answer_only")
KEY = r"[\"'<|]\s{0,3}\**LABEL\**\s{0,3}(?:[\"']\s{0,3}:\s{0,3}|>|\|)"
"""A key in quotes, a tag, or the first cell of a row of a table."""
AFTER_KEY = re.compile(r'\s{0,3}(?:"((?:[^"\\]|\\.)*+)"?|([^\n"<|,}\]]*+))')
NEXT_SENTENCE = re.compile(r"[.;]\s{1,9}The\b|\n")
NEXT_SECTION = re.compile(r"\n {0,3}#{1,6} |\n[ \t]*\n")
Place = tuple[int, int]


TRAILING = re.compile(r"\s*+[,.]{0,2}")


class Found(NamedTuple):
    tree: dict[str, Any]
    place: Place


@lru_cache(maxsize=64)  # the marked and the latent reading are the same for records
def read_record(reply: str, kind: Record) -> tuple[str, Place] | None:
    """The record that a reply gives, as JSON text, and its place; None if the reply has none of its fields."""
    whole = next(iter(_objects(reply, kind)), None)
    tree = dict(whole.tree) if whole else {}
    lacking = {name for name, member in kind.tree.members.items() if not _held(tree.get(name), member)}
    labelled = _labelled(reply, kind) if lacking else None
    if labelled:
        tree |= {name: one for name, one in labelled.tree.items() if name in lacking}
    if not tree:
        return None
    places = [one.place for one in (whole, labelled) if one]
    return json.dumps(tree, ensure_ascii=False), (min(start for start, _ in places), max(end for _, end in places))


def _held(value: Any, member: Node) -> bool:
    """Whether a value has the field's shape: `vendor: {x}` is a mapping in YAML, and text in a line of prose."""
    whole = member.members or isinstance(member.kind, JsonValue)
    return value not in (None, "") and not (isinstance(value, Mapping) and not whole)


def record_places(reply: str, kind: Record) -> list[Place]:
    """The parts of a reply that are the record, so that the rest is rationale: objects, less the parts that are not fields."""
    whole = next(iter(_objects(reply, kind)), None)
    places = [(one.start, end) for one, end in _lines(reply, kind)] + (_own_parts(reply, whole, kind) if whole else [])
    return [(start, TRAILING.match(reply, end).end()) for start, end in places]  # type: ignore[union-attr]


def _own_parts(reply: str, whole: Found, kind: Record) -> list[Place]:
    """The places of the fields of an object that also has a rationale; the object's own place where they are not told."""
    body = reply[whole.place[0] : whole.place[1]]
    for one in _structured():
        parts = one.parts(body, None) or []
        own = [part for part in parts if _named(part.name, kind.tree) or spelling.squeeze(part.name) in _columns(kind)]
        if own:
            return [(whole.place[0] + part.span[0], whole.place[0] + part.span[1]) for part in own]
    return [whole.place]


@lru_cache(maxsize=256)
def _columns(kind: Record) -> frozenset[str]:
    """What a table calls the leaves: all steps of their paths, without case and separators."""
    return frozenset(spelling.squeeze(" ".join(step for step in one.path if step != "[]")) for one in labels(kind.tree))


def _structured() -> list[StructuredFormat]:
    return [one for one in FORMATS.values() if isinstance(one, StructuredFormat)]


# -- objects


def _objects(reply: str, kind: Record) -> Iterator[Found]:
    """Whole replies first, then what is fenced, then objects inside prose, the last one first."""
    yield from _of_body(reply, (0, len(reply)), kind)
    for fence in list(FENCE_INSIDE.finditer(reply))[-MOST:][::-1]:
        yield from _of_body(fence[2], fence.span(2), kind)
    for call in reversed(list(calls_inside(reply))):
        if found := recognised(call.tree, kind.tree):
            yield Found(found, call.place)
    for start, end in reversed(_braces(reply)):
        tree = load_object(reply[start:end])
        if tree is not None and (found := recognised(tree, kind.tree)):
            yield Found(found, (start, end))


FENCE_INSIDE = re.compile(r"(?:^|\n)[ \t]*(`{3,9}|~{3,9})[ \t]*+[A-Za-z]*[ \t]*\n(.*?)\n[ \t]*\1", re.S)


def _of_body(body: str, place: Place, kind: Record) -> Iterator[Found]:
    _, bare = unfenced(body, None)
    for one in _structured():
        tree = one.load(bare, BARE, kind)
        if tree and (found := recognised(tree, kind.tree)):
            yield Found(found, place)


def _braces(text: str) -> list[Place]:
    """The outermost balanced braces, up to a limit; braces inside strings do not count if quotes are balanced."""
    found: list[Place] = []
    level, start = 0, 0
    for match in BRACE.finditer(text):
        if match[0] == "{":
            start, level = (match.start(), 1) if level == 0 else (start, level + 1)
        elif match[0] == "}" and level:
            level -= 1
            if level == 0:
                found.append((start, match.end()))
    return found[-MOST:]


BRACE = re.compile(r'"(?:[^"\\\n]|\\.)*+"|[{}]')


def recognised(tree: Mapping[str, Any], node: Node, level: int = 0) -> dict[str, Any] | None:
    """The fields of a tree under the schema's own names; None if it has none. For a call, those of its arguments."""
    tree = opened(tree) if level == 0 else tree
    named = {own: one for name, one in tree.items() if (own := _named(name, node))}
    if named:
        return {name: _renamed(one, node.members[name]) for name, one in named.items()}
    inner = [one for one in tree.values() if isinstance(one, Mapping)]
    return recognised(inner[-1], node, level + 1) if inner and level < 3 else None


def _renamed(tree: Any, node: Node) -> Any:
    if isinstance(tree, Mapping) and node.members:
        return recognised(tree, node, 3) or {}
    if isinstance(tree, list) and node.element:
        return [_renamed(one, node.element) for one in tree]
    return tree


def _named(name: str, node: Node) -> str | None:
    if name in node.members:
        return name
    return next((own for own in node.members if spelling.squeeze(own) == spelling.squeeze(name)), None)


# -- labels


def _labelled(reply: str, kind: Record) -> Found | None:
    lines = _lines(reply, kind)
    tree = put_together([(one, _clean(reply[one.end : end])) for one, end in lines])
    return Found(tree, (min(one.start for one, _ in lines), max(end for _, end in lines))) if tree else None


def _lines(reply: str, kind: Record) -> list[tuple[Opening, int]]:
    """Places that name a field, with the end of what they say; in order, so that the last of each counts."""
    found = [(one, _line_end(reply, one.end)) for one in openings(reply, BARE, kind, RECORD_LINE)]
    found += [(one, _sentence_end(reply, one.end)) for one in openings(reply, BARE, kind, RECORD_OPENING)]
    found += [(one, _section_end(reply, one.end)) for one in openings(reply, BARE, kind, RECORD_HEADING)]
    for one in openings(reply, BARE, kind, KEY):
        after = AFTER_KEY.match(reply, one.end)
        assert after is not None
        place = after.span(1) if after[1] is not None else after.span(2)
        found.append((one._replace(end=place[0]), place[1]))
    return sorted((pair for pair in found if reply[pair[0].end : pair[1]].strip()), key=lambda pair: pair[0].start)


def _line_end(text: str, start: int) -> int:
    end = text.find("\n", start)
    return len(text) if end < 0 else end


def _sentence_end(text: str, start: int) -> int:
    stop = min(len(text), start + LONGEST)
    match = NEXT_SENTENCE.search(text, start, stop) or SENTENCE_END.search(text, start, stop)
    return match.start() if match else stop


def _section_end(text: str, start: int) -> int:
    stop = min(len(text), start + LONGEST)
    match = NEXT_SECTION.search(text, start + 1, stop)
    return match.start() if match else stop


def _clean(text: str) -> str:
    return text.strip().strip("*_").strip().rstrip(",").strip("\"'` ")
