"""Records in any format: the form that is shown, the tree of a filled one, and whether a located one keeps its contract.

Formats that nest (JSON, YAML, XML) write a tree, the others a list of labelled texts: `address city`, `items 2 price`. The
rationale's parts stand before or after the record's own fields, at the top.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import fmtbench.answers.spelling as spelling
import fmtbench.formats.steps as steps
from fmtbench.answers import Record
from fmtbench.answers.json_value import JsonValue
from fmtbench.answers.nodes import Node, placeholder
from fmtbench.answers.number import Number
from fmtbench.answers.yes_no import YesNo
from fmtbench.errors import UnaskableError
from fmtbench.formats.base import Layout
from fmtbench.formats.statements import some
from fmtbench.types import Extraction

SPACE = r"[ _-]{1,3}"
MOST = 200
"""The most elements of a list in a flat format."""


class Bare(str):
    """A leaf that JSON writes without quotation marks."""

    __slots__ = ()


class Labelled(NamedTuple):
    """A leaf of a record in a flat format: the words that name it, and its text."""

    label: str
    text: str


# -- write


def shape(layout: Layout, kind: Record) -> dict[str, Any]:
    """The form that a contract shows: a placeholder for each leaf, lists with one element."""
    return joined(layout, kind, steps.placeholder(layout.rationale), _shape(kind.tree))


def filled(layout: Layout, kind: Record, reasoning: str, answer: str) -> dict[str, Any]:
    """A reply's tree: the record of a JSON text with a rationale."""
    return joined(layout, kind, steps.laid_out(reasoning, layout.rationale), _filled(json.loads(answer), kind.tree))


def joined(layout: Layout, kind: Record, rationale: Any, record: Mapping[str, Any]) -> dict[str, Any]:
    """Something for each field of a record, and `rationale` for each part of a rationale, in the order of the layout.

    Raises `UnaskableError` where the record has a field of such a part's name.
    """
    own = set(map(spelling.squeeze, kind.tree.members))
    if taken := [stage for stage in layout.stages if spelling.squeeze(stage) in own]:
        raise UnaskableError(
            f"the schema has a field like the rationale's {taken[0]!r}: give the condition another reasoning_field"
        )
    stages = dict.fromkeys(layout.stages, rationale)
    return {**record, **stages} if layout.order == "answer_first" else {**stages, **record}


def _shape(node: Node) -> Any:
    if node.members:
        return {name: _shape(member) for name, member in node.members.items()}
    if node.element:
        return [_shape(node.element)]
    return _bare(placeholder(node), node)


def _filled(value: Any, node: Node) -> Any:
    """Values as leaves, in the schema's order; empty ones are left out if they may be."""
    if node.members and isinstance(value, dict):
        wanted = {name: one for name, one in node.members.items() if name in value or (one.required and one.nullable)}
        return {
            name: _filled(value.get(name), one)
            for name, one in wanted.items()
            if value.get(name) is not None or one.nullable or one.required
        }
    if node.element and isinstance(value, list):
        return [_filled(one, node.element) for one in value]
    if value is None:
        return None
    if isinstance(node.kind, JsonValue):
        return Bare(json.dumps(value, ensure_ascii=False))
    return _bare(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False), node)


def _bare(text: str, node: Node) -> str:
    """Writes numbers and truth values, and their placeholders, without quotes."""
    if not isinstance(node.kind, Number | YesNo | JsonValue):
        return text
    return Bare(text) if text == placeholder(node) or BARE.fullmatch(text) else text


BARE = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false")


def flat(tree: Any, label: str = "") -> Iterator[Labelled]:
    """The leaves of a tree in a flat format; a list of scalars is one text with commas, or with semicolons."""
    if isinstance(tree, Mapping):
        for name, one in tree.items():
            yield from flat(one, f"{label} {name}".strip())
    elif isinstance(tree, list) and any(isinstance(one, Mapping | list) for one in tree):
        for number, one in enumerate(tree, start=1):
            yield from flat(one, f"{label} {number}")
    elif isinstance(tree, list):
        yield Labelled(label, ", ".join(map(str, tree)) or "none")
    else:
        yield Labelled(label, "none" if tree is None else str(tree))


# -- read


def merged(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """An object of a format that nests; a key that occurs twice, or more often, has a list of what it holds."""
    found: dict[str, Any] = {}
    twice: set[str] = set()
    for key, value in pairs:
        value = json.dumps(value) if isinstance(value, bool) else value
        if key not in found:
            found[key] = value
        else:
            found[key] = [*(found[key] if key in twice else [found[key]]), value]
            twice.add(key)
    return found


class FieldLabel(NamedTuple):
    """How a flat format names a leaf: a pattern with a group for the number of each element, and its path."""

    pattern: str
    path: tuple[str, ...]


def labels(node: Node, pattern: str = "", path: tuple[str, ...] = ()) -> Iterator[FieldLabel]:
    """Of every leaf, as patterns without named groups; a group `(\\d+)` stands for the number of an element."""
    if node.members:
        for name, member in node.members.items():
            words = SPACE.join(map(re.escape, filter(None, re.split(r"[\s_-]+", name))))
            yield from labels(member, f"{pattern}{SPACE}{words}" if pattern else words, (*path, name))
    elif node.element and (node.element.members or node.element.element):
        yield from labels(node.element, rf"{pattern}{SPACE}(\d{{1,3}})", (*path, "[]"))
    else:
        yield FieldLabel(pattern, path)


@lru_cache(maxsize=256)
def patterns(kind: Record, template: str, flags: int) -> list[tuple[re.Pattern[str], tuple[str, ...]]]:
    """A template with `LABEL` in it, for each leaf."""
    return [(re.compile(template.replace("LABEL", one.pattern), flags), one.path) for one in labels(kind.tree)]


class Opening(NamedTuple):
    """A place where a flat format names a leaf or a part of the rationale; its text begins at `end`."""

    start: int
    end: int
    path: tuple[str, ...]
    numbers: list[int]


def openings(text: str, layout: Layout, kind: Record, template: str, flags: int = re.I | re.M) -> list[Opening]:
    """All openings, in order."""
    found = [
        Opening(match.start(), match.end(), path, [int(one) for one in match.groups()])
        for pattern, path in patterns(kind, template, flags)
        for match in some(list(pattern.finditer(text)))
    ]
    for stage in layout.stages:
        words = SPACE.join(map(re.escape, re.split(r"[\s_-]+", stage)))
        matches = some(list(re.finditer(template.replace("LABEL", words), text, flags)))
        found += [Opening(match.start(), match.end(), (stage,), []) for match in matches]
    return sorted(found, key=lambda one: (one.start, -one.end))


def put_together(found: Sequence[tuple[Opening, str]]) -> dict[str, Any] | None:
    """The tree of labelled texts; of a label that occurs twice, both. None where there are none."""
    tree: dict[str, Any] = {}
    for opening, text in found:
        placed(tree, opening.path, list(opening.numbers), text.strip() or None)
    return tree or None


def placed(tree: dict[str, Any], path: tuple[str, ...], numbers: list[int], text: str | None) -> None:
    """Put a labelled text where it belongs in a tree that is being made."""
    here: Any = tree
    for step, following in zip(path, (*path[1:], None)):
        if step == "[]":
            number = max(1, numbers.pop(0))
            while len(here) < min(number, MOST):
                here.append([] if following == "[]" else {})
            here = here[min(number, MOST) - 1]
        elif following is None:
            here[step] = text
        else:
            here = here.setdefault(step, [] if following == "[]" else {})


def judged(tree: Mapping[str, Any] | None, layout: Layout, kind: Record, found: Extraction, span: tuple[int, int]) -> Extraction:
    """A located tree as an extraction: `ok` where the rationale stands where it should and the record keeps to its schema.

    `found` is what there is where none was located.
    """
    if tree is None:
        return found
    record = {name: one for name, one in tree.items() if name not in layout.stages}
    stages = tuple(name for name in tree if name in layout.stages)
    outer = [*record, *layout.stages] if layout.order == "answer_first" else [*layout.stages, *record]
    listed = layout.rationale != "list" or all(steps.is_list(tree[stage]) for stage in stages)
    if stages != layout.stages or not listed or list(tree) != outer or kind.fault(record):
        return Extraction(status="schema_violation", reasoning=found.reasoning)
    if not record:
        return Extraction(status="no_answer", reasoning=found.reasoning)
    answer = json.dumps(record, ensure_ascii=False)
    return Extraction(status="ok", answer=answer, span=span, reasoning=found.reasoning)
