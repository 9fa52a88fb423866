"""Lists in the cells of a table (several accepted answers, the options of a question), in every form found in the wild.

["Kiev", "Kyiv"]      red | green | blue      {"text": ["red", "green"], "label": ["A", "B"]}      {"A": "red", "B": "green"}
"""

from __future__ import annotations

import ast
import json
import string
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

SEPARATORS = ("\n", "|", ";")
MOST = len(string.ascii_uppercase)


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """The options of one question."""

    texts: tuple[str, ...]
    keys: tuple[str, ...]
    """What the data calls each option: by default its letter."""


def empty(cell: Any) -> bool:
    """Whether a cell is empty; in a column of numbers that is NaN."""
    return cell is None or cell != cell or (isinstance(cell, str) and not cell.strip())


def unpacked(cell: Any) -> Any:
    """The list or mapping that a text spells out in JSON or in Python; any other cell unchanged."""
    if not isinstance(cell, str) or cell.strip()[:1] not in ("[", "{"):
        return cell
    for parse in (json.loads, ast.literal_eval):
        try:
            found = parse(cell.strip())
        except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
            continue
        if isinstance(found, list | dict):
            return found
    return cell


def texts_in(cell: Any) -> Iterable[str]:
    """Every text in a cell, however deeply nested."""
    if isinstance(cell, str):
        yield cell
    elif isinstance(cell, Mapping):
        for name, one in cell.items():
            yield from texts_in(name)
            yield from texts_in(one)
    elif isinstance(cell, list | tuple):
        for one in cell:
            yield from texts_in(one)


def options_in(cell: Any) -> Options:
    """The options in one cell. Raises `ValueError` if there are none, fewer than two, or more than there are letters."""
    found = unpacked(cell)
    if isinstance(found, str):
        found = _split(found)
    if isinstance(found, Mapping) and isinstance(found.get("text"), list):
        found = _labelled(found["text"], found.get("label"))
    elif isinstance(found, Mapping):
        return _of_mapping(found)
    if isinstance(found, list) and found and all(isinstance(one, Mapping) for one in found):
        found = _labelled([one.get("text") for one in found], [one.get("label") for one in found])
    if isinstance(found, Options):
        return _checked(found)
    if not isinstance(found, list | tuple):
        raise ValueError(f"{cell!r} is no list of options")
    return _checked(_options(found))


def options_of(cells: Iterable[Any]) -> Options:
    """The options in one cell each; the last cells may be empty. Raises `ValueError` for a gap."""
    found = list(cells)
    while found and empty(found[-1]):
        found.pop()
    return _checked(_options(found))


def _split(text: str) -> list[str]:
    for separator in SEPARATORS:
        if len(parts := [part.strip() for part in text.split(separator) if part.strip()]) > 1:
            return parts
    return [text]


def _options(cells: Iterable[Any]) -> Options:
    texts = tuple("" if empty(cell) else str(cell).strip() for cell in cells)
    return Options(texts=texts, keys=tuple(string.ascii_uppercase[: len(texts)]))


def _labelled(texts: list[Any], labels: Any) -> Options:
    plain = _options(texts)
    if not isinstance(labels, list) or len(labels) != len(texts) or None in labels:
        return plain
    return Options(texts=plain.texts, keys=tuple(map(str, labels)))


def _of_mapping(found: Mapping[Any, Any]) -> Options:
    """Options from a mapping of letters to texts, in any order."""
    named = {str(key).strip("(). ").upper(): text for key, text in found.items()}
    wanted = list(string.ascii_uppercase[: len(found)])
    if sorted(named) != wanted:
        raise ValueError(f"options must be called {', '.join(wanted)}, in any order, got {', '.join(map(str, found))}")
    return _checked(_options(named[letter] for letter in wanted))


def _checked(options: Options) -> Options:
    if not 2 <= len(options.texts) <= MOST:
        raise ValueError(f"{len(options.texts)} options, allowed are 2 to {MOST}")
    if "" in options.texts:
        raise ValueError(f"option {string.ascii_uppercase[options.texts.index('')]} is empty")
    return options
