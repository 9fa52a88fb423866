"""What the three readings say of one reply: the same for runs, for packs that are read again, and for transcripts of others."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import NamedTuple

from fmtbench.answers import AnswerKind, Record
from fmtbench.answers.held import EMPTY, FILLED, GOOD
from fmtbench.formats.base import Order
from fmtbench.formats.blanks import blank
from fmtbench.readers.latent import read_latent
from fmtbench.readers.marked import read_marked
from fmtbench.readers.order import Place, realised_order
from fmtbench.readers.plain import rationale_left
from fmtbench.readers.records import record_places
from fmtbench.readers.reply import LONGEST, reply_place
from fmtbench.types import Extraction, Status


class Verdicts(NamedTuple):
    """The columns of a row that come of reading its answer."""

    answer: str | None
    status: Status
    correct: bool
    marked_answer: str | None
    marked_correct: bool
    latent_answer: str | None
    latent_correct: bool
    fields: str | None = None
    """Of a record, the verdicts on its fields (see `Row.fields`)."""


class Located(NamedTuple):
    """Where the three readers find the answer of one reply."""

    contract: Extraction
    marked: Extraction
    latent: Extraction


def located(text: str, contract: Extraction, kind: AnswerKind) -> Located:
    """`contract`: what the contract's own reader located."""
    return Located(contract, read_marked(text, kind), read_latent(text, kind))


def verdicts(found: Located, kind: AnswerKind, golds: Sequence[str]) -> Verdicts:
    """Right is what is the same as any of `golds`."""
    contract, marked, latent = found

    def right(answer: str | None) -> bool:
        return any(kind.same(answer, gold) for gold in golds)

    return Verdicts(
        answer=contract.answer,
        status=contract.status,
        correct=contract.status == "ok" and right(contract.answer),
        marked_answer=marked.answer,
        marked_correct=right(marked.answer),
        latent_answer=latent.answer,
        latent_correct=right(latent.answer),
        fields=_fields(contract.answer if contract.status == "ok" else None, latent.answer, kind, golds),
    )


def order_of(text: str, found: Located, kind: AnswerKind, left: str, stated: Sequence[tuple[str, Place]] = ()) -> Order | None:
    """The realised order, by the place that the contract's reader found, or else the latent one. `left` is the text's
    `rationale`; `stated` are further places that keep the contract."""
    one = found.contract if found.contract.status == "ok" and found.contract.span else found.latent
    answer = None if one.answer is None or one.span is None else (one.answer, one.span)
    return realised_order(text, kind, answer, left, stated)


def _fields(strict: str | None, latent: str | None, kind: AnswerKind, golds: Sequence[str]) -> str | None:
    """Of several accepted records, by the one that has most in common with the latent answer."""
    if not isinstance(kind, Record):
        return None

    def agreement(gold: str) -> int:
        return sum(one in GOOD for one in kind.verdicts(latent, gold).values())

    gold = max(golds, key=agreement)
    both, wanted = (kind.verdicts(strict, gold), kind.verdicts(latent, gold)), kind.leaf_values(gold) or {}
    there = {path: EMPTY if wanted.get(path) is None else FILLED for path in kind.leaves}
    return json.dumps({path: [both[0][path], both[1][path], there[path]] for path in kind.leaves}, ensure_ascii=False)


def rationale(text: str, kind: AnswerKind) -> str:
    """The text up to the end of its reply, with all blanked out but the words of its rationale."""
    start, end = reply_place(text, kind)
    if isinstance(kind, Record) and end - start <= LONGEST:
        for first, last in record_places(text[start:end], kind):
            text = text[: start + first] + blank(text[start + first : start + last]) + text[start + last :]
    return rationale_left(text[:end])
