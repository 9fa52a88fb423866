"""The fault table itself: every row is there, and a row that fails, or selects nothing, has not held."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.fault_table import TABLE, Fault, check, main

ROWS = [f"R{number}" for number in (*range(1, 14), *range(17, 23))]


def test_every_row_is_there_and_names_files_that_are() -> None:
    assert [fault.id for fault in TABLE] == ROWS
    for fault in TABLE:
        assert all((ROOT / name).is_file() for name in fault.tests.split())


@pytest.mark.parametrize(
    ("body", "held"),
    [
        ("assert True", True),
        *(
            pytest.param(*case, marks=pytest.mark.slow)
            for case in (("assert False", False), ("pytest.skip('no disk')", False), ("", False))
        ),
    ],
)
def test_what_has_held(tmp_path: Path, body: str, held: bool) -> None:
    name = "test_it" if body else "no_test"
    (tmp_path / "test_made.py").write_text(f"import pytest\n\n\ndef {name}():\n    {body or 'pass'}\n")
    done = check(Fault("R0", "made", str(tmp_path / "test_made.py")))
    assert done.held == held
    assert ("| yes |" in done.line()) == held


def test_an_unknown_row_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["R99"]) == 2
    assert "R99" in capsys.readouterr().err
