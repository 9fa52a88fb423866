"""generations.jsonl, line by line: its checksum, its form, and that no request has two results."""

from __future__ import annotations

import json
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import TypeAdapter, ValidationError

from fmtbench.auditing.findings import Finding, judged_lines, why_unread
from fmtbench.saving import saving
from fmtbench.store.journal import FIELDS, HEAD
from fmtbench.types import Generation

NAME = "generations.jsonl"
NEEDED = ("key", "text", "token_ids", "token_ends", "logprobs")
"""Fields that every version writes, and without which a line cannot be read."""
FORM: TypeAdapter[Any] = TypeAdapter(Generation)


class Journalled(NamedTuple):
    """A valid line of a journal."""

    place: str
    generation: Generation


def read_journal(path: Path) -> tuple[list[Journalled], list[Finding]]:
    """The valid lines, in order, and what is wrong with the others. A missing journal counts as empty."""
    if not path.exists() and not path.is_symlink():
        return [], []
    if why := why_unread(path):
        return [], [Finding(file=NAME, what=why)]
    read = list(judged_lines(path, lambda place, line: Journalled(place, _generation(line))))
    whole = [one for one in read if isinstance(one, Journalled)]
    return whole, [one for one in read if isinstance(one, Finding)] + _answered_twice(whole)


def copy_whole(path: Path, target: Path) -> None:
    """Copy only the valid lines to another journal."""
    with saving(target), open(target, "wb") as copy, open(path, "rb") as journal:
        for line in journal:
            with suppress(ValueError):
                _generation(line)
                copy.write(line)


def _generation(line: bytes) -> Generation:
    """Raises `ValueError` saying what is wrong with the line."""
    if not line.endswith(b"\n"):
        raise ValueError(f"{len(line)} bytes without an end, as a killed run leaves them; the run's command cuts them off")
    head = HEAD.match(line)
    if not head:
        raise ValueError("it does not begin with a checksum; it is not used, and the run's command asks again")
    body = line[head.end() :]
    if int(head[1], 16) != zlib.crc32(body):
        raise ValueError(
            f"the checksum is {head[1].decode()}, and the line's is {zlib.crc32(body):08x}; "
            "it is not used, and the run's command asks again"
        )
    return _formed(b"{" + body)


def _formed(text: bytes) -> Generation:
    try:
        record = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"its checksum holds, but it is not JSON ({error})") from error
    unknown, missing = sorted(set(record) - set(FIELDS)), sorted(set(NEEDED) - set(record))
    if unknown or missing:
        told = [f"knows no {', '.join(unknown)}"] * bool(unknown) + [f"lacks {', '.join(missing)}"] * bool(missing)
        raise ValueError(
            f"a journal of another version: this one {' and '.join(told)}; audit it with the version of its manifest"
        )
    given = {name: tuple(value) if isinstance(value, list) else value for name, value in record.items()}
    try:
        generation: Generation = FORM.validate_python(given)
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(map(str, problem["loc"]))
        raise ValueError(f"its checksum holds, but its {where} is not one that fmtbench writes ({problem['msg']})") from error
    if turned := [name for name, value in given.items() if getattr(generation, name) != value]:
        raise ValueError(
            f"its checksum holds, but its {turned[0]} is a {type(record[turned[0]]).__name__}, which fmtbench never writes"
        )
    return generation


def _answered_twice(whole: list[Journalled]) -> list[Finding]:
    """A request is asked until it has a result. An error may be asked again, so a result may follow it."""
    first: dict[str, str] = {}
    found: list[Finding] = []
    for place, generation in whole:
        if generation.finish_reason == "error":
            continue
        if generation.key in first:
            what = f"a second result for key {generation.key[:12]}, whose first is on {first[generation.key]}"
            found.append(Finding(file=NAME, place=place, what=what))
        first.setdefault(generation.key, place)
    return found
