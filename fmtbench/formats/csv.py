"""A table in CSV, a column for each field in a fixed order, as RFC 4180 has it:

    reasoning,answer
    9 * 2 = 18,18

CSV is meant for lists of records: a row holds the next element of each list, and single values stand in the first row.

    vendor,lines name,lines price
    Acme,pot,12.5
    ,cup,3
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import fmtbench.answers.spelling as spelling
from fmtbench.answers import AnswerKind, Record
from fmtbench.answers.nodes import Node
from fmtbench.errors import UnaskableError
from fmtbench.formats.base import Field, Layout, Syntax
from fmtbench.formats.blanks import FILLER, blank, removed
from fmtbench.formats.names import NAMED, NOTHING
from fmtbench.formats.parts import PartName, around, fill
from fmtbench.formats.records import MOST, filled, labels, placed, shape
from fmtbench.formats.statements import heads_rationale
from fmtbench.formats.structured import Part, StructuredFormat

CELL = re.compile(r'"(?P<quoted>(?:[^"]|"")*+)(?P<end>"?)|(?P<bare>[^,\r\n"][^,\r\n]*|)')
NAME = r"[$@]?[^\W\d][\w-]{0,60}(?: [\w-]{1,60}){0,8}"
"""What a column's name looks like: unlike prose, a header has no spaces after its commas."""
HEADER = re.compile(NAME)
HEAD = re.compile(rf"\s*+(?P<names>{NAME}(?:,{NAME}){{1,99}})[ \t]*+\r?\n")
SPECIAL = re.compile(r'[",\r\n]|^\s|\s$')
LINE_END = re.compile(r"[ \t]*(?:\r?\n|\Z)")
MOST_CELLS = 2000


class CsvCell(NamedTuple):
    """One value and its place, without quotes."""

    text: str
    span: tuple[int, int]


Row = list[CsvCell]


class CsvFormat(StructuredFormat):
    """A header and its rows."""

    name = "csv"
    precedence = 50
    languages = ("csv",)
    syntax = Syntax(answer=None)  # `unpack` leaves it out

    def form(self, layout: Layout, kind: AnswerKind) -> str:
        if isinstance(kind, Record):
            return f"CSV of this form{layout.in_order('columns')}:\n{self.dump(shape(layout, kind))}"
        form = (kind.placeholder() if name == layout.answer else "<text>" for name in layout.fields)
        return f"CSV of this form{layout.in_order('columns')}:\n{_line(layout.fields)}\n{_line(list(form))}"

    def write(self, layout: Layout, kind: AnswerKind, reasoning: str, answer: str) -> str:
        if isinstance(kind, Record):
            return self.dump(filled(layout, kind, reasoning, answer))
        return f"{_line(layout.fields)}\n{_line([answer if name == layout.answer else reasoning for name in layout.fields])}"

    def dump(self, tree: Mapping[str, Any]) -> str:
        columns = dict(_columns(tree))
        rows = range(max(len(cells) for cells in columns.values()))
        lines = [_line([cells[row] if row < len(cells) else "" for cells in columns.values()]) for row in rows]
        return "\n".join([_line(list(columns)), *lines])

    def load(self, body: str, layout: Layout, kind: Record) -> dict[str, Any] | None:
        rows = table(body, least=1)
        if rows is None:
            return None
        known, tree = _paths(kind.tree), dict[str, Any]()
        for place, name in enumerate(cell.text for cell in rows[0]):
            path = known.get(spelling.squeeze(name), (name,))
            _put(tree, path, [row[place].text for row in rows[1:]])
        return tree

    def parse(self, body: str, fields: Sequence[str] | None) -> list[Part] | None:
        rows = table(body, least=2 if fields is None else 1)
        if rows is None or (fields is not None and len(rows) != 2):
            return None
        first = [Part(name.text, held.text, held.span) for name, held in zip(rows[0], rows[1])]
        below = [Part(name.text, held.text, held.span) for row in rows[2:] for name, held in zip(rows[0], row) if held.text]
        return [*first, *below]

    def divide(self, text: str, layout: Layout, kind: AnswerKind) -> list[PartName]:
        """By the header, whatever its order of columns; the last row may be cut."""
        parts, (rows, _) = around(text), _rows(text)
        if not rows or not _heads(rows[0]):
            fill(parts, [(0, len(text))], "reasoning")
            return parts
        fill(parts, [cell.span for cell in rows[0]], "key")
        for row in rows[1:]:
            for name, cell in zip(rows[0], row):
                fill(parts, [cell.span], "answer" if name.text == layout.answer else "reasoning")
        return parts

    def find(self, text: str) -> Iterator[Field]:
        """In a table that is the whole reply: the columns named like an answer, from its last row."""
        rows = table(text, least=1) or [[]]
        if len(rows[0]) == 1 and len(rows) > 2:  # lines below a heading
            return
        for name, held in zip(rows[0], rows[-1]):
            if NAMED.fullmatch(name.text):
                yield Field(name.text, "" if NOTHING.fullmatch(held.text) else held.text, held.span)

    def unpack(self, text: str, answers: bool) -> str | None:
        """Everything below the header, by local marks: a missing quote changes little around it."""
        head = HEAD.match(text)
        if head is None:
            return None
        body, names = text[head.end() :], head["names"].split(",")
        left, commas = _unquoted(body)
        place = None if answers else _answer_place(body, names, commas)
        if place and not heads_rationale(body[slice(*place)]):
            left = left[: place[0]] + blank(left[slice(*place)]) + left[place[1] :]
        return blank(head[0]) + left


def _unquoted(body: str) -> tuple[str, list[int]]:
    """A body without quotes and the commas between cells, each character at its place; and where these commas are."""
    kept, commas, end, inside = list[str](), list[int](), 0, False
    for mark in re.finditer(r'""|"|,', body):
        kept.append(body[end : mark.start()])
        end, shown = mark.end(), mark[0]
        if mark[0] == "," and not inside:
            commas.append(mark.start())
            shown = " "
        elif mark[0] == '""':
            shown = f'{FILLER}"' if inside else removed(mark[0])
        elif mark[0] == '"':
            inside, shown = not inside, removed(mark[0])
        kept.append(shown)
    return "".join([*kept, body[end:]]), commas


def _answer_place(body: str, names: Sequence[str], commas: Sequence[int]) -> tuple[int, int] | None:
    """The cell under a column at either end that is named like an answer, where its place is known."""
    if len(commas) < len(names) - 1:
        return None
    if NAMED.fullmatch(names[-1]) and '"' not in body[commas[-1] + 2 :].rstrip()[:-1]:
        return commas[-1] + 1, len(body)
    return (0, commas[0]) if NAMED.fullmatch(names[0]) else None


def table(text: str, least: int) -> list[Row] | None:
    """Header and rows of a text that is nothing but a table with at least this many columns and one row."""
    rows, whole = _rows(text)
    if not whole or len(rows) < 2 or len(rows[0]) < least or any(len(row) != len(rows[0]) for row in rows):
        return None
    return rows if len({cell.text for cell in rows[0]}) == len(rows[0]) else None


def _heads(row: Row) -> bool:
    """Whether a line can be a header."""
    return all(HEADER.fullmatch(cell.text) for cell in row)


def _rows(text: str) -> tuple[list[Row], bool]:
    """Lines as cells, blank ones left out, and whether that is the whole text: not after quotes that go on or do not end."""
    rows, row, cells = list[Row](), Row(), 0
    position, stop = len(text) - len(text.lstrip()), len(text.rstrip())
    while position <= stop:
        cell, cells = CELL.match(text, position, stop), cells + 1
        if cell is None or cells > MOST_CELLS:
            return rows, False
        group = "quoted" if cell["quoted"] is not None else "bare"
        row.append(CsvCell(cell[group].replace('""', '"') if group == "quoted" else cell[group].strip(), cell.span(group)))
        position = cell.end()
        if position < stop and text[position] == ",":
            position += 1
            continue
        line, columns = LINE_END.match(text, position), len(rows[0]) if rows else len(row)
        if line is None or cell["end"] == "" or len(row) not in (1, columns) or not (rows or _heads(row)):
            return [*rows, row], False
        if any(one.text for one in row):
            rows.append(row)
        row, position = Row(), max(line.end(), position + 1)
    return rows, True


# -- records


def _columns(tree: Mapping[str, Any], label: str = "") -> Iterator[tuple[str, list[str]]]:
    """Each column's name and its cells from the first row on. Raises `UnaskableError` for lists in lists."""
    for name, one in tree.items():
        named = f"{label} {name}".strip()
        if isinstance(one, Mapping):
            yield from _columns(one, named)
        elif isinstance(one, list) and any(isinstance(each, Mapping | list) for each in one):
            yield from _listed(named, one)
        else:
            yield named, [(", ".join(map(str, one)) or "none") if isinstance(one, list) else "none" if one is None else str(one)]


def _listed(label: str, elements: Sequence[Any]) -> Iterator[tuple[str, list[str]]]:
    rows = [dict(_columns(one, label)) if isinstance(one, Mapping) else {} for one in elements]
    if any(isinstance(one, list) for one in elements) or any(len(cells) > 1 for row in rows for cells in row.values()):
        raise UnaskableError(
            f"asked=csv holds no lists in lists, and {label!r} has some: leave out conditions such as csv_prompt"
        )
    for name in dict.fromkeys(name for row in rows for name in row):
        yield name, [row[name][0] if name in row else "" for row in rows]


def _paths(node: Node) -> dict[str, tuple[str, ...]]:
    """The path of each column, by its name without case and separators."""
    found: dict[str, tuple[str, ...]] = {}
    for one in labels(node):
        steps = [step for step in one.path if step != "[]"]
        if one.path[1:2] == ("[]",):  # where it is empty, a list of records has a column of its own
            found.setdefault(spelling.squeeze(steps[0]), one.path[:2])
        found[spelling.squeeze(" ".join(steps))] = one.path
    return found


def _put(tree: dict[str, Any], path: tuple[str, ...], texts: Sequence[str]) -> None:
    """The cells of one column where they belong; what there is one of, and that differs from row to row, is a list."""
    said = [(row, text) for row, text in enumerate(texts[:MOST], start=1) if text.strip()]
    if path[-1] == "[]":
        tree.setdefault(path[0], [])
    elif "[]" in path:
        for row, text in said:
            placed(tree, path, [row] * path.count("[]"), text)
    else:
        _put_once(tree, path, [text for _, text in said])


def _put_once(tree: dict[str, Any], path: tuple[str, ...], said: Sequence[str]) -> None:
    held = list(dict.fromkeys(said))
    placed(tree, path, [], held[0] if held else None)
    if len(held) > 1 and len(path) == 1:
        tree[path[0]] = held


def _line(cells: Sequence[str]) -> str:
    quoted = (
        '"' + cell.replace('"', '""') + '"' if SPECIAL.search(cell) or (not cell and len(cells) == 1) else cell for cell in cells
    )
    return ",".join(quoted)
