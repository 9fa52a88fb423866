"""Anybody's transcripts as rows: the same readers, the same canonicalisers, no engine.

{"text": "... The answer is 18.", "gold": "18", "id": "gsm8k-0"}
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from fmtbench.answers import AnswerKind, Choice, Label, Math, Number, Set, Text, YesNo
from fmtbench.errors import UserError
from fmtbench.readers.latent import read_latent
from fmtbench.readers.marked import read_marked
from fmtbench.readers.transcripts import TEXT, guess_format, read_transcript, readable
from fmtbench.tasks.readers import read_jsonl
from fmtbench.types import Generation, Row

KINDS: dict[str, AnswerKind] = {"number": Number(), "yes_no": YesNo(), "text": Text(), "math": Math(), "set": Set()}
ANSWERS = (*KINDS, "choice", "label")
AUTO = "auto"


class Transcript(BaseModel):
    """One line of a transcripts file."""

    model_config = ConfigDict(extra="ignore", coerce_numbers_to_str=True)

    text: str
    gold: str | bool
    id: str | None = None
    choices: dict[str, str] | None = None
    finish_reason: Literal["stop", "length"] = "stop"


def load_transcripts(path: Path, answer: str, labels: Sequence[str] = ()) -> list[Transcript]:
    """Every transcript of a file. Raises `UserError` naming file, row and field."""
    if answer not in ANSWERS:
        raise UserError(f"answer={answer}: allowed are {', '.join(ANSWERS)}")
    if (answer == "label") != bool(labels):
        raise UserError(f"answer={answer} with labels={list(labels)}: answer=label needs labels=[...], the others take none")
    records = read_jsonl(path)
    if not records:
        raise UserError(f"{path} holds no transcripts")
    transcripts = [_transcript(path, number, record) for number, record in enumerate(records, start=1)]
    ids = [transcript.id for transcript in transcripts if transcript.id is not None]
    if len(set(ids)) < len(ids):
        twice = next(name for name in ids if ids.count(name) > 1)
        raise UserError(f"{path}: id {twice!r} occurs twice; ids must be unique")
    for number, transcript in enumerate(transcripts, start=1):
        _check_gold(path, number, transcript, answer, labels)
    return transcripts


def _transcript(path: Path, number: int, record: dict[str, Any]) -> Transcript:
    try:
        return Transcript.model_validate(record)
    except ValidationError as error:
        problem = error.errors()[0]
        field = ".".join(map(str, problem["loc"]))
        fields = "text and gold, optionally id, choices, finish_reason"
        raise UserError(f"{path}, row {number}, field '{field}': {problem['msg']}; a row has {fields}") from error


def _check_gold(path: Path, number: int, transcript: Transcript, answer: str, labels: Sequence[str]) -> None:
    letters = [chr(ord("A") + i) for i in range(len(transcript.choices or {}))]
    if answer == "choice" and len(letters) < 2:
        raise UserError(f"{path}, row {number}, field 'choices': answer=choice needs at least two options, letter to text")
    if answer == "choice" and list(transcript.choices or {}) != letters:
        raise UserError(
            f"{path}, row {number}, field 'choices': letters must be A, B, C, ... in order, got {list(transcript.choices or {})}"
        )
    if kind_of(transcript, answer, labels).canon(str(transcript.gold)) is None:
        allowed = {"choice": f": the options are {transcript.choices}", "label": f": the labels are {', '.join(labels)}"}
        raise UserError(
            f"{path}, row {number}, field 'gold': {transcript.gold!r} is no {answer} that can be read{allowed.get(answer, '')}"
        )


def kind_of(transcript: Transcript, answer: str, labels: Sequence[str] = ()) -> AnswerKind:
    if answer == "choice":
        return Choice(options=tuple((transcript.choices or {}).values()))
    return Label(labels=tuple(labels)) if answer == "label" else KINDS[answer]


def rescore(
    transcripts: Sequence[Transcript], answer: str, written: str, *, experiment: str, labels: Sequence[str] = ()
) -> list[Row]:
    """One scored row a transcript; `condition` is the format it was read as."""
    allowed = (TEXT, *readable(), AUTO)
    if written not in allowed:
        raise UserError(f"format={written}: allowed are {', '.join(allowed)}")
    return [
        _row(index, transcript, kind_of(transcript, answer, labels), answer, written, experiment)
        for index, transcript in enumerate(transcripts)
    ]


def _row(index: int, transcript: Transcript, kind: AnswerKind, answer: str, written: str, experiment: str) -> Row:
    shown = guess_format(transcript.text, kind) if written == AUTO else written
    gold = str(transcript.gold)
    generation = Generation(key="", text=transcript.text, finish_reason=transcript.finish_reason)
    found = read_transcript(generation, kind, shown)
    marked, latent = read_marked(transcript.text, kind), read_latent(transcript.text, kind)
    return Row(
        experiment=experiment,
        backbone="transcripts",
        task=answer,
        condition=shown,
        prompt="unknown",
        seed=0,
        sample=0,
        item_id=transcript.id if transcript.id is not None else str(index),
        question="",
        gold=gold,
        answer=found.answer,
        status=found.status,
        correct=found.status == "ok" and kind.same(found.answer, gold),
        marked_answer=marked.answer,
        marked_correct=kind.same(marked.answer, gold),
        latent_answer=latent.answer,
        latent_correct=kind.same(latent.answer, gold),
        finish_reason=transcript.finish_reason,
        prompt_tokens=0,
        completion_tokens=0,
        reasoning_tokens=0,
        reasoning_words=0,
        text=transcript.text,
        request_key="",
        seconds=0.0,
    )
