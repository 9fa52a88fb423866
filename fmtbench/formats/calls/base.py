"""What a call syntax is, and the object that most of them hold: {"name": "submit", "arguments": {"answer": 18}}."""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any, ClassVar, NamedTuple

from fmtbench.decoding.grammar import regex
from fmtbench.decoding.patterns import literal
from fmtbench.formats.json import DECODER, JsonFormat, Member, load_object, parse_object
from fmtbench.formats.records import merged
from fmtbench.formats.structured import Part, unfenced
from fmtbench.types import Constraint

JSON = JsonFormat()
MOST = 50
"""The most calls in one reply; more are a loop."""
TRIES = 20
"""How many places, from the end of a text, are searched for a call inside prose."""
HEAD = re.compile(r'\{\s{0,9}"(?:name|type|id|function|arguments|parameters)"\s{0,9}:')
NAMED = ("name", "function")
GIVEN = ("arguments", "parameters")
Place = tuple[int, int]
KEYS = frozenset({*NAMED, *GIVEN, "id", "type", "index"})
"""The only keys of a call's object; one with other keys is a record of something else."""


class Call(NamedTuple):
    """One call, as a model wrote it."""

    name: str
    arguments: str
    """As JSON text; exactly as in the reply, unless that uses another notation."""
    parts: list[Part]
    """The arguments in their order, with their places in the text."""
    tree: dict[str, Any]
    """The same, with scalars as written."""
    place: Place
    """Where the call stands in the text."""

    @property
    def end(self) -> int:
        return self.place[1]


class CallSyntax(ABC):
    """How a family of models writes calls."""

    rendered: ClassVar[str]
    """A regular expression for its marks in these models' chat templates; empty if no template writes any."""

    @abstractmethod
    def parse(self, text: str) -> list[Call] | None:
        """The calls in a text that is nothing but calls in this syntax; None for any other text."""

    @abstractmethod
    def grammar(self, name: str, fields: Constraint) -> Constraint:
        """One call of this tool, with arguments that `fields` allows."""

    @abstractmethod
    def write(self, name: str, arguments: Mapping[str, Any]) -> str:
        """A call. Leaves of the arguments are as `JsonFormat.dump` takes them."""


def enclosed(before: str, fields: Constraint, after: str) -> Constraint:
    """What `fields` allows, between two texts."""
    return Constraint(kind="regex", source=f"{literal(before)}({regex(fields)}){literal(after)}")


# -- objects


def object_call(text: str, start: int, end: int) -> Call | None:
    """The call that an object from `start` to `end` is; the function may be an object in it, as OpenAI has it."""
    members = parse_object(text[start:end])
    if members is None:
        return None
    held = {member.key: member for member in members}
    inner = held.get("function")
    if inner is not None and isinstance(inner.value, dict) and "function" not in inner.value:
        called = object_call(text, start + inner.start, start + inner.end)
        return called and called._replace(place=(start, end))
    name, given = (next((held[key] for key in keys if key in held), None) for keys in (NAMED, GIVEN))
    if name is None or given is None or not isinstance(name.value, str) or not held.keys() <= KEYS or len(held) < len(members):
        return None
    return arguments_call(name.value, text, (start + given.start, start + given.end), (start, end), given)


def arguments_call(name: str, text: str, held: Place, place: Place, given: Member | None = None) -> Call | None:
    """A call whose arguments are the object at `held`, or a string that holds one: some models encode it twice."""
    start, stop = held
    written = given.value if given is not None and isinstance(given.value, str) else text[start:stop]
    parts, tree = JSON.parse(written, None), load_object(written)
    if parts is None or tree is None:
        return None
    own = written == text[start:stop]
    spans = [(start + part.span[0], start + part.span[1]) if own else held for part in parts]
    return Call(name, written, [part._replace(span=span) for part, span in zip(parts, spans)], tree, place)


def objects(text: str, position: int, stop: int, between: str) -> list[Call] | None:
    """The calls of objects that stand one after the other, with these characters and white space between them."""
    found: list[Call] = []
    while (position := skipped(text, position, between)) < stop:
        one = object_from(text, position)
        if one is None or one.end > stop or len(found) == MOST:
            return None
        found.append(one)
        position = one.end
    return found or None


def object_from(text: str, start: int) -> Call | None:
    """The call that begins here, whatever follows it."""
    if HEAD.match(text, start) is None:
        return None
    try:
        _, end = DECODER.raw_decode(text, start)
    except (ValueError, RecursionError):
        return None
    return object_call(text, start, end)


def skipped(text: str, position: int, signs: str) -> int:
    """The next place with neither white space nor one of these signs."""
    found = _skipping(signs).match(text, position)
    return found.end() if found else position


@cache
def _skipping(signs: str) -> re.Pattern[str]:
    return re.compile(rf"[\s{re.escape(signs)}]*+")


def objects_inside(text: str) -> Iterator[Call]:
    """Calls that are objects, anywhere in a text, in order; if there are many, the last ones."""
    if not any(f'"{key}"' in text for key in GIVEN):
        return
    last = 0
    for head in list(HEAD.finditer(text))[-TRIES:]:
        one = object_from(text, head.start()) if head.start() >= last else None
        if one is not None:
            last = one.end
            yield one


def bare(text: str, start: int, end: int) -> Place:
    """A place, without the Markdown fence around its content."""
    offset, body = unfenced(text[start:end], None)
    return start + offset, start + offset + len(body)


# -- any tree


def opened(tree: Mapping[str, Any]) -> Mapping[str, Any]:
    """The arguments of a tree that is a call; any other tree as it is."""
    inner = tree.get("function")
    if isinstance(inner, Mapping):
        return opened(inner) if tree.keys() <= KEYS else tree
    given = next((tree[key] for key in GIVEN if key in tree), None)
    if not any(isinstance(tree.get(key), str) for key in NAMED) or not tree.keys() <= KEYS:
        return tree
    if isinstance(given, str):
        given = load_object(given)
    return given if isinstance(given, Mapping) else tree


def together(calls: Sequence[Call]) -> dict[str, Any]:
    """The arguments of all calls; a name that occurs twice has a list of both."""
    return merged([pair for call in calls for pair in call.tree.items()])


def object_text(name: str, key: str, arguments: Mapping[str, Any]) -> str:
    """The object of a call."""
    return f'{{"name": {json.dumps(name)}, "{key}": {JSON.dump(arguments)}}}'
