"""How reproducible an engine is: greedy replies repeated, in another order, and in other batches.

Greedy decoding is deterministic only on paper: the order of summation, and so the rounding, depends on the batch. How much of
that reaches the text differs by engine, mode and machine, so it is measured, and every later manifest contains the result.

    {"asked": {...}, "identical": {"free": {"replies": 100, "repeat": 100, "shuffled": 97, "at_most_4": 91}, ...}}
"""

from __future__ import annotations

import hashlib
import json
import platform
import random
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from platformdirs import user_cache_path

from fmtbench.backends.base import Session
from fmtbench.store.files import write_text
from fmtbench.types import Request

AT_MOST = (16, 4)


def probe_determinism(session: Session, requests: Sequence[Request]) -> dict[str, Any]:
    """Counts of identical replies of an open engine, separately for requests with and without a constraint.

    Raises `ValueError` if a request is sampled.
    """
    if any(request.temperature > 0 for request in requests):
        raise ValueError("determinism is probed with greedy requests: set temperature to 0")
    shuffled = random.Random(0).sample(list(requests), len(requests))
    first = _replies(session, requests)
    runs = {"repeat": _replies(session, requests), "shuffled": _replies(session, shuffled)}
    runs |= {f"at_most_{most}": _replies(session, requests, most) for most in AT_MOST}
    identical = {}
    for name, held in (("free", False), ("constrained", True)):
        keys = [request.key for request in requests if (request.constraint is not None) == held]
        counts = {run: sum(replies[key] == first[key] for key in keys) for run, replies in runs.items()}
        identical[name] = {"replies": len(keys), **counts}
    return {"probed": datetime.now(UTC).isoformat(timespec="seconds"), "at_most": AT_MOST, "identical": identical}


def _replies(session: Session, requests: Sequence[Request], at_most: int | None = None) -> dict[str, tuple[int, ...]]:
    return {one.key: one.token_ids for one in session.generate(requests, at_most)}


def remember(facts: dict[str, Any], found: dict[str, Any]) -> Path:
    """Keep a result for the engine with these facts on this machine; returns its file."""
    place = _place(facts)
    place.parent.mkdir(parents=True, exist_ok=True)
    write_text(place, json.dumps(found, indent=2) + "\n")
    return place


def remembered(facts: dict[str, Any]) -> dict[str, Any] | None:
    """What was measured for the engine with these facts on this machine; None if nothing was."""
    place = _place(facts)
    try:
        return json.loads(place.read_bytes())
    except (OSError, ValueError):  # never measured, or damaged by a power cut: measure again
        return None


def _place(facts: dict[str, Any]) -> Path:
    document = json.dumps([facts, platform.machine(), platform.processor()], sort_keys=True, default=str)
    return user_cache_path("fmtbench") / "determinism" / f"{hashlib.sha256(document.encode()).hexdigest()[:32]}.json"
