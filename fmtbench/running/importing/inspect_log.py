"""Inspect's logs: `.eval`, a zip with a JSON file for each sample, or one `.json` (version 2, as inspect-ai 0.3.285 writes).

Newer logs are compressed with zstandard, which Python's zipfile does not know; pyarrow does.
"""

from __future__ import annotations

import json
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from fmtbench.errors import UserError
from fmtbench.running.importing.base import Found, Importer, Unreadable
from fmtbench.running.importing.document import Document

VERSION = 2
ZSTANDARD = 93
HEAD = struct.Struct("<26xHH")
"""A member's own header, of which only the lengths of its name and its extra field are read."""
HEADERS = ("header.json", "_journal/start.json")
"""Of a log whose run was killed there is only the second."""
PARTS = {name: f"field:{name}" for name in ("backbone", "task", "sample")} | {"item": "field:id"}


def inspect_records(path: Path) -> Iterator[Found]:
    """Raises `UserError` where the file is no log at all."""
    yield from (_of_archive if zipfile.is_zipfile(path) else _of_document)(path)


def _of_archive(path: Path) -> Iterator[Found]:
    with zipfile.ZipFile(path) as archive:
        names = set(archive.namelist())
        header = next((name for name in HEADERS if name in names), None)
        if header is None:
            raise UserError(f"{path}: no log of Inspect, since it holds none of {', '.join(HEADERS)}")
        head = json.loads(_content(archive, header))
        if wrong := _other_version(head):
            yield wrong
            return
        for name in archive.namelist():
            if name.startswith("samples/"):
                yield from _sample_of(archive, name, head)


def _sample_of(archive: zipfile.ZipFile, name: str, head: Mapping[str, Any]) -> Iterator[Found]:
    try:
        sample = json.loads(_content(archive, name))
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError) as error:
        yield Unreadable(where=name, reason=f"cannot be read ({error})")
        return
    yield _record(sample, head, name)


def _of_document(path: Path) -> Iterator[Found]:
    document = Document(path, "samples")
    if wrong := _other_version(document.head):
        yield wrong
        return
    for number, sample in enumerate(document, start=1):
        yield _record(sample, document.head, f"sample {number}")
    if document.torn:
        yield Unreadable(where="at its end", reason=f"the file breaks off ({document.torn})")


def _content(archive: zipfile.ZipFile, name: str) -> bytes:
    info = archive.getinfo(name)
    if info.compress_type != ZSTANDARD:
        return archive.read(name)
    import pyarrow as pa

    file = archive.fp
    assert file is not None
    file.seek(info.header_offset)
    name_length, extra_length = HEAD.unpack(file.read(HEAD.size))
    file.seek(name_length + extra_length, 1)
    return bytes(pa.CompressedInputStream(pa.BufferReader(file.read(info.compress_size)), "zstd").read())


def _other_version(head: Mapping[str, Any]) -> Unreadable | None:
    found = head.get("version")
    if found == VERSION:
        return None
    return Unreadable(where="its header", reason=f"a log of version {found}, and version {VERSION} is read: inspect log convert")


def _record(sample: Any, head: Mapping[str, Any], where: str) -> Found:
    """`text` is the completion of the first choice; a sample that ended in an error has none."""
    try:
        facts, choice = head["eval"], (sample["output"].get("choices") or [{}])[0]
        return {
            **sample,
            "backbone": facts["model"],
            "task": facts["task"],
            "sample": int(sample.get("epoch", 1)) - 1,
            "text": _text(choice.get("message", {}).get("content")),
            "gold": sample["target"],
            "choices": sample.get("choices") or None,
            "finish_reason": "error" if sample.get("error") else choice.get("stop_reason"),
        }
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        return Unreadable(where=where, reason=f"not as Inspect writes it ({type(error).__name__}: {error})")


def _text(content: Any) -> str:
    """The text of a message, without a model's thinking, which is a part of its own."""
    if isinstance(content, list):
        return "\n".join(one.get("text", "") for one in content if one.get("type") == "text")
    return content or ""


def _known(path: Path, first: str) -> bool:
    return path.suffix == ".eval" or (first.lstrip().startswith("{") and '"version"' in first and '"eval"' in first)


INSPECT = Importer(records=inspect_records, known=_known, parts=PARTS)
