"""R9: malformed words under every command: exit code 2, one line that names the key, no model, and an answer within a second."""

from __future__ import annotations

import re
import statistics
import time
from pathlib import Path
from typing import Any

import pytest

from fmtbench.backends.supervise import SupervisedSession
from tests.commanding import command, within
from tests.malformed_configs import Malformed, malformed

CASES = malformed()
LONG, SHORT = 450, 8
NEEDED = {
    "doctor": ("task=[invoices]",),
    "tables": ("results=R",),
    "export": ("results=R", "format=lm_eval", "output=O"),
    "notebooks": ("results=R",),
    "rescore": ("transcripts=R", "answer=number", "output=O"),
    "score": ("results=R",),
    "verify": ("results=R",),
    "lockin": ("results=R",),
    "embed": ("texts=R", "output=O"),
    "train": ("output=O",),
    "synthesize": ("output=O",),
}
"""What a command asks for, so that nothing but the word is wrong. R and O are folders of the test."""
PART = 50
MOST_SECONDS = 15
SECONDS: list[float] = []


def check(case: Malformed, place: Path) -> str:
    """What is wrong with how a malformed word ends; empty where nothing is."""
    key = re.split(r"[=.]", case.word.lstrip("+~-"))[0]
    needed = [word for word in NEEDED.get(case.command, ()) if word.partition("=")[0] != key]
    folders = {"R": place / "r", "O": place / "o"}
    words = [f"{word.partition('=')[0]}={folders.get(word.partition('=')[2], word.partition('=')[2])}" for word in needed]
    started = time.perf_counter()
    try:
        with within(MOST_SECONDS):
            done = command(case.command, *words, case.word)
    except Exception as error:  # noqa: BLE001
        return f"it raises {type(error).__name__}: {error}"
    SECONDS.append(time.perf_counter() - started)
    lines = done.err.splitlines()
    if done.code != 2 or len(lines) != 1 or not lines[0].startswith("error: "):
        return f"exit code {done.code}, {done.err[-600:]}"
    if any((place / name).exists() for name in ("r/x", "o")):
        return "it began to write"
    named = key.rstrip("_") in lines[0] or case.word in lines[0] or "there is no such folder" in lines[0]
    return "" if named or not re.match(r"\w+_?=", case.word) else f"does not name the key: {lines[0]}"


@pytest.fixture(autouse=True)
def no_model(monkeypatch: pytest.MonkeyPatch) -> None:
    def opened(*_: Any) -> None:
        raise AssertionError("a model is loaded")

    monkeypatch.setattr(SupervisedSession, "__init__", opened)


def parts() -> list[Any]:
    long = [pytest.param(start, PART, marks=pytest.mark.slow) for start in range(0, LONG, PART)]
    return [(LONG, SHORT), *long]


@pytest.mark.parametrize(("start", "count"), parts())
def test_malformed_words(tmp_path: Path, start: int, count: int) -> None:
    (tmp_path / "r").mkdir()
    wrong = {f"{case.command} {case.word}": check(case, tmp_path) for case in CASES[start : start + count]}
    assert not [f"{word}: {what}" for word, what in wrong.items() if what]
    assert statistics.median(SECONDS) < 1


def test_there_are_enough_of_them() -> None:
    assert len(CASES) >= LONG + SHORT >= 400
    assert len({case.command for case in CASES[:LONG]}) == 20
    assert len(set(CASES)) == len(CASES)
