"""What a reply holds in fields that are named like an answer, whatever its format."""

from __future__ import annotations

from fmtbench.formats import FORMATS
from fmtbench.formats.base import Field
from fmtbench.formats.names import NAMED, SURELY
from fmtbench.formats.statements import some
from fmtbench.formats.structured import StructuredFormat


def fields(text: str) -> list[Field]:
    """Fields whose names only answers have come last, to count most. A whole object is taken at its word; in a broken one, or
    in prose around one, every format says what it finds."""
    found = whole(text) or [field for written in FORMATS.values() for field in written.find(text)]
    return some(sorted(found, key=lambda one: (surely(one), one.span)))


def whole(text: str) -> list[Field]:
    """The fields of a reply that is nothing but one object, mapping, or row of elements or sections."""
    for written in (one for one in FORMATS.values() if isinstance(one, StructuredFormat)):
        parts = written.parts(text, None) or []
        named = [part for part in parts if _named(part.name, written)]
        if named and all(part.written is not None if _named(part.name, written) else part.written for part in parts):
            return [Field(part.name, part.written or "", part.span) for part in named]
    return []


def _named(name: str, written: StructuredFormat) -> bool:
    """Whether a field is named like an answer."""
    return NAMED.fullmatch(name) is not None and not _label(name, written)


def _label(name: str, written: StructuredFormat) -> bool:
    """Whether it may be a label in prose, which marks.py reads: "Answer: ..."."""
    return written.like_prose and name[:1].isupper()


def surely(field: Field) -> bool:
    """Whether nothing but an answer has such a name."""
    return SURELY.fullmatch(field.name) is not None
