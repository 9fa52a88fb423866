"""The commitment probe on one run folder: its journal, which survives a kill, and the file made from it.

commitment.jsonl       one line per reply and read-out; what is there is not computed again
commitment.parquet     one row per cut of these
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from fmtbench.probes.commitment import CommitmentProbe, CommitmentRecord, Readout, ReadReply, record_of
from fmtbench.store.folder import RunFolder
from fmtbench.store.probed import COMMITMENT, write_probed

JOURNAL = "commitment.jsonl"
READOUTS: tuple[Readout, ...] = ("own", "turn")


@dataclass(kw_only=True)
class CommitmentCell:
    """The probe of one cell. Writing needs the folder's lock."""

    folder: RunFolder
    replies: Sequence[ReadReply]
    readouts: Sequence[Readout] = READOUTS

    def measure(self, probe: CommitmentProbe, told: Callable[[CommitmentRecord], None] = lambda record: None) -> int:
        """Journal what is missing; returns the number of records written.

        A record with a problem is measured again, but written again only if the problem has changed.
        """
        before = {record.key: record.problem for record in self.records().values()}
        done = {key for key, problem in before.items() if problem is None}
        count = 0
        with self.folder.lines(JOURNAL) as lines:
            for record in probe.measure(probe.missing(self.replies, self.readouts, done)):
                if record.key not in before or record.problem != before[record.key]:
                    lines.write(asdict(record))
                    count += 1
                told(record)
        return count

    def found(self, probe: CommitmentProbe) -> Iterator[tuple[ReadReply, CommitmentRecord]]:
        """The records of these replies for the current candidates and settings; others stay in the journal."""
        known = self.records()
        for reply in self.replies:
            for readout in self.readouts:
                if record := known.get(probe.record_key(reply, readout)):
                    yield reply, record

    def derive(self, probe: CommitmentProbe) -> None:
        """Write the parquet file from the journal."""
        write_probed(self.folder.path, COMMITMENT, (row for found in self.found(probe) for row in rows_of(*found)))

    def records(self) -> dict[str, CommitmentRecord]:
        """The records by key; the last one of each key counts."""
        return {record.key: record for record in map(record_of, self.folder.lines(JOURNAL).records())}


def rows_of(reply: ReadReply, record: CommitmentRecord) -> Iterator[dict[str, Any]]:
    """One row per cut, or a single row that says why there are none."""
    told = {"request_key": record.request_key, "readout": record.readout, "dtype": record.dtype}
    if record.problem:
        yield told | {"problem": record.problem}
        return
    item, kind = reply.planned.item, reply.kind
    right_C = np.array([any(kind.same(one, gold) for gold in (item.gold, *item.aliases)) for one in record.candidates])
    final_C = np.array([reply.final is not None and kind.same(reply.final, one) for one in record.candidates])
    for fraction, tokens, logprobs in zip(record.fractions, record.tokens, record.logprobs):
        p_C = np.exp(np.array(logprobs) - np.logaddexp.reduce(logprobs))
        first = int(p_C.argmax())
        yield told | {
            "fraction": fraction,
            "tokens": tokens,
            "candidates": len(record.candidates),
            "held": float(np.exp(np.logaddexp.reduce(logprobs))),
            "p_gold": float(p_C[right_C].sum()),
            "entropy": float(-(p_C * np.log(p_C, out=np.zeros_like(p_C), where=p_C > 0)).sum()) + 0.0,
            "first": record.candidates[first],
            "first_right": bool(right_C[first]),
            "final": reply.final,
            "fixed": bool(final_C[first]) if final_C.any() else None,
        }
