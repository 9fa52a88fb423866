"""Anybody's transcripts as rows: the same readers, the same canonicalisers, no engine."""

from __future__ import annotations

from collections.abc import Sequence

from fmtbench.errors import UserError
from fmtbench.readers.plain import words
from fmtbench.readers.transcripts import ANY, TEXT, guess_format, read_transcript, readable
from fmtbench.running.logs import Transcript
from fmtbench.running.verdicts import rationale, verdicts
from fmtbench.types import Generation, Row

AUTO = "auto"
CONTRACTS = (ANY, "stated")
"""Which marks keep a text's contract: every one in use, or "The answer is ..." alone."""


def rescore(transcripts: Sequence[Transcript], answer: str, written: str, *, experiment: str, mark: str = ANY) -> list[Row]:
    """One scored row a transcript; `condition` is the format it was read as."""
    allowed = (TEXT, *readable(), AUTO)
    if written not in allowed:
        raise UserError(f"format={written}: allowed are {', '.join(allowed)}")
    if mark not in CONTRACTS:
        raise UserError(f"mark={mark}: allowed are {', '.join(CONTRACTS)}")
    return [_row(one, answer, written, experiment, mark) for one in transcripts]


def _row(transcript: Transcript, answer: str, written: str, experiment: str, mark: str) -> Row:
    kind, text = transcript.kind, transcript.text
    shown = guess_format(text, kind) if written == AUTO else written
    generation = Generation(key="", text=text, finish_reason=transcript.finish_reason)
    found = read_transcript(generation, kind, shown, mark)
    return Row(
        **verdicts(text, found, kind, transcript.golds)._asdict(),
        experiment=experiment,
        backbone="transcripts",
        task=answer,
        condition=shown,
        prompt="unknown",
        seed=0,
        sample=0,
        item_id=transcript.id,
        question="",
        gold=transcript.golds[0],
        finish_reason=transcript.finish_reason,
        prompt_tokens=0,
        completion_tokens=0,
        reasoning_tokens=None,
        reasoning_words=len(words(rationale(text, kind))),
        text=text,
        request_key="",
        seconds=0.0,
    )
