"""Seconds per test file, printed at the end of a run: `pytest --files 15`.

test_backends.py      61.2 s  (48 tests)
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import pytest


def by_file(reports: Iterable[pytest.TestReport]) -> list[tuple[str, float, int]]:
    """File, seconds of its tests and their fixtures, and number of its tests; the slowest file first."""
    seconds: dict[str, float] = defaultdict(float)
    tests: dict[str, set[str]] = defaultdict(set)
    for report in reports:
        file = report.nodeid.partition("::")[0]
        seconds[file] += report.duration
        tests[file].add(report.nodeid)
    return sorted(((file, spent, len(tests[file])) for file, spent in seconds.items()), key=lambda one: -one[1])


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--files", type=int, default=0, metavar="N", help="print the seconds of the N slowest files")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    most = terminalreporter.config.getoption("--files")
    if not most:
        return
    found = by_file(one for group in terminalreporter.stats.values() for one in group if isinstance(one, pytest.TestReport))
    terminalreporter.section(f"seconds per file, {sum(spent for _, spent, _ in found):.0f} in all")
    for file, spent, tests in found[:most]:
        terminalreporter.write_line(f"{file:40} {spent:7.1f} s  ({tests} tests)")
