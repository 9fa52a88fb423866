"""Other people's logs as transcripts: options, golds and finish reasons in the shapes that occur.

{"text": "... The answer is 18.", "gold": "18", "id": "gsm8k-0"}
{"text": null, "gold": ["B"], "choices": ["red ball", "blue ball"], "finish_reason": "MAX_TOKENS"}

A row that cannot be scored becomes a complaint with its number, field and reason, and the others are scored.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fmtbench.answers import AnswerKind, Choice, Label
from fmtbench.answers.named import ANSWERS, KINDS, final
from fmtbench.errors import UserError
from fmtbench.tasks.readers import read_jsonl
from fmtbench.types import FinishReason, whole

STOP = """stop eos eos_token end_turn end_of_turn stop_sequence stop_token stop_str end complete completed done finished eot
tool_calls tool_use function_call pause_turn"""
LENGTH = """length max_tokens max_output_tokens max_new_tokens max_length model_length token_limit incomplete
model_context_window_exceeded"""
ERROR = "error abort content_filter safety recitation blocklist prohibited_content spii"
FINISHED: dict[str, FinishReason] = {
    **dict.fromkeys(STOP.split(), "stop"),
    **dict.fromkeys(LENGTH.split(), "length"),
    **dict.fromkeys(ERROR.split(), "error"),
}
"""How engines and vendors call the end of a reply, in lower case. What a filter withheld is the engine's failure."""


class Unscored(ValueError):
    """Why a row cannot be scored: its field, and the reason."""


@dataclass(frozen=True, kw_only=True)
class Transcript:
    """One row that can be scored."""

    id: str
    text: str
    kind: AnswerKind
    golds: tuple[str, ...]
    """Accepted answers; the first names the row's gold."""
    finish_reason: FinishReason


@dataclass(kw_only=True)
class Log:
    """What a file holds."""

    transcripts: list[Transcript] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    """One line for each row that cannot be scored."""
    unknown: Counter[str] = field(default_factory=Counter)
    """Finish reasons that are none of `FINISHED`, counted as stop."""
    halves: int = 0
    """Of character pairs, replaced by U+FFFD."""


def load_log(path: Path, answer: str, labels: Sequence[str] = ()) -> Log:
    """Every row of a file. Raises `UserError` where the file cannot be read, or the kind of answer is none."""
    if answer not in ANSWERS:
        raise UserError(f"answer={answer}: allowed are {', '.join(ANSWERS)}")
    if (answer == "label") != bool(labels):
        raise UserError(f"answer={answer} with labels={list(labels)}: answer=label needs labels=[...], the others take none")
    records = read_jsonl(path)
    if not records:
        raise UserError(f"{path} holds no transcripts")
    log, ids = Log(), dict[str, int]()
    for number, record in enumerate(records, start=1):
        try:
            transcript = _transcript(log, number, record, answer, labels)
            if transcript.id in ids:
                raise Unscored(f"field 'id': {transcript.id!r} occurs before, in row {ids[transcript.id]}; ids must be unique")
        except Unscored as error:
            log.complaints.append(f"{path}, row {number}, {error}")
        else:
            ids[transcript.id] = number
            log.transcripts.append(transcript)
    return log


def _transcript(log: Log, number: int, record: dict[str, Any], answer: str, labels: Sequence[str]) -> Transcript:
    record, halves = _storable(record)
    log.halves += halves
    lacking = [name for name in ("text", "gold") if name not in record]
    if lacking:
        raise Unscored(f"field '{lacking[0]}': is missing; a row has text and gold, optionally id, choices, finish_reason")
    if not isinstance(record["text"], str | None):
        raise Unscored(f"field 'text': {_shown(record['text'])} is no text")
    kind = _kind(answer, record.get("choices"), labels)
    return Transcript(
        id=str(number if record.get("id") is None else record["id"]) or str(number),
        text=record["text"] or "",
        kind=kind,
        golds=_golds(record["gold"], kind, answer),
        finish_reason=_finish_reason(log, record.get("finish_reason")),
    )


def _storable(value: Any) -> tuple[Any, int]:
    """A value without halves of character pairs, which no UTF-8 file can hold, and how many were replaced."""
    if isinstance(value, str):
        return whole(value)
    if isinstance(value, list):
        found = [_storable(one) for one in value]
        return [one for one, _ in found], sum(count for _, count in found)
    if isinstance(value, dict):
        pairs = [(_storable(name), _storable(one)) for name, one in value.items()]
        return {name: one for (name, _), (one, _) in pairs}, sum(a + b for (_, a), (_, b) in pairs)
    return value, 0


def _kind(answer: str, choices: Any, labels: Sequence[str]) -> AnswerKind:
    if answer == "label":
        return Label(labels=tuple(labels))
    return Choice(options=_options(choices)) if answer == "choice" else KINDS[answer]


def _options(choices: Any) -> tuple[str, ...]:
    """The options in the order of their letters: of a list, or of a mapping in any order."""
    if isinstance(choices, list):
        choices = {chr(ord("A") + i): text for i, text in enumerate(choices[:26])}
    if not isinstance(choices, Mapping) or len(choices) < 2:
        raise Unscored(f"field 'choices': got {_shown(choices)}; allowed are two options or more, a list or letter to text")
    named = {str(letter).strip("(). ").upper(): text for letter, text in choices.items()}
    wanted = [chr(ord("A") + i) for i in range(len(choices))]
    if sorted(named) != wanted:
        raise Unscored(f"field 'choices': letters must be {', '.join(wanted)}, in any order, got {', '.join(map(str, choices))}")
    if wrong := [text for text in named.values() if isinstance(text, list | dict | None)]:
        raise Unscored(f"field 'choices': {_shown(wrong[0])} is no option: give texts")
    return tuple(str(named[letter]) for letter in wanted)


def _golds(gold: Any, kind: AnswerKind, answer: str) -> tuple[str, ...]:
    """Every accepted answer. A list holds aliases; for answer=set it is the set."""
    if answer == "set" and isinstance(gold, list):
        gold = ", ".join(map(str, gold))
    golds = gold if isinstance(gold, list) else [gold]
    if not golds or any(isinstance(one, list | dict | None) for one in golds):
        raise Unscored(f"field 'gold': got {_shown(gold)}; allowed are a text, a number, true or false, or a list of these")
    written = tuple(final(str(one), answer) for one in golds)
    unread = [one for one in written if kind.canon(one) is None]
    if unread:
        allowed = ""
        if isinstance(kind, Choice):
            allowed = f"; the options are {dict(zip('ABCDEFGHIJKLMNOPQRSTUVWXYZ', kind.options))}"
        elif isinstance(kind, Label):
            allowed = f"; the labels are {', '.join(kind.labels)}"
        raise Unscored(f"field 'gold': {unread[0]!r} is no {answer} that can be read{allowed}")
    return written


def _finish_reason(log: Log, reason: Any) -> FinishReason:
    if reason is None:
        return "stop"
    name = str(reason).strip().lower().rpartition(".")[2]
    if name not in FINISHED:
        log.unknown[str(reason)] += 1
    return FINISHED.get(name, "stop")


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}..."
