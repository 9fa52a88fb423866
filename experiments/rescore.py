"""Score somebody else's transcripts with the same readers and answer kinds as our own.

    python -m experiments.rescore transcripts=FILE answer=number|choice|yes_no|label|text|math|set output=DIR

FILE holds JSON lines: `text` (the reply; null is an empty one) and `gold` (a text, a number, or a list of accepted ones);
optionally `id`, `choices` (a list, or letter to text; gold is then "(B)", "B" or the text) and `finish_reason` (stop, length,
or what other engines call these). DIR gets `rows.parquet`, with strict, marked and latent verdicts, and `not_scored.txt` where
there are rows that cannot be scored; strict_input=true refuses these. answer=label needs labels=[positive,negative].
format=auto takes, reply by reply, the structured format that it keeps, and text if it keeps none. mark=stated lets only "The
answer is ..." keep the contract of text, as our own conditions ask for it; mark=any, the default, every mark in use.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from fmtbench.errors import UserError

from .starting.start import start

if TYPE_CHECKING:
    from fmtbench.running.logs import Log
    from fmtbench.types import Row

NAMED = 5
"""Rows that are named in the terminal; the file names all."""


def main(config: DictConfig) -> None:
    from fmtbench.running.logs import load_log
    from fmtbench.running.transcripts import rescore
    from fmtbench.store.files import writable
    from fmtbench.store.rows import write_rows

    path = Path(config.transcripts)
    log = load_log(path, config.answer, tuple(config.labels))
    if log.complaints and (config.strict_input or not log.transcripts):
        count = len(log.complaints)
        raise UserError(log.complaints[0] + (f" (and {count - 1} more rows that cannot be scored)" if count > 1 else ""))
    rows = rescore(log.transcripts, config.answer, config.format, experiment=path.stem, mark=config.mark)
    output = writable(Path(config.output))
    write_rows(output / "rows.parquet", rows)
    _write_complaints(output / "not_scored.txt", log.complaints)
    print("\n".join([*_notes(log, output), _verdicts(rows), f"Rows: {output / 'rows.parquet'}"]))


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


def _verdicts(rows: list[Row]) -> str:
    counts = {
        "strict": sum(row.correct for row in rows),
        "marked": sum(row.marked_correct for row in rows),
        "latent": sum(row.latent_correct for row in rows),
    }
    shares = ", ".join(f"{name} {count / len(rows):.4f}" for name, count in counts.items())
    statuses = ", ".join(f"{status} {n}" for status, n in Counter(row.status for row in rows).most_common())
    return f"{len(rows)} transcripts: {shares} ({statuses})"


if __name__ == "__main__":
    start("rescore", main)
