"""A run that dies at each write, fsync and rename, and is started again, ends as an unbroken one does: rows and journal."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT


@pytest.mark.parametrize("every", [61, pytest.param(1, marks=pytest.mark.slow)])
def test_dying_at_any_operation_changes_nothing(tmp_path: Path, every: int) -> None:
    words = [sys.executable, "-W", "ignore", "-m", "tests.kill_everywhere", str(tmp_path), str(every)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=900)
    count, _, wrong = done.stdout.partition(" ")
    assert int(count) > 40, done.stderr[-2000:]
    assert wrong == "[]\n", "the operations after which the rows are others"
