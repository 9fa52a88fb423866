"""A long log of somebody else's replies is read and written a few at a time."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.million_replies import measure

GIGABYTE = 1e9


@pytest.mark.slow
def test_a_million_replies_would_take_less_than_a_gigabyte(tmp_path: Path) -> None:
    """What is kept of a reply is its key and its item: the growth from a few parts to many, times a million."""
    few, more = (measure(tmp_path / str(count), count) for count in (5_000, 20_000))
    growth = (more["memory"] - few["memory"]) / 15_000
    print(few, more)
    assert few["memory"] + 1_000_000 * growth < GIGABYTE
