"""One row of a data set under the names that tasks use, whatever the data set calls its fields.

A mapping in YAML says where each name is found: a path such as `question.stem`, or a list of paths and fixed texts that
are joined by line breaks. A step of a path through a list goes through each of its elements, so that `choices.text`
finds the texts in [{"text": "bank"}, ...] as well as in {"text": ["bank", ...]}.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from fmtbench.errors import UserError

BROKEN = re.compile("[\\x00\\ud800-\\udfff]")
"""NUL and lone surrogates: neither a tokenizer nor a table can hold them."""
Path = str | tuple[str | dict[str, str], ...]
"""A path, or several; {"text": ...} gives fixed words."""


@dataclass(frozen=True, kw_only=True)
class SourceRow:
    """A row, its place in the data, and the mapping from a task's names to the row's fields."""

    id: str
    where: str
    """File (or hub id) and row number, for messages."""
    row: Mapping[str, Any]
    paths: Mapping[str, Path]

    def value(self, name: str) -> Any:
        """The value under a name; None if there is none."""
        path = self.paths.get(name, name)
        return _find(self.row, path) if isinstance(path, str) else None

    def text(self, name: str) -> str:
        """A text, which must be there and not be empty; numbers and truth values are taken as their text."""
        path = self.paths.get(name, name)
        if isinstance(path, str):
            return self._field(path)
        return "\n".join(part["text"] if isinstance(part, dict) else self._field(part) for part in path)

    @property
    def stratum(self) -> str:
        """The value that `fields` maps to `stratum`: a text or a number; empty if it maps none, or the row has none."""
        if "stratum" not in self.paths or self.value("stratum") is None:
            return ""
        return self.text("stratum")

    def _field(self, path: str) -> str:
        value = _find(self.row, path)
        if isinstance(value, list) and len(value) == 1:
            value = value[0]
        if isinstance(value, int | float):
            return str(value)
        if not isinstance(value, str) or not value.strip():
            raise UserError(f"{self.where}: field '{path}' must be a text, got {value!r}; fields there: {sorted(self.row)}")
        if broken := BROKEN.search(value):
            raise UserError(
                f"{self.where}: field '{path}' holds {broken[0]!r} at {broken.start()}, which is no character of a text"
            )
        return value.strip()

    def texts(self, name: str) -> tuple[str, ...]:
        """At least two texts; of a mapping, its keys. Several paths give one text each."""
        path = self.paths.get(name, name)
        value = self.value(name) if isinstance(path, str) else [_find(self.row, one) for one in path if isinstance(one, str)]
        values = list(value) if isinstance(value, dict | list) else []
        if len(values) < 2 or not all(isinstance(one, str) and one.strip() and not BROKEN.search(one) for one in values):
            self.reject(name, f"must be a list of at least two texts, got {value!r}")
        return tuple(one.strip() for one in values)

    def reject(self, name: str, problem: str) -> NoReturn:
        """Raise `UserError` about one field of this row."""
        raise UserError(f"{self.where}, field '{self.paths.get(name, name)}': {problem}")


def _find(value: Any, path: str) -> Any:
    """The value at a path; a name that itself contains dots is found as a whole."""
    if isinstance(value, Mapping) and path in value:
        return value[path]
    for step in path.split("."):
        if isinstance(value, list):
            value = [one.get(step) if isinstance(one, dict) else None for one in value]
        else:
            value = value.get(step) if isinstance(value, Mapping) else None
    return value
