"""The marked reading: the answer that a reply states by any mark in use, the same set of marks for every condition.

It lies between the other two. Strict wants the mark that was agreed on, and so punishes a model for the box it was trained to
draw; latent also takes what nothing announces. The marks are the fields of every format and those of marks.py.
"""

from __future__ import annotations

from fmtbench.answers import AnswerKind
from fmtbench.readers.latent import Reading, extraction, read_fields, read_stated
from fmtbench.types import Extraction


def read_marked(text: str, kind: AnswerKind) -> Extraction:
    """The answer in a field named like one, or in the last statement by any mark; `no_answer` where there is none."""
    return extraction(text, kind, _read)


def _read(reply: str, kind: AnswerKind) -> Reading | None:
    return read_fields(reply, kind, read_stated) or read_stated(reply, kind)
