"""Your own questions, from a file or the hub, without a YAML: columns are found by their usual names.

    task=file task.file.path=qa.csv task.file.answer=number

{"question": "What is the capital of Ukraine?", "answer": ["Kyiv", "Kiev"]}
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path as FilePath
from typing import Any, Literal, get_args

from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

import fmtbench.answers as answers
import fmtbench.tasks.columns as columns
from fmtbench.answers import AnswerKind, Choice, Label, Text, spelling
from fmtbench.answers.named import KINDS
from fmtbench.errors import UserError
from fmtbench.tasks.base import Task
from fmtbench.tasks.data_file import FOUND, Format
from fmtbench.tasks.gold_records import gold_record
from fmtbench.tasks.golds import accepted, first_number, letter, told_apart
from fmtbench.tasks.options import bare, listed, show
from fmtbench.tasks.source import Source
from fmtbench.tasks.source_row import BROKEN, Path, SourceRow
from fmtbench.tasks.table_cells import Options, empty, options_in, options_of, texts_in, unpacked
from fmtbench.types import Item

Answer = Literal["number", "choice", "yes_no", "text", "label", "set", "math", "record"]
DECIMAL_COMMA = re.compile(r"-?\d+,\d+")
TAB = ("tab", "\\t")


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class OwnQuestions(Task):
    """One answer kind for all rows. Raises `UserError` for settings that contradict each other, and for a faulty row."""

    path: str | None = None
    """The file; a relative path is relative to where the command starts."""
    hub_id: str | None = None
    config: str | None = None
    split: str = "test"
    revision: str | None = None
    answer: Answer | None = None
    question: str | tuple[str, ...] | None = None
    """Column of the question, as `gold`, `choices`, `id` and `stratum` are; None finds those that have a usual name.

    Several are joined by line breaks.
    """
    ask: str | None = None
    """Words added to every question, for columns that hold texts without a question."""
    gold: str | None = None
    """A cell may hold a list of accepted answers; for a set, the list is the set."""
    choices: str | tuple[str, ...] | None = None
    """A column of lists, or a column for each option."""
    id: str | None = None
    """Without such a column, the id is made from the row's number."""
    stratum: str | None = None
    labels: tuple[str, ...] | None = None
    """All labels, in the order in which the model sees them; None takes the labels that occur, sorted."""
    schema: str | None = None
    """For records, the JSON schema as JSON text; on the command line it is `schema.path=` or `schema.model=`."""
    format: Format | None = None
    records: str | None = None
    delimiter: str | None = None
    licence: str = ""
    citation: str = ""

    def __post_init__(self) -> None:
        if (self.path is None) == (self.hub_id is None):
            raise UserError("give either path, as in task.file.path=qa.csv, or hub_id with a data set of the hub")
        if self.schema is not None and self.answer is None:
            object.__setattr__(self, "answer", "record")
        if (self.schema is None) != (self.answer != "record"):
            raise UserError(f"answer={self.answer}: a schema goes with answer=record, and only with it; give schema.path=FILE")
        if self.schema is not None:
            _ = answers.Record(source=self.schema).tree  # rejects what no record can have
        if self.answer is None:
            raise UserError(f"answer is missing: give one of {', '.join(get_args(Answer))}, as in task.file.answer=number")
        if self.delimiter is not None and len(self.delimiter) != 1 and self.delimiter not in TAB:
            raise UserError(f"delimiter={self.delimiter!r}: give one character, such as ';', or tab")
        if self.labels is not None and (self.answer != "label" or len(set(self.labels)) < 2):
            raise UserError(f"labels={list(self.labels)}: give two or more, and only with answer=label, got answer={self.answer}")
        if self.choices is not None and self.answer != "choice":
            raise UserError(f"choices={self.choices}: only answer=choice has them, got answer={self.answer}")

    # -- rows

    @property
    def source(self) -> Source:
        path = FilePath(self.path).expanduser() if self.path is not None else None
        return Source(
            name=path.name.removesuffix(".gz").partition(".")[0] if path else str(self.hub_id).rpartition("/")[2],
            hub_id=self.hub_id,
            config=self.config,
            split=self.split if path is None else "row",
            revision=self.revision,
            licence=self.licence,
            citation=self.citation,
            data_root="." if path else None,
            file=str(path) if path else None,
            format=self.format,
            records=self.records,
            delimiter="\t" if self.delimiter in TAB else self.delimiter or FOUND,
        )

    @cached_property
    def _rows(self) -> list[SourceRow]:
        rows = [replace(row, row=_stored(row)) for row in self.source.rows()]
        given = {role: getattr(self, role) for role in columns.USUAL if role != "choices"}
        if self.answer == "choice":
            given["choices"] = self.choices if isinstance(self.choices, str) else None
        if isinstance(self.choices, tuple):
            columns.check_given("choices", self.choices, self.columns(rows), self.source.place)
        found = columns.find(self.columns(rows), given, self.source.place)
        return [replace(row, paths=found) for row in rows]

    def columns(self, rows: list[SourceRow]) -> tuple[str, ...]:
        """All columns of the rows, in order of appearance."""
        return tuple(dict.fromkeys(name for row in rows for name in row.row))

    @cached_property
    def roles(self) -> dict[str, str]:
        """Which column plays which role, and what was found for the roles without one."""
        paths = self._rows[0].paths
        found = {role: _shown(paths[role]) for role in columns.USUAL if role in paths}
        found.setdefault("id", "the row's number")
        if self.answer == "choice" and "choices" not in paths:
            found["choices"] = _shown(self._columns_of_options) if self._columns_of_options else "in the question"
        if self.answer == "choice" and self._first is not None:
            found["gold"] += f", the option's number from {self._first}"
        if self.answer == "label":
            found["labels"] = ", ".join(self._labels)
        if rest := self._unused(paths):
            found["not used"] = ", ".join(rest)
        return found

    def _unused(self, paths: Mapping[str, Path]) -> list[str]:
        used = {
            str(one)
            for path in (*paths.values(), self._columns_of_options)
            for one in ((path,) if isinstance(path, str) else path)
        }
        used |= {path.partition(".")[0] for path in used}
        return [column for column in self.columns(self._rows) if column.strip() and column not in used]

    # -- items

    def items(self) -> list[Item]:
        return list(self._items)

    @cached_property
    def _items(self) -> list[Item]:
        return [self._item(row, options) for row, options in zip(self._rows, self._options)]

    def _item(self, row: SourceRow, options: Options | None) -> Item:
        golds = [self._checked(row, gold, options) for gold in self._accepted(row)]
        question = row.text("question") + (f"\n\n{self.ask}" if self.ask else "")
        texts = options.texts if options else ()
        return Item(
            id=row.text("id") if "id" in row.paths else row.id,
            question=show(question, texts) if texts and listed(question) != texts else question,
            gold=golds[0],
            aliases=tuple(dict.fromkeys(golds[1:])),
            choices=texts,
            stratum="" if empty(row.value("stratum")) else row.stratum,
        )

    def _accepted(self, row: SourceRow) -> tuple[str, ...]:
        if self.answer == "record":
            return (json.dumps(unpacked(row.value("gold")), ensure_ascii=False),)
        try:
            return accepted(row.value("gold"), str(self.answer))
        except ValueError as error:
            row.reject("gold", str(error))

    def _checked(self, row: SourceRow, gold: str, options: Options | None) -> str:
        """The gold as an item holds it: for a choice, its letter."""
        if self._record is not None:
            return gold_record(row, gold, self._record)
        if options is not None:
            if (read := letter(gold, options, self._first)) is None:
                row.reject("gold", f"the gold answer {gold!r} is none of the options {list(options.texts)}")
            if not told_apart(read, options):
                row.reject(
                    "choices", f"{list(options.texts)} are read as the letters of each other, or as the same: word them otherwise"
                )
            return read
        if self.answer == "label":
            return gold if gold in self._labels else row.reject("gold", f"{gold!r} is no label of {', '.join(self._labels)}")
        if KINDS[str(self.answer)].canon(gold) is None:
            comma = DECIMAL_COMMA.fullmatch(gold) if self.answer == "number" else None
            advice = f": decimals have a point, as in {gold.replace(',', '.')}" if comma else ""
            row.reject("gold", f"the gold answer {gold!r} is no {str(self.answer).replace('_', ' or ')}{advice}")
        return gold

    def kind(self, item: Item) -> AnswerKind:
        if self.answer == "choice":
            return Choice(options=item.choices)
        if self._record is not None:
            return self._record
        if self.answer == "label":
            return Label(labels=self._labels)
        return Text(aliases=item.aliases) if self.answer == "text" else KINDS[str(self.answer)]

    @cached_property
    def _record(self) -> answers.Record | None:
        return None if self.schema is None else answers.Record(source=self.schema)

    # -- labels and options

    @cached_property
    def _labels(self) -> tuple[str, ...]:
        found = self.labels or tuple(sorted({gold for row in self._rows for gold in self._accepted(row)}))
        alike = {spelling.squeeze(label): label for label in found}
        if len(alike) < len(found):
            one = next(label for label in found if alike[spelling.squeeze(label)] != label)
            other = alike[spelling.squeeze(one)]
            raise UserError(f"{self.source.place}: the labels {one!r} and {other!r} are read as the same: write one of them only")
        if len(found) < 2:
            raise UserError(f"{self.source.place}: all golds are {found[0]!r}: give labels=[...], or another answer kind")
        return found

    @cached_property
    def _columns_of_options(self) -> tuple[str, ...]:
        if self.answer != "choice" or "choices" in self._rows[0].paths:
            return ()
        return self.choices if isinstance(self.choices, tuple) else columns.options(self.columns(self._rows))

    @cached_property
    def _options(self) -> list[Options | None]:
        return [self._options_of(row) if self.answer == "choice" else None for row in self._rows]

    def _options_of(self, row: SourceRow) -> Options:
        question = row.text("question")
        try:
            if self._columns_of_options:
                found = options_of(row.row.get(column) for column in self._columns_of_options)
            elif "choices" in row.paths:
                found = options_in(row.value("choices"))
            else:
                found = options_of(listed(question))
        except ValueError as error:
            row.reject("choices", f"{error}: give a list of options, columns A, B, ..., or lines (A) ... in the question")
        return Options(texts=bare(found.texts), keys=found.keys)

    @cached_property
    def _first(self) -> int | None:
        """The number from which options are counted, if the golds are such numbers."""
        golds, shown = [self._accepted(row) for row in self._rows], [options for options in self._options if options]
        try:
            return first_number(golds, shown)
        except ValueError as error:
            raise UserError(f"{self.source.place}: {error}") from error


def _shown(path: Path) -> str:
    return f"column {path!r}" if isinstance(path, str) else f"columns {', '.join(map(repr, path))}"


def _stored(row: SourceRow) -> dict[str, Any]:
    """The cells, with None for NaN, a gap in a column of numbers. Raises `UserError` for characters that no text can hold."""
    for column, cell in row.row.items():
        broken = next(filter(None, map(BROKEN.search, texts_in([column, cell]))), None)
        if broken:
            raise UserError(f"{row.where}: column {column!r} holds {broken[0]!r}, which is no character of a text: take it out")
    return {column: None if cell != cell else cell for column, cell in row.row.items()}
