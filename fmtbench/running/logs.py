"""Other people's logs as transcripts: options, golds and finish reasons in the shapes that occur.

{"text": "... The answer is 18.", "gold": "18", "id": "gsm8k-0"}
{"text": null, "gold": ["B"], "choices": ["red ball", "blue ball"], "finish_reason": "MAX_TOKENS"}

A row that cannot be scored becomes a complaint with its number, field and reason, and the others are scored.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any

from fmtbench.answers import AnswerKind, Choice, Label
from fmtbench.answers.named import ANSWERS, KINDS, final
from fmtbench.errors import UserError
from fmtbench.running.importing.base import Importer, Unreadable
from fmtbench.running.importing.choose import IMPORTERS, choose
from fmtbench.running.sources import PARTS, LackingError, Sources
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
    backbone: str = "transcripts"
    task: str | None = None
    condition: str | None = None
    prompt: str = "unknown"
    sample: int = 0
    stratum: str | None = None


@dataclass(kw_only=True)
class Log:
    """What files hold, as far as they are read."""

    transcripts: list[Transcript] = field(default_factory=list)
    """Of `load_log` alone: what is streamed is not kept."""
    complaints: list[str] = field(default_factory=list)
    """One line for each row that cannot be scored."""
    unknown: Counter[str] = field(default_factory=Counter)
    """Finish reasons that are none of `FINISHED`, counted as stop."""
    halves: int = 0
    """Of character pairs, replaced by U+FFFD."""


def load_log(path: Path, answer: str, labels: Sequence[str] = ()) -> Log:
    """Every row of a file. Raises `UserError` where the file cannot be read, or the kind of answer is none."""
    log = Log()
    importer = IMPORTERS[choose([path], None)]
    log.transcripts.extend(stream_log([path], answer, labels, Sources(given=importer.parts), log, importer))
    return log


def check_answer(answer: str, labels: Sequence[str]) -> None:
    """Raises `UserError` where the kind of answer is none, or lacks its labels."""
    if answer not in ANSWERS:
        raise UserError(f"answer={answer}: allowed are {', '.join(ANSWERS)}")
    if (answer == "label") != bool(labels):
        raise UserError(f"answer={answer} with labels={list(labels)}: answer=label needs labels=[...], the others take none")


def stream_log(
    paths: Sequence[Path],
    answer: str,
    labels: Sequence[str],
    sources: Sources,
    log: Log,
    importer: Importer = IMPORTERS["json"],
) -> Iterator[Transcript]:
    """The rows of many files, one at a time; `log` is told of those that cannot be scored or read.

    Raises `UserError` before the first row where a pattern does not fit a path, and where a file cannot be read or holds none.
    """
    check_answer(answer, labels)
    known = {path: sources.of_path(path) for path in paths}
    seen, number = Keys(), 0
    for path, of_path in known.items():
        for number, record in enumerate(importer.records(path), start=1):
            if isinstance(record, Unreadable):
                log.complaints.append(f"{path}, {record.where}: {record.reason}")
                continue
            try:
                transcript = _transcript(log, number, record, answer, labels, sources, of_path)
                seen.add(transcript, path, number, sources)
            except Unscored as error:
                log.complaints.append(f"{path}, row {number}, {error}")
            else:
                yield transcript
        if not number and len(paths) == 1:
            raise UserError(f"{path} holds no transcripts")


class Keys:
    """The measurements that were seen, and where: of two of one key the first is scored."""

    def __init__(self) -> None:
        self._places: dict[bytes, tuple[Path, int]] = {}

    def add(self, one: Transcript, path: Path, number: int, sources: Sources) -> None:
        """Raises `Unscored` where the key is there."""
        key = (one.backbone, one.task, one.condition, one.prompt, one.sample, one.id)
        digest = blake2b(repr(key).encode(), digest_size=16).digest()
        if digest not in self._places:
            self._places[digest] = (path, number)
            return
        before, row = self._places[digest]
        where = f"row {row}" if before == path else f"row {row} of {before}"
        missing = [name for name in PARTS if name not in sources.parts and name != "item"]
        more = f", or say what tells them apart ({'=, '.join(missing)}=)" if missing else ""
        raise Unscored(f"field 'id': {one.id!r} occurs before, in {where}; ids must be unique{more}")


def _transcript(
    log: Log,
    number: int,
    record: dict[str, Any],
    answer: str,
    labels: Sequence[str],
    sources: Sources,
    of_path: Mapping[str, str],
) -> Transcript:
    record, halves = _storable(record)
    log.halves += halves
    text = _needed(sources, "text", record)
    if not isinstance(text, str | None):
        raise Unscored(f"field 'text': {_shown(text)} is no text")
    kind = _kind(answer, _optional(sources, "choices", record), labels)
    return Transcript(
        **_parts(record, number, sources, of_path),
        text=text or "",
        kind=kind,
        golds=_golds(_needed(sources, "gold", record), kind, answer),
        finish_reason=_finish_reason(log, _optional(sources, "finish_reason", record)),
        stratum=_stratum(_optional(sources, "stratum", record)),
    )


def _stratum(value: Any) -> str | None:
    return None if value is None or isinstance(value, list | dict) or not str(value).strip() else str(value).strip()


def _needed(sources: Sources, name: str, record: dict[str, Any]) -> Any:
    try:
        return sources.content(name, record)
    except LackingError as error:
        reason = "is missing; a row has text and gold, optionally id, choices, finish_reason"
        raise Unscored(f"field '{error}': {reason}") from error


def _optional(sources: Sources, name: str, record: dict[str, Any]) -> Any:
    """None where the record lacks it, unless its field was named on purpose."""
    try:
        return sources.content(name, record)
    except LackingError as error:
        if name in sources.given:
            raise Unscored(f"field '{error}': is missing") from error
        return None


def _parts(record: dict[str, Any], number: int, sources: Sources, of_path: Mapping[str, str]) -> dict[str, Any]:
    """Backbone, task, condition, prompt and sample, as far as they are given, and the item: its `id` or its number."""
    found: dict[str, Any] = {}
    for name in PARTS:
        try:
            value = sources.value(name, record, of_path)
        except LackingError as error:
            raise Unscored(f"field '{error}': is missing, and {name} is in it") from error
        if isinstance(value, list | dict | None) or value == "":
            if name in sources.parts:
                raise Unscored(f"{name}: {_shown(value)} is no name")
        else:
            found[name] = _sample(value) if name == "sample" else str(value)
    written = record.get("id")
    return {"id": found.pop("item", None) or str(number if written is None else written) or str(number), **found}


def _sample(value: Any) -> int:
    written = str(value)
    if not written.isascii() or not written.isdigit():
        raise Unscored(f"sample: {_shown(value)} is no whole number of at least 0")
    return int(written)


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
