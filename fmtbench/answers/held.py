"""What a located record holds in each leaf, and the verdict on each: one rule, whatever format it was written in.

A tree is what a format's file makes of a reply: dicts, lists, and leaves as the model wrote them (None where a format says that
there is nothing). Verdicts, with what the gold record has at the leaf:

    right           the same by the leaf's own kind          absent          nothing, and nothing is given
    wrong           another value is given                   hallucinated    nothing, and a value is given
    omitted         a value, and none is given               unread          no record was located in the reply at all
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from typing import Any, Literal

from fmtbench.answers.base import AnswerKind
from fmtbench.answers.inlining import below, inside
from fmtbench.answers.json_value import JsonValue, as_json
from fmtbench.answers.nodes import Node, leaves, text_of
from fmtbench.answers.words import Label

Verdict = Literal["right", "absent", "wrong", "omitted", "hallucinated", "unread"]
GOOD = ("right", "absent")
FILLED, EMPTY = "filled", "empty"
"""What the gold record holds at a leaf."""
NOTHING = re.compile(
    r"[\W_]*(?:null|none|nil|n/?a|unknown"
    r"|not (?:given|stated|specified|mentioned|available|applicable|provided|present|found))[\W_]*",
    re.I,
)
DASHES = re.compile(r"[-–—~]*")
SHOWN = re.compile(r"[<\[](?:text|number|label|JSON|YYYY-MM-DD|true or false)[>\]]")
"""What stands for a leaf when a contract shows the form of a record."""
SEPARATED = re.compile(r"[,;\n、]|\s(?:and|&)\s")
BULLET = re.compile(r"^\s{0,9}(?:[-*•+]|\d{1,3}[.)])\s+", re.M)
Value = str | None | list[str | None]


def said(written: str, kind: AnswerKind) -> str | None:
    """What a leaf's text says; None if it says that there is nothing, or repeats the form that was shown."""
    text = written.strip()
    if SHOWN.fullmatch(text) or DASHES.fullmatch(text):
        return None
    named = (isinstance(kind, Label) and kind.canon(text)) or (isinstance(kind, JsonValue) and text[:1] in "[{")
    if NOTHING.fullmatch(text) and not named:
        return None
    return text


def held(tree: Any, node: Node, path: str = "") -> dict[str, Value]:
    """What each leaf holds: a text, or for a leaf inside a list, the texts of all its elements in order."""
    if node.members:
        branch = tree if isinstance(tree, Mapping) else {}
        found: dict[str, Value] = {}
        for name, member in node.members.items():
            found |= held(branch.get(name), member, below(path, name))
        return found
    if node.element is None:
        return {path: scalar(tree, node)}
    elements = listed(tree, node.element)
    if node.element.kind is not None:
        return {path: _texts([scalar(one, node.element) for one in elements])}
    each = [held(one, node.element, inside(path)) for one in elements]
    return {name: _joined([one[name] for one in each]) for name, _ in leaves(node.element, inside(path))}


def scalar(tree: Any, node: Node) -> str | None:
    assert node.kind is not None
    if isinstance(tree, list) and len(tree) == 1 and not isinstance(node.kind, JsonValue):
        tree = tree[0]
    if tree is None:
        return None
    return said(tree if isinstance(tree, str) else json.dumps(tree, ensure_ascii=False), node.kind)


def listed(tree: Any, element: Node) -> list[Any]:
    """The elements of a list, however a format writes it: as a list, as text with separators, or wrapped in one more element."""
    if tree is None:
        return []
    if isinstance(tree, Mapping) and len(tree) == 1 and not set(tree) & set(element.members):
        return listed(next(iter(tree.values())), element)  # <tags><tag>a</tag><tag>b</tag></tags>
    if isinstance(tree, str) and isinstance(element.kind, JsonValue):
        return _unfolded(tree)
    if isinstance(tree, str) and element.kind is not None:
        return _split(tree, element.kind)
    return tree if isinstance(tree, list) else [tree]


def _unfolded(text: str) -> list[Any]:
    """The values of a list that a format writes as JSON; any other text is one value."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return [text]
    return found if isinstance(found, list) else [found]


def _split(text: str, kind: AnswerKind) -> list[str]:
    if said(text, kind) is None:
        return []
    inner = BULLET.sub("", text.strip().removeprefix("[").removesuffix("]"))
    return [part.strip().strip("\"'") for part in SEPARATED.split(inner) if part.strip()]


def _texts(values: list[str | None]) -> Value:
    return [one for one in values if one is not None] or None


def _joined(values: list[Value]) -> Value:
    """Flattens elements that are lists themselves into one list."""
    flat: list[str | None] = []
    for one in values:
        flat += one if isinstance(one, list) else [one]
    return flat if any(one is not None for one in flat) else None


def verdict(given: Value, gold: Value, node: Node, ordered: bool) -> Verdict:
    """`ordered`: whether the lists around and at the leaf are compared in their order."""
    if gold is None:
        return "absent" if given is None else "hallucinated"
    if given is None:
        return "omitted"
    kind = (node.element or node).kind
    assert kind is not None
    given_, gold_ = _elements(given), _elements(gold)
    if ordered:
        alike = len(given_) == len(gold_) and all(same(one, other, kind) for one, other in zip(given_, gold_))
        return "right" if alike else "wrong"
    return "right" if _counted(given_, kind) == _counted(gold_, kind) else "wrong"


def _elements(value: Value) -> list[str | None]:
    return value if isinstance(value, list) else [value]


def same(given: str | None, gold: str | None, kind: AnswerKind) -> bool:
    return given is gold if gold is None else kind.same(given, gold)


def _counted(values: list[str | None], kind: AnswerKind) -> Counter[str | None]:
    """The values with their counts. What cannot be read stands for itself, and equals nothing that can."""
    return Counter(None if one is None else kind.canon(one) or f"\0{one}" for one in values)


def in_order(tree: Node, path: str = "", ordered: bool = True) -> dict[str, bool]:
    """For each leaf, whether its lists are compared in order."""
    if tree.members:
        merged: dict[str, bool] = {}
        for name, member in tree.members.items():
            merged |= in_order(member, below(path, name), ordered)
        return merged
    if tree.element and (tree.element.members or tree.element.element):
        return in_order(tree.element, inside(path), ordered and tree.ordered)
    return {path: ordered and tree.ordered}


def typed(tree: Any, node: Node) -> Any:
    """The record as JSON, each leaf read by its kind, so that one schema can judge every format.

    What cannot be read stays as written, and what is empty is left out unless it is required.
    """
    if node.members and isinstance(tree, Mapping):
        made = {}
        for name, one in tree.items():
            member = node.members.get(name)
            if member is None:
                made[name] = one
            elif not _empty(one, member):
                made[name] = typed(one, member)
            elif member.nullable:
                made[name] = None
            elif member.required:
                made[name] = [] if member.element else one
        return made
    if node.element and not isinstance(tree, Mapping | list | str):
        return tree
    if node.element:
        return [typed(one, node.element) for one in listed(tree, node.element)]
    return _typed_scalar(tree, node)


def _empty(tree: Any, node: Node) -> bool:
    if node.kind is not None:
        return scalar(tree, node) is None
    return tree is None or (bool(node.element) and not listed(tree, node.element or node))


def _typed_value(tree: Any, node: Node) -> Any:
    """A value that is judged as a whole, whether a format nests it or writes it as JSON in a text."""
    if isinstance(tree, str):
        try:
            tree = json.loads(tree)
        except (ValueError, RecursionError):
            return tree
    return as_json(tree, node.schema)


def _typed_scalar(tree: Any, node: Node) -> Any:
    if isinstance(node.kind, JsonValue):
        return _typed_value(tree, node)
    if node.kind is None or not isinstance(tree, str) or (text := said(tree, node.kind)) is None:
        return None if node.nullable else tree
    values = node.schema.get("enum", [node.schema["const"]] if "const" in node.schema else None)
    canonical = node.kind.canon(text)
    if canonical is None:
        return text
    if values is not None:
        return {text_of(one): one for one in values}.get(canonical, text)
    types = {node.type} | {str(one.get("type")) for one in node.schema.get("anyOf", ())}
    if types & {"number", "integer"}:
        return _number(canonical)
    if node.type == "boolean":
        return canonical == "yes"
    return canonical if node.schema.get("format") == "date" else text


def _number(canonical: str) -> int | float:
    over, _, under = canonical.partition("/")
    value = float(over) / float(under or 1)
    return int(over) if not under and "." not in over else value
