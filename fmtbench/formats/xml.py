"""XML elements with fixed names in a fixed order: <reasoning>9 * 2 = 18</reasoning><answer>18</answer>

Elements are found by their tags: models leave `<` and `&` unescaped in a rationale, which an XML parser would reject. No
entities but XML's own five and character numbers are ever expanded. An XML declaration and one element around all the others
are allowed.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fmtbench.answers import AnswerKind, Record
from fmtbench.decoding.patterns import literal
from fmtbench.errors import UnaskableError
from fmtbench.formats.base import Field, Layout, Syntax
from fmtbench.formats.flat import BLANKS, ValuePatterns, in_lines
from fmtbench.formats.names import NAMED, NAMES
from fmtbench.formats.records import filled, merged, shape
from fmtbench.formats.statements import some
from fmtbench.formats.structured import Part, StructuredFormat
from fmtbench.types import Constraint

DEEPEST = 20
TAG = re.compile(r"[A-Za-z_][\w.-]{0,80}")
WRAPPERS = ("item", "entry", "element", *(f"item{number}" for number in range(300)))
SHOWN = re.compile(r"&lt;([\w -]+)&gt;")
DECLARATION = re.compile(r"\s*<\?xml[^<>]*\?>")
OPENING = re.compile(r"\s*<([A-Za-z_][\w.-]{0,80})(?:\s[^<>]*)?>")
BLANK = re.compile(r"\s*$")
ENTITY = re.compile(r"&(?:lt|gt|amp|quot|apos|#\d{1,7}|#x[\da-fA-F]{1,6});")
CDATA = re.compile(r"\s*<!\[CDATA\[(.*?)\]\]>\s*", re.S)
FIELD = re.compile(rf"<({NAMES})(?:\s[^<>]{{0,200}})?(?:/>|>(?P<held>(?:[^<]|<(?!/?\1[\s>]))*+)(?:</\1\s*>)?)", re.I)
INNER_TAG = re.compile(r"</?[A-Za-z_]\w*>")
COMMENT = re.compile(r"\s*<!--.*?-->", re.S)


class XmlFormat(StructuredFormat):
    """Elements beside one another."""

    name = "xml"
    precedence = 20
    languages = ("xml",)
    enforceable = True
    syntax = Syntax(
        answer=re.compile(rf"<({NAMES})(?:\s[^<>]{{0,200}})?>(?:(?:[^<]|<(?!/?\1\b))*+</\1\s{{0,9}}>?|[^<\n]*+)", re.I),
        tags=re.compile(r"</?[A-Za-z][\w.-]{0,80}\s{0,9}(?:/?>|\Z)|<\?xml[^<>]{0,100}>|<!\[CDATA\[|\]\]>"),
    )

    def form(self, layout: Layout, kind: AnswerKind) -> str:
        if isinstance(kind, Record):
            return f"XML of this form{layout.in_order('elements')}:\n" + SHOWN.sub(r"[\1]", self.dump(shape(layout, kind)))
        answer = f"[{kind.placeholder().strip('<>')}]"
        form = (f"<{name}>{answer if name == layout.answer else '[text]'}</{name}>" for name in layout.fields)
        return f"XML of this form{layout.in_order('elements')}:\n" + "\n".join(form)

    def write(self, layout: Layout, kind: AnswerKind, reasoning: str, answer: str) -> str:
        if isinstance(kind, Record):
            return self.dump(filled(layout, kind, reasoning, answer))
        content = {name: html.escape(answer if name == layout.answer else reasoning, quote=False) for name in layout.fields}
        return "\n".join(f"<{name}>{written}</{name}>" for name, written in content.items())

    def grammar(self, layout: Layout, kind: AnswerKind, fields: Constraint) -> Constraint:
        return in_lines(SPELLING, layout, fields)

    def dump(self, tree: Mapping[str, Any]) -> str:
        return "\n".join(_written(name, one) for name, one in tree.items())

    def load(self, body: str, layout: Layout, kind: Record) -> dict[str, Any] | None:
        elements = parse_elements(body)
        if elements is None:
            return None
        known = re.compile("|".join(map(re.escape, (*layout.stages, *kind.tree.members))))
        return merged([(one.name, _tree(one, body, 0)) for one in _unwrapped(elements, body, known)])

    def parse(self, body: str, fields: Sequence[str] | None) -> list[Part] | None:
        elements = parse_elements(body)
        if elements is None:
            return None
        known = NAMED if fields is None else re.compile("|".join(map(re.escape, fields)))
        return [_part(element, body) for element in _unwrapped(elements, body, known)]

    def opening(self, name: str) -> str:
        return rf"<(?P<key>{re.escape(name)})(?:\s[^<>]*)?>"

    def closing(self, name: str) -> str:
        return rf"</{re.escape(name)}>|</[\w.-]*\Z|<\Z"

    def find(self, text: str) -> Iterator[Field]:
        for match in some(list(FIELD.finditer(text))):
            place = match.span("held") if match["held"] is not None else (match.end(), match.end())
            yield Field(match[1], inner_text(match["held"] or ""), place)


def _written(name: str, value: Any) -> str:
    """A list's elements stand inside the list's own element, all under one name."""
    if not TAG.fullmatch(name):
        raise UnaskableError(f"XML has no element called {name!r}: rename the field, or leave asked=xml out")
    if isinstance(value, Mapping):
        inner = "".join(_written(*one) for one in value.items())
    elif isinstance(value, list):
        taken = {key for one in value if isinstance(one, Mapping) for key in one}
        inner = "".join(_written(next(word for word in WRAPPERS if word not in taken), one) for one in value)
    else:
        inner = "" if value is None else html.escape(value, quote=False)
    return f"<{name}>{inner}</{name}>"


def _tree(element: Element, body: str, level: int) -> Any:
    inner = _elements(body, element.start, element.end) if level < DEEPEST else None
    if inner:
        return merged([(one.name, _tree(one, body, level + 1)) for one in inner])
    return unescaped(body[element.start : element.end]).strip() or None


# -- grammar

SIGN = r"([^<&\x00-\x08\x0B-\x1F\x7F\uFFFE\uFFFF]|&(lt|gt|amp);)"
"""What an element may hold; to most readers, a bare `<` begins a tag."""
SEEN = rf"([^<&\x00-\x20\x7F\uFFFE\uFFFF{BLANKS}]|&(lt|gt|amp);)"


def _element(name: str, value: str) -> str:
    if not TAG.fullmatch(name):
        raise UnaskableError(f"XML has no element called {name!r}: rename the field, or leave asked=xml out")
    return f"<{literal(name)}>{value}</{literal(name)}>"


SPELLING = ValuePatterns(
    asked="xml",
    text=rf"([ \n]{{0,3}}{SEEN}{SIGN}*)",
    rationale=f"({SIGN}*)",
    null="",
    literal=lambda value: literal(html.escape(value, quote=False)),
    field=_element,
)


@dataclass(frozen=True, kw_only=True)
class Element:
    """One element's name, and the place of its content."""

    name: str
    start: int
    end: int


def unescaped(content: str) -> str:
    """An element's content as text: without CDATA's brackets, or with entities undone."""
    whole = CDATA.fullmatch(content)
    return whole[1] if whole else ENTITY.sub(lambda match: html.unescape(match[0]), content)


def inner_text(content: str) -> str:
    """The text of an element and of those inside it, one a line."""
    return unescaped("\n".join(map(str.strip, INNER_TAG.split(content)))).strip()


def parse_elements(text: str) -> list[Element] | None:
    """The elements of a text that is nothing but elements and white space, in order; None for any other."""
    declaration = DECLARATION.match(text)
    start = declaration.end() if declaration else 0
    while comment := COMMENT.match(text, start):
        start = comment.end()
    return _elements(text, start, len(text))


def _elements(text: str, position: int, stop: int) -> list[Element] | None:
    elements = []
    while BLANK.match(text, position, stop) is None:
        opening = OPENING.match(text, position, stop)
        end = text.find(f"</{opening[1]}>", opening.end(), stop) if opening else -1
        if opening is None or end < 0:
            return None
        elements.append(Element(name=opening[1], start=opening.end(), end=end))
        position = end + len(f"</{opening[1]}>")
    return elements or None


def _unwrapped(elements: list[Element], body: str, known: re.Pattern[str]) -> list[Element]:
    """The elements inside one element around all, unless that one's own name is known."""
    if len(elements) > 1 or known.fullmatch(elements[0].name):
        return elements
    return _elements(body, elements[0].start, elements[0].end) or elements


def _part(element: Element, body: str) -> Part:
    nested = _elements(body, element.start, element.end) is not None
    written = None if nested else unescaped(body[element.start : element.end])
    return Part(element.name, written, (element.start, element.end))
