"""`make faults`: the fault table, each row by the tests that stand for it, in their long form.

python -m tests.fault_table            the whole table
python -m tests.fault_table R2 R21     some rows
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple


class Fault(NamedTuple):
    """A row of the table: what happens, the files of its tests, and what pytest's -k selects of them."""

    id: str
    what: str
    tests: str
    only: str = ""


FILES = "tests/test_torn_files.py tests/test_store.py"
TABLE = (
    Fault("R1", "kill -9 of the process group at random moments", "tests/test_kills.py tests/test_passes.py", "kills_ or kill_"),
    Fault("R2", "death at each write, fsync and rename", "tests/test_kill_everywhere.py"),
    Fault("R3", "cut journals, flipped bits, torn side files", FILES, "torn or cut or bit or damaged"),
    Fault("R4", "a resume on another host, from another folder, without home and caches", "tests/test_kills.py", "elsewhere"),
    Fault(
        "R5",
        "a full, failing or read-only disk",
        "tests/test_full_disk.py tests/test_torn_files.py",
        "disk or half or room or fit",
    ),
    Fault(
        "R6",
        "2, 4 and 8 processes at once, a deleted lock",
        "tests/test_kills.py tests/test_workers.py tests/test_store.py",
        "at_once or two_w or lock",
    ),
    Fault("R7", "a holder that was frozen and goes on", "tests/test_kills.py", "frozen"),
    Fault("R8", "an engine out of memory, dead, with lost requests, NaN", "tests/test_faults.py"),
    Fault("R9", "malformed configs", "tests/test_malformed_configs.py tests/test_bad_config.py tests/test_own_conf.py"),
    Fault(
        "R10",
        "malformed data files",
        "tests/test_malformed_data.py tests/test_source.py tests/test_data_sets.py",
        "malformed or bad or row",
    ),
    Fault(
        "R11",
        "hostile replies and made-up ones, by every reader",
        "tests/test_hostile_replies.py tests/test_reading.py tests/test_latent.py tests/test_plain.py",
    ),
    Fault("R12", "schema bombs", "tests/test_sandbox.py"),
    Fault(
        "R13",
        "a changed part of a request misses the journal",
        "tests/test_request_parts.py tests/test_pipeline.py",
        "part or changed or byte or versions",
    ),
    Fault("R17", "secrets through every way in", "tests/test_secrets.py tests/test_server.py", "secrets or key"),
    Fault(
        "R18",
        "hostile results folders and names",
        f"tests/test_hostile_folders.py tests/test_own_conf.py {FILES}",
        "hostile or results_folder or leads or link",
    ),
    Fault("R19", "a clock put back, time zones, two hosts an hour apart", "tests/test_clocks.py"),
    Fault("R20", "a million records", "tests/test_million_records.py"),
    Fault("R21", "a hostile server", "tests/test_hostile_server.py tests/test_dead_server.py tests/test_outside_data.py"),
    Fault("R22", "the page with hostile text, in a browser", "tests/test_page.py"),
)
AT_ONCE = 2
"""Rows that run at the same time, each as a process of its own."""


def main(wanted: list[str]) -> int:
    """Prints each row in its turn; returns 1 where one has not held, 2 where there is no such row."""
    if unknown := [name for name in wanted if name not in {fault.id for fault in TABLE}]:
        print(f"error: {unknown[0]} is no row: allowed are {', '.join(fault.id for fault in TABLE)}", file=sys.stderr)
        return 2
    rows = [fault for fault in TABLE if not wanted or fault.id in wanted]
    print("| id | what happens | tests | held | seconds |\n| --- | --- | ---: | --- | ---: |", flush=True)
    failed = 0
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for done in pool.map(check, rows):
            print(done.line(), flush=True)
            failed += not done.held
            if not done.held:
                print(done.said, file=sys.stderr)
    return failed > 0


class Checked(NamedTuple):
    """What the tests of a row came to."""

    fault: Fault
    held: bool
    passed: int
    skipped: int
    seconds: float
    said: str
    """The end of what pytest printed."""

    def line(self) -> str:
        held = "no" if not self.held else f"yes, {self.skipped} skipped" if self.skipped else "yes"
        return f"| {self.fault.id} | {self.fault.what} | {self.passed} | {held} | {self.seconds:.0f} |"


def check(fault: Fault) -> Checked:
    """Run the tests of a row. One that selects no test has not held."""
    started = time.monotonic()
    command = [sys.executable, "-m", "pytest", "-n", "0", "-p", "no:cacheprovider", *fault.tests.split(), "-k", fault.only]
    done = subprocess.run(command, capture_output=True, text=True, timeout=3600, check=False)
    counts = {name: int(number) for number, name in re.findall(r"(\d+) (passed|failed|error|skipped)", done.stdout)}
    passed = counts.get("passed", 0)
    return Checked(
        fault=fault,
        held=done.returncode == 0 and passed > 0,
        passed=passed,
        skipped=counts.get("skipped", 0),
        seconds=time.monotonic() - started,
        said=done.stdout[-3000:] + done.stderr[-1000:],
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
