"""Score somebody else's transcripts with the same readers and answer kinds as our own.

    python -m experiments.rescore transcripts=FILE answer=number|choice|yes_no|label|text|math|set output=DIR

FILE holds JSON lines: `text` (the reply) and `gold`; optionally `id`, `choices` (letter to text; gold is then "(B)", "B" or
the text) and `finish_reason` (stop or length). DIR gets `rows.parquet`, with strict and latent verdicts. answer=label needs
labels=[positive,negative]. format=auto takes, reply by reply, the structured format that it keeps, and text if it keeps none.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from omegaconf import DictConfig

from .starting.start import start


def main(config: DictConfig) -> None:
    from fmtbench.running.transcripts import load_transcripts, rescore
    from fmtbench.store.files import writable
    from fmtbench.store.rows import write_rows

    path = Path(config.transcripts)
    labels = tuple(config.labels)
    transcripts = load_transcripts(path, config.answer, labels)
    rows = rescore(transcripts, config.answer, config.format, experiment=path.stem, labels=labels)
    output = writable(Path(config.output))
    write_rows(output / "rows.parquet", rows)
    strict, latent = sum(row.correct for row in rows), sum(row.latent_correct for row in rows)
    statuses = ", ".join(f"{status} {n}" for status, n in Counter(row.status for row in rows).most_common())
    print(f"{len(rows)} transcripts: strict {strict / len(rows):.4f}, latent {latent / len(rows):.4f} ({statuses})")
    print(f"Rows: {output / 'rows.parquet'}")


if __name__ == "__main__":
    start("rescore", main)
