"""What the three readings say of one reply: the same for runs, for packs that are read again, and for transcripts of others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from fmtbench.answers import AnswerKind
from fmtbench.readers.latent import read_latent
from fmtbench.readers.marked import read_marked
from fmtbench.readers.plain import rationale_left
from fmtbench.readers.reply import reply_place
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


def verdicts(text: str, found: Extraction, kind: AnswerKind, golds: Sequence[str]) -> Verdicts:
    """`found`: what the contract's own reader located; right is what is the same as any of `golds`."""
    marked, latent = read_marked(text, kind), read_latent(text, kind)

    def right(answer: str | None) -> bool:
        return any(kind.same(answer, gold) for gold in golds)

    return Verdicts(
        answer=found.answer,
        status=found.status,
        correct=found.status == "ok" and right(found.answer),
        marked_answer=marked.answer,
        marked_correct=right(marked.answer),
        latent_answer=latent.answer,
        latent_correct=right(latent.answer),
    )


def rationale(text: str, kind: AnswerKind) -> str:
    """The text up to the end of its reply, with all blanked out but the words of its rationale."""
    return rationale_left(text[: reply_place(text, kind)[1]])
