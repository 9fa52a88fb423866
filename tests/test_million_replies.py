"""Of a long log of somebody else's replies only keys, items and counts are kept; `python -m tests.million_replies` reads one."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from fmtbench.answers import Number
from fmtbench.running.arms import Tally
from fmtbench.running.logs import Keys, Transcript
from fmtbench.running.sources import Sources

REPLIES = 5_000
MOST = 500
"""Bytes of a reply: half a gigabyte of a million, beside the 0.2 GB of the libraries and of one part."""


def test_what_is_kept_of_a_million_replies_is_half_a_gigabyte_at_most() -> None:
    """The worst of logs, in which every reply is to an item of its own."""
    keys, tally, path, sources = Keys(), Tally(), Path("log.jsonl"), Sources()
    verdicts = {"answer": "1", "correct": True, "marked_correct": True, "latent_correct": True, "status": "ok", "seed": 0}
    tracemalloc.start()
    try:
        for n in range(REPLIES):
            names = {"backbone": f"m{n % 44}", "task": "t", "condition": "c", "prompt": "p"}
            keys.add(
                Transcript(id=f"q{n}", text="1" * 500, kind=Number(), golds=("1",), finish_reason="stop", **names),
                path,
                n,
                sources,
            )
            row: Any = SimpleNamespace(item_id=f"q{n}", text="1" * 500, **names, **verdicts)
            tally.add(row)
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert tally.rows == REPLIES
    assert 50 < held / REPLIES < MOST
