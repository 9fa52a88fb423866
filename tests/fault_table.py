"""`make faults`: the fault table, each row by the tests that stand for it, in their long form.

python -m tests.fault_table            the whole table
python -m tests.fault_table R2 R21     some rows
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
from typing import NamedTuple


class Fault(NamedTuple):
    """A row of the table: what happens, and the arguments of pytest that select its tests."""

    id: str
    what: str
    tests: str


FILES = "tests/test_torn_files.py tests/test_store.py"
TABLE = (
    Fault("R1", "kill -9 at random moments: none lost, none twice", "tests/test_pipeline.py tests/test_passes.py -k kill"),
    Fault("R2", "death at each write, fsync and rename", "tests/test_kill_everywhere.py"),
    Fault("R3", "cut journals, flipped bits, torn side files", f"{FILES} -k 'torn or cut or bit or damaged'"),
    Fault("R5", "a full or failing disk", "tests/test_torn_files.py -k 'disk or half or room or fit'"),
    Fault("R6", "two processes at once, a deleted lock", "tests/test_workers.py tests/test_store.py -k 'two_w or lock'"),
    Fault("R8", "an engine out of memory, dead, with lost requests, NaN", "tests/test_faults.py"),
    Fault("R9", "malformed configs", "tests/test_bad_config.py tests/test_own_conf.py"),
    Fault("R10", "malformed data files", "tests/test_source.py tests/test_data_sets.py -k 'bad or row'"),
    Fault(
        "R11", "hostile replies: read at once, by every reader", "tests/test_reading.py tests/test_latent.py tests/test_plain.py"
    ),
    Fault("R12", "schema bombs", "tests/test_sandbox.py"),
    Fault("R13", "a changed part of a request misses the journal", "tests/test_pipeline.py -k changed_request"),
    Fault("R17", "secrets through every way in", "tests/test_secrets.py tests/test_server.py -k 'secrets or key'"),
    Fault("R18", "hostile results folders and names", f"tests/test_own_conf.py {FILES} -k 'results_folder or leads or link'"),
    Fault("R21", "a hostile server", "tests/test_hostile_server.py tests/test_dead_server.py tests/test_outside_data.py"),
    Fault("R22", "the page with hostile text, in a browser", "tests/test_page.py"),
)


def main(wanted: list[str]) -> int:
    rows = [fault for fault in TABLE if not wanted or fault.id in wanted]
    print("| id | what happens | tests | held | seconds |\n| --- | --- | ---: | --- | ---: |", flush=True)
    return sum([_row(fault) for fault in rows]) > 0


def _row(fault: Fault) -> bool:
    """Prints the row; returns whether it failed. A row that selects no test has not held."""
    started = time.monotonic()
    command = f"{sys.executable} -m pytest -p no:cacheprovider {fault.tests}"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=3600)
    counts = {name: int(number) for number, name in re.findall(r"(\d+) (passed|failed|error|skipped)", done.stdout)}
    failed = done.returncode != 0 or not counts.get("passed")
    held = "no" if failed else "yes" if not counts.get("skipped") else f"yes, {counts['skipped']} skipped"
    print(f"| {fault.id} | {fault.what} | {counts.get('passed', 0)} | {held} | {time.monotonic() - started:.0f} |", flush=True)
    if failed:
        print(done.stdout[-3000:] + done.stderr[-1000:], file=sys.stderr)
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
