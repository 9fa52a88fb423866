"""What it costs to resume a run: the scan of a long journal."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from fmtbench.store.journal import journal_line
from fmtbench.types import Generation

from .measure import BenchmarkResult, Target

LINES = 1_000_000
SCAN_SECONDS = 600.0
GIGABYTE = 1e9
SCAN = """
import resource, sys, time
from pathlib import Path
from fmtbench.store.folder import RunFolder
started = time.perf_counter()
count = len(RunFolder(Path(sys.argv[1])).done())
print(count, time.perf_counter() - started, 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def resume_scan(times: int) -> BenchmarkResult:
    """Seconds to scan a million generations of 60 tokens, in a separate process."""
    with tempfile.TemporaryDirectory() as place:
        write_journal(Path(place), LINES)
        found = [scan(Path(place)) for _ in range(times)]
        size = (Path(place) / "generations.jsonl").stat().st_size
    memory = max(memory for _, memory in found)
    return BenchmarkResult(
        name="resume_scan",
        what=f"seconds to scan {LINES:,} journalled generations, under 1 GB",
        ratios=tuple(seconds for seconds, _ in found),
        target=Target(sense="at most", value=10),
        also=memory < GIGABYTE,
        notes=f"{size / 1e6:,.0f} MB of journal, {memory / 1e6:.0f} MB of memory",
    )


def write_journal(place: Path, lines: int) -> None:
    text = "Half of twelve apples is six, and six times three dollars is eighteen dollars. The answer is 18."
    ends = tuple(range(1, 61))
    record = asdict(Generation(key="", text=text, token_ids=ends, token_ends=ends, prompt_tokens=100, seconds=0.1))
    with open(place / "generations.jsonl", "wb") as journal:
        journal.writelines(journal_line(record | {"key": f"{number:064x}"}) for number in range(lines))


def scan(place: Path) -> tuple[float, float]:
    """The scan's seconds and its peak memory in bytes."""
    words = [sys.executable, "-c", SCAN, str(place)]
    done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=SCAN_SECONDS)
    count, seconds, memory = done.stdout.split()
    assert int(count) == LINES
    return float(seconds), float(memory)
