"""Anybody's transcripts as rows: the same readers, the same canonicalisers, no engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from fmtbench.errors import UserError
from fmtbench.readers.contract import Contract
from fmtbench.readers.ladder import climb
from fmtbench.readers.plain import words
from fmtbench.readers.reply import reply_place
from fmtbench.readers.transcripts import ANY, TEXT, guess_format, read_transcript, readable
from fmtbench.running.logs import Transcript
from fmtbench.running.verdicts import Located, located, order_of, rationale, verdicts
from fmtbench.types import Generation, Row

AUTO = "auto"
CONTRACTS = (ANY, "stated")
"""Which marks keep a text's contract: every one in use, or "The answer is ..." alone."""


class Scored(NamedTuple):
    """A row, and what the ladder of object readers says of its reply."""

    row: Row
    ladder_step: str | None
    """The first step that finds an answer; None where none does."""
    ladder_correct: bool
    ladder_forgave: str | None
    """What that step had to forgive, as `prose+control`; empty for a bare object."""
    latent_start: int | None
    latent_end: int | None
    """Where the latent answer is in the text."""


@dataclass(frozen=True, kw_only=True)
class ReadingRules:
    """How replies are read and what the rows are called. Raises `UserError` for what is not allowed."""

    answer: str
    written: str = AUTO
    """The format: text, a structured one, or the one that each reply keeps."""
    mark: str = ANY
    contract: Contract | None = None
    """What the study demanded of all its conditions."""
    contracts: Mapping[str, Contract] = field(default_factory=dict)
    """What it demanded of one condition, by name."""
    experiment: str = "transcripts"

    def __post_init__(self) -> None:
        allowed = (TEXT, *readable(), AUTO)
        if self.written not in allowed:
            raise UserError(f"format={self.written}: allowed are {', '.join(allowed)}")
        if self.mark not in CONTRACTS:
            raise UserError(f"mark={self.mark}: allowed are {', '.join(CONTRACTS)}")

    def score(self, one: Transcript) -> Scored:
        """`condition` is the format that the reply was read as, where the log names none."""
        contract = self.contract or self.contracts.get(one.condition or "")
        shown = guess_format(one.text, one.kind) if self.written == AUTO and contract is None else self.written
        generation = Generation(key="", text=one.text, finish_reason=one.finish_reason)
        found = read_transcript(generation, one.kind, shown, self.mark, contract)
        every = located(one.text, found, one.kind)
        step, held, forgiven = climb(one.text)
        right = step is not None and any(one.kind.same(held, gold) for gold in one.golds)
        start, end = every.latent.span or (None, None)
        return Scored(
            self._row(one, shown, every, contract), step, right, None if step is None else "+".join(forgiven), start, end
        )

    def _row(self, one: Transcript, shown: str, found: Located, contract: Contract | None) -> Row:
        left = rationale(one.text, one.kind)
        return Row(
            **verdicts(found, one.kind, one.golds)._asdict(),
            experiment=self.experiment,
            backbone=one.backbone,
            task=one.task or self.answer,
            condition=one.condition or shown,
            prompt=one.prompt,
            seed=0,
            sample=one.sample,
            item_id=one.id,
            question="",
            gold=one.golds[0],
            finish_reason=one.finish_reason,
            prompt_tokens=0,
            completion_tokens=0,
            reasoning_tokens=None,
            reasoning_words=len(words(left)),
            text=one.text,
            request_key="",
            seconds=0.0,
            stratum=one.stratum,
            realised_order=order_of(one.text, found, one.kind, left, _stated(one, contract)),
        )


def _stated(one: Transcript, contract: Contract | None) -> list[tuple[str, tuple[int, int]]]:
    """The places that keep the contract's mark."""
    if contract is None:
        return []
    start, end = reply_place(one.text, one.kind)
    return [(said, (start + low, start + high)) for said, (low, high) in contract.stated(one.text[start:end])]


def rescore(transcripts: Sequence[Transcript], answer: str, written: str, *, experiment: str, mark: str = ANY) -> list[Row]:
    """One scored row a transcript; `condition` is the format it was read as."""
    reading = ReadingRules(answer=answer, written=written, mark=mark, experiment=experiment)
    return [reading.score(one).row for one in transcripts]
