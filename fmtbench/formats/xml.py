"""XML elements with fixed names in a fixed order: <reasoning>9 * 2 = 18</reasoning><answer>18</answer>

The reader asks for the structure alone, as in `json_object.py`, and finds it by the tags: models leave `<` and `&` unescaped
in a rationale, which an XML parser would refuse, and no entity but XML's own five and character numbers is ever expanded. An
XML declaration and one element around all the others are allowed.
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass

from fmtbench.answers import AnswerKind
from fmtbench.formats.base import Contract, Layout
from fmtbench.formats.fence import unfenced
from fmtbench.types import Extraction, Status

DECLARATION = re.compile(r"\s*<\?xml[^<>]*\?>")
OPENING = re.compile(r"\s*<([A-Za-z_][\w.-]*)(?:\s[^<>]*)?>")
ENTITY = re.compile(r"&(?:lt|gt|amp|quot|apos|#\d{1,7}|#x[\da-fA-F]{1,6});")
CDATA = re.compile(r"\s*<!\[CDATA\[(.*?)\]\]>\s*", re.S)


class XmlContract(Contract):
    """Elements beside one another."""

    def ask(self, layout: Layout, kind: AnswerKind) -> str:
        order = ", with the elements in this order" if len(layout.fields) > 1 else ""
        answer = f"[{kind.placeholder().strip('<>')}]"
        form = (f"<{name}>{answer if name == layout.answer else '[text]'}</{name}>" for name in layout.fields)
        return f"Reply with only XML of this form{order}:\n" + "\n".join(form)

    def read(self, text: str, layout: Layout, kind: AnswerKind) -> Extraction:
        offset, body = unfenced(text, "xml")
        elements = parse_elements(body)
        if elements is None:
            return Extraction(status="invalid_format" if text.strip() else "no_answer")
        elements = unwrapped(elements, body, re.compile("|".join(map(re.escape, layout.fields))))
        spans = {element.name: (element.start + offset, element.end + offset) for element in elements}
        reasoning = tuple(spans[stage] for stage in layout.stages if stage in spans)
        if (status := _status(elements, layout, body)) != "ok":
            return Extraction(status=status, reasoning=reasoning)
        answer = next(element for element in elements if element.name == layout.answer)
        return Extraction(status="ok", answer=answer.written(body), span=spans[layout.answer], reasoning=reasoning)

    def example(self, layout: Layout, kind: AnswerKind, reasoning: str, answer: str) -> str:
        content = {name: html.escape(answer if name == layout.answer else reasoning, quote=False) for name in layout.fields}
        return "\n".join(f"<{name}>{written}</{name}>" for name, written in content.items())


@dataclass(frozen=True, kw_only=True)
class Element:
    """One element's name, and where its content stands."""

    name: str
    start: int
    end: int

    def written(self, body: str) -> str:
        """The content as text: without CDATA's brackets, or with entities undone."""
        return unescaped(body[self.start : self.end])


def unescaped(content: str) -> str:
    """An element's content as text."""
    whole = CDATA.fullmatch(content)
    return whole[1] if whole else ENTITY.sub(lambda match: html.unescape(match[0]), content)


def parse_elements(text: str) -> list[Element] | None:
    """The elements of a text that is elements and white space alone, in order; None where it is anything else."""
    declaration = DECLARATION.match(text)
    return _elements(text, declaration.end() if declaration else 0, len(text))


def _elements(text: str, position: int, stop: int) -> list[Element] | None:
    elements = []
    while text[position:stop].strip():
        opening = OPENING.match(text, position, stop)
        end = text.find(f"</{opening[1]}>", opening.end(), stop) if opening else -1
        if opening is None or end < 0:
            return None
        elements.append(Element(name=opening[1], start=opening.end(), end=end))
        position = end + len(f"</{opening[1]}>")
    return elements or None


def unwrapped(elements: list[Element], body: str, known: re.Pattern[str]) -> list[Element]:
    """The elements inside one element around all, whose own name is not known."""
    around = len(elements) == 1 and not known.fullmatch(elements[0].name)
    return (_elements(body, elements[0].start, elements[0].end) if around else None) or elements


def _status(elements: list[Element], layout: Layout, body: str) -> Status:
    if tuple(element.name for element in elements) != layout.fields:
        return "schema_violation"
    answer = next(element for element in elements if element.name == layout.answer)
    if _elements(body, answer.start, answer.end):
        return "schema_violation"
    return "ok" if answer.written(body).strip() else "no_answer"
