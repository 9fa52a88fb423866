"""Score someone else's transcripts with the same readers and answer kinds as our own.

    python -m experiments.rescore transcripts=FILE answer=number|choice|yes_no|label|text|math|set output=DIR
    python -m experiments.rescore transcripts='logs/**/*.jsonl' answer=number output=DIR backbone=field:model condition=field:arm

The files hold JSON lines: `text` (the reply; null counts as empty) and `gold` (a text, a number, or a list of accepted answers);
optionally `id`, `choices` (a list, or a map from letter to text; gold is then "(B)", "B" or the text) and `finish_reason` (stop,
length, or other engines' words for these). text=field:output names another field. backbone=, task=, condition=, prompt=, sample=
and item= each take a name, a field (field:model) or a part of the path; tables, contrasts and the page then pair items across
arms. conditions.concise='{reasoning: budget, words: 50}' places an arm on the axes. contract.mark='Answer: (?P<answer>[A-E])' or
contract.fields=[thoughts,final] says what the study asked for, and so what strict means.
source= gives the kind of log: json (lines), csv, lm_eval (samples_*.jsonl), inspect (.eval or .json) or helm
(scenario_state.json); by default it is detected from the files. The same command resumes after a kill.

DIR gets `rows.parquet` with strict, marked and latent verdicts, `cells.parquet`, and, if there are rows that cannot be scored,
`not_scored.txt`; strict_input=true makes such rows an error. answer=label needs labels=[positive,negative]. format=auto reads
each reply in the structured format that it keeps to, or as text if it keeps to none. With mark=stated only "The answer is ..."
keeps the contract of text, as our own conditions ask; with mark=any, the default, any mark in use does.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf

from fmtbench.errors import UserError

from .starting.start import start

if TYPE_CHECKING:
    from fmtbench.conditions.axes import Axes
    from fmtbench.readers.contract import Contract
    from fmtbench.running.arms import Tally
    from fmtbench.running.logs import Log, Transcript
    from fmtbench.running.transcripts import ReadingRules

NAMED = 5
"""Rows named in the terminal; the file names all of them."""
TOLD = 20_000
"""Replies between two progress lines."""
logger = logging.getLogger(__name__)


def main(config: DictConfig) -> None:
    from fmtbench.running.arms import Tally
    from fmtbench.running.importing.choose import IMPORTERS, choose
    from fmtbench.running.log_files import log_files
    from fmtbench.running.logs import Log, stream_log
    from fmtbench.running.parts import made_of
    from fmtbench.running.rescored import placed, write_cells, write_rows
    from fmtbench.running.sources import Sources
    from fmtbench.store.files import writable

    plain = plain_of(config)
    axes, log, tally, paths = placed(plain["conditions"]), Log(), Tally(), log_files(plain["transcripts"])
    reading, kind = reading_of(plain, axes), choose(paths, plain["source"])
    sources = Sources(given={**IMPORTERS[kind].parts, **given(plain)})
    stream = stream_log(paths, plain["answer"], plain["row"]["labels"], sources, log, IMPORTERS[kind])
    output, apart = writable(Path(plain["output"])), list[str]()

    def check() -> None:
        check_scored(plain, log, tally)
        if "condition" in sources.parts:
            apart.extend(tally.unpaired())

    write_rows(output / "rows.parquet", told(stream), reading, tally, check, made_of(settings(plain), paths))
    write_cells(output / "cells.parquet", tally, plain, {name: plain["conditions"][name] for name in axes})
    _write_complaints(output / "not_scored.txt", log.complaints)
    print(f"source={kind} ({'as given' if plain['source'] else 'by the files'}), {len(paths)} files")
    print("\n".join([*_notes(log, output), *apart, *unused(axes, tally), _verdicts(tally), f"Rows: {output / 'rows.parquet'}"]))


def plain_of(config: DictConfig) -> dict[str, Any]:
    found = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    assert isinstance(found, dict)
    return {str(name): value for name, value in found.items()}


def given(plain: dict[str, Any]) -> dict[str, str]:
    """The given sources that differ from the defaults for every log."""
    from fmtbench.running.sources import CONTENT, PARTS

    said = {name: plain["row"][name] for name in (*PARTS, *CONTENT)}
    return {name: value for name, value in said.items() if value is not None and value != CONTENT.get(name)}


def settings(plain: dict[str, Any]) -> dict[str, Any]:
    """All settings that the rows depend on, besides the files."""
    return {name: value for name, value in plain.items() if name not in ("output", "strict_input")}


def reading_of(plain: dict[str, Any], axes: dict[str, Axes]) -> ReadingRules:
    from fmtbench.running.rescored import demanded
    from fmtbench.running.transcripts import ReadingRules

    path = Path(plain["transcripts"])
    return ReadingRules(
        answer=plain["answer"],
        written=plain["format"],
        mark=plain["mark"],
        contract=contract_of(**plain["contract"]),
        contracts=demanded(axes),
        experiment=path.stem if path.is_file() else Path(plain["output"]).resolve().name,
    )


def contract_of(mark: str | None, fields: list[str], answer: str | None) -> Contract | None:
    """What the study demanded of all its arms; None if that is not given."""
    from fmtbench.readers.contract import DemandedMark, DemandedObject

    if mark is not None and (fields or answer):
        raise UserError(f"contract.mark={mark} with contract.fields={fields}: a study demands one or the other; leave one out")
    if mark is not None:
        return DemandedMark(mark)
    if answer and not fields:
        raise UserError(f"contract.answer={answer} without contract.fields: give all keys of the object, in their order")
    return DemandedObject(fields=tuple(fields), answer=answer or fields[-1]) if fields else None


def told(stream: Iterable[Transcript]) -> Iterator[Transcript]:
    """The same stream, with a progress line every `TOLD` replies."""
    for count, one in enumerate(stream, start=1):
        if not count % TOLD:
            logger.info("%s replies read", f"{count:,}")
        yield one


def check_scored(plain: dict[str, Any], log: Log, tally: Tally) -> None:
    """Raises `UserError` for rows that cannot be scored, if these are refused or there are no others.

    Also for a demanded mark that no reply has, which would make every strict accuracy 0.
    """
    if log.complaints and (plain["strict_input"] or not tally.rows):
        count = len(log.complaints)
        raise UserError(log.complaints[0] + (f" (and {count - 1} more rows that cannot be scored)" if count > 1 else ""))
    if not tally.rows:
        raise UserError(f"transcripts={plain['transcripts']} holds no transcripts")
    if plain["contract"]["mark"] is not None and not tally.kept:
        raise UserError(f"contract.mark={plain['contract']['mark']} matches in none of {tally.rows} replies: compare it with one")


def unused(axes: dict[str, Axes], tally: Tally) -> Iterator[str]:
    arms = {condition for _, _, condition, _, _ in tally.statuses}
    for name in axes:
        if name not in arms:
            yield f"conditions.{name} places no arm: there are {', '.join(sorted(arms))}"


def _write_complaints(path: Path, complaints: list[str]) -> None:
    from fmtbench.store.files import write_text

    if complaints:
        write_text(path, "".join(f"{line}\n" for line in complaints))
    else:
        path.unlink(missing_ok=True)


def _notes(log: Log, output: Path) -> Iterator[str]:
    if log.complaints:
        yield f"{len(log.complaints)} rows are not scored, all named in {output / 'not_scored.txt'}:"
        yield from (f"  {line}" for line in log.complaints[:NAMED])
    if log.unknown:
        named = ", ".join(f"{reason!r} {count}" for reason, count in log.unknown.most_common())
        yield f"Finish reasons that are not known, counted as stop: {named}"
    if log.halves:
        yield f"{log.halves} halves of character pairs were replaced by U+FFFD"


def _verdicts(tally: Tally) -> str:
    from fmtbench.running.arms import VERDICTS

    shares = ", ".join(f"{name} {tally.right[name] / tally.rows:.4f}" for name in VERDICTS)
    statuses = ", ".join(f"{status} {n}" for status, n in sum(tally.statuses.values(), Counter[str]()).most_common())
    return f"{tally.rows} transcripts: {shares} ({statuses})"


if __name__ == "__main__":
    start("rescore", main)
