"""A probe on one run folder: its journal, which survives a kill, and the files made from it.

mass-outlines.jsonl    one line per reply; what is there is not computed again
mass.parquet           one row per token, from the journals of every decoder
spelling.parquet       one row per token, also for replies without a mask
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from fmtbench.probes.mass import MassProbe, MassRecord, record_of
from fmtbench.probes.replies import ProbedReply
from fmtbench.probes.spelling import Speller
from fmtbench.probes.token_rows import mass_rows, spelling_rows, token_kinds
from fmtbench.store.folder import RunFolder
from fmtbench.store.probed import MASS, SPELLING, write_probed


def journal_name(decoder: str) -> str:
    return f"mass-{decoder}.jsonl"


@dataclass(kw_only=True)
class CellProbe:
    """The probe of one cell. Writing needs the folder's lock."""

    folder: RunFolder
    replies: Sequence[ProbedReply]

    def measure(self, probe: MassProbe, told: Callable[[MassRecord], None] = lambda record: None) -> int:
        """Journal what is missing; returns the number of records written.

        A record with a problem is measured again, but written again only if the problem has changed.
        """
        name = journal_name(probe.masks.name)
        before = {record.key: record.problem for record in self._records(self.folder.path / name)}
        done = {key for key, problem in before.items() if problem is None}
        count = 0
        with self.folder.lines(name) as lines:
            for record in probe.measure(list(probe.missing(self.replies, done))):
                if record.key not in before or record.problem != before[record.key]:
                    lines.write(asdict(record))
                    count += 1
                told(record)
        return count

    def derive(self, probe: MassProbe) -> None:
        """Write the two parquet files from everything in the journals."""
        tokenizer = probe.reference.tokenizer
        write_probed(self.folder.path, MASS, mass_rows(self.replies, self.records(), token_kinds(tokenizer)))
        write_probed(self.folder.path, SPELLING, spelling_rows(self.replies, Speller(tokenizer)))

    def records(self) -> dict[str, list[MassRecord]]:
        """The records of all decoders by request key; the last one of each key counts."""
        last = {record.key: record for path in sorted(self.folder.path.glob(journal_name("*"))) for record in self._records(path)}
        found = defaultdict(list)
        for record in sorted(last.values(), key=lambda one: (one.against, one.decoder, one.dtype)):
            found[record.request_key].append(record)
        return found

    def _records(self, path: Path) -> list[MassRecord]:
        return [record_of(line) for line in self.folder.lines(path.name).records()]
