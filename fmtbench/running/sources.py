"""Where each part of a row comes from in somebody else's log: a constant, a field of the record, or a part of the file's path.

    backbone=gpt-4                                         the same for every reply
    backbone=field:model                                   a field; `field:meta.model` is one inside another
    backbone=path:{backbone}/{condition}/{task}.jsonl      what stands there in the path, which gives the other two as well

A pattern is matched against the end of a path, from a folder's name on; `*` is anything within a name, and `.gz` may follow.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fmtbench.errors import UserError

PARTS = ("backbone", "task", "condition", "prompt", "sample", "item")
CONTENT = {name: f"field:{name}" for name in ("text", "gold", "choices", "finish_reason", "stratum")}
"""What is read and judged, and the fields that hold it unless others are named."""
FIELD, PATH = "field:", "path:"
BRACED = re.compile(r"\{([^{}]*)\}")


class LackingError(ValueError):
    """A record has no field of this name."""


@dataclass(frozen=True, kw_only=True)
class Sources:
    """`given`: a source by the name of a part; a part that no source and no pattern gives is absent."""

    given: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raises `UserError` for a pattern that names no part, or parts that rows do not have."""
        for name, said in self.given.items():
            if name in CONTENT and not said.startswith(FIELD):
                raise UserError(f"{name}={said}: give the field that holds it, such as {name}=field:{name}")
            if said in (FIELD, PATH):
                raise UserError(f"{name}={said}: nothing follows it; give field:NAME or path:PATTERN")
            if said.startswith(PATH):
                _check_pattern(name, said)

    @property
    def parts(self) -> set[str]:
        """The parts of a row that are given."""
        patterns = [said for said in self.given.values() if said.startswith(PATH)]
        return {*self.given, *(name for said in patterns for name in BRACED.findall(said))}

    def of_path(self, path: Path) -> dict[str, str]:
        """What a path says of the rows in its file. Raises `UserError` where a pattern does not fit it."""
        found: dict[str, str] = {}
        for name, said in self.given.items():
            if said.startswith(PATH):
                match = _pattern(said).fullmatch(path.as_posix())
                if match is None:
                    raise UserError(
                        f"{name}={said} does not fit the path {path}: the pattern must describe the end of every path"
                    )
                found |= {part: value for part, value in match.groupdict().items() if part == name or part not in self.given}
        return found

    def value(self, name: str, record: Mapping[str, Any], of_path: Mapping[str, str]) -> Any:
        """What a part is for one record; None where it is given nowhere. Raises `LackingError` for a field that is missing."""
        said = self.given.get(name)
        if said is None or said.startswith(PATH):
            return of_path.get(name)
        return held(record, said.removeprefix(FIELD)) if said.startswith(FIELD) else said

    def content(self, name: str, record: Mapping[str, Any]) -> Any:
        """What is read or judged. Raises `LackingError` where the record lacks it."""
        return held(record, self.given.get(name, CONTENT[name]).removeprefix(FIELD))


def held(record: Mapping[str, Any], name: str) -> Any:
    """What a field holds, or, where there is none of that name, the field inside others that its dots lead to."""
    if name in record:
        return record[name]
    value: Any = record
    for key in name.split("."):
        if not isinstance(value, Mapping) or key not in value:
            raise LackingError(name)
        value = value[key]
    return value


def _check_pattern(name: str, said: str) -> None:
    names = BRACED.findall(said)
    if wrong := [one for one in names if one not in PARTS]:
        raise UserError(f"{name}={said}: {{{wrong[0]}}} is no part of a row; allowed are {', '.join(PARTS)}, and * for the rest")
    if name not in names or len(set(names)) < len(names):
        raise UserError(f"{name}={said}: it must hold {{{name}}}, and each part once")


def _pattern(said: str) -> re.Pattern[str]:
    pieces = BRACED.split(said.removeprefix(PATH))
    written = [f"(?P<{one}>[^/]+?)" if i % 2 else re.escape(one).replace(r"\*", "[^/]*") for i, one in enumerate(pieces)]
    return re.compile(rf"(?:.*/)?{''.join(written)}(?:\.gz)?")
