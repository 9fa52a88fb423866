"""requests.jsonl, line by line: is each key the hash of its request, and is the plan one that fmtbench would make?"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fmtbench.auditing.findings import Finding, judged_lines, why_unread
from fmtbench.running.asking import request_seed, swap_seed
from fmtbench.store.folder import Planned, planned_of

NAME = "requests.jsonl"
FIELDS = ("key", "item", "sample", "request", "after")
SAMPLED = ("temperature", "top_p", "max_tokens")


def read_requests(path: Path, *, barred: bool = False) -> tuple[list[Planned], list[Finding]]:
    """The plan, and what is wrong with it. A barred cell may have nothing to ask."""
    if why := why_unread(path):
        return [], [Finding(file=NAME, what=why)]
    read = list(judged_lines(path, lambda place, line: _planned(line)))
    planned = [one for one in read if isinstance(one, Planned)]
    found = [one for one in read if isinstance(one, Finding)]
    if not read and not barred:
        found.append(Finding(file=NAME, what="is empty"))
    return planned, found + _misplaced(planned)


def _planned(line: bytes) -> Planned:
    """Raises `ValueError` saying what is wrong with the line."""
    try:
        record = json.loads(line)
        one = planned_of(record)
        key = one.request.key
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"it is not a request that this version writes ({type(error).__name__}: {error})") from error
    if set(record) != set(FIELDS):
        raise ValueError(f"it has the fields {', '.join(sorted(record))}, and a request has {', '.join(FIELDS)}")
    if record["key"] != key:
        raise ValueError(f"item {one.item.id}: its key is {str(record['key'])[:12]}, and that of its request {key[:12]}")
    return one


def _misplaced(planned: Sequence[Planned]) -> list[Finding]:
    """Requests that are planned twice, and later passes that follow no pass of the same item."""
    there = {(one.item.id, one.sample, one.request.key) for one in planned}
    seen: set[tuple[str, int, str]] = set()
    found: list[Finding] = []
    for one in planned:
        who = (one.item.id, one.sample, one.after)
        if who in seen:
            found.append(_finding(one, "is planned twice"))
        elif one.after and (one.item.id, one.sample, one.after) not in there:
            found.append(_finding(one, f"follows {one.after[:12]}, which is not a pass of it"))
        seen.add(who)
    return found


def check_sampling(planned: Sequence[Planned], sampling: Mapping[str, Any], seed: int, swapped: bool = False) -> list[Finding]:
    """Is each first pass sampled as the config says, with the seed that follows? In a swapped cell the prefix takes some of the
    tokens, and the seeds differ from those of the replies that were cut."""
    found: list[Finding] = []
    for one in planned:
        drawn = {name: getattr(one.request, name) for name in SAMPLED}
        told = {name: sampling.get(name) for name in SAMPLED}
        if swapped and isinstance(most := told["max_tokens"], int):
            told["max_tokens"] = min(most, one.request.max_tokens)
        seed_of = swap_seed if swapped else request_seed
        wanted = seed_of(seed, one.item.id, one.sample) if one.request.temperature else None
        if drawn != told:
            found.append(_finding(one, f"is drawn with {_listed(drawn)}, and config.yaml says {_listed(told)}"))
        elif one.request.seed != wanted:
            found.append(_finding(one, f"has the seed {one.request.seed}, and seed={seed} gives it {wanted}"))
    return found


def _listed(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())


def _finding(one: Planned, what: str) -> Finding:
    sample = f", sample {one.sample}" if one.sample else ""
    return Finding(file=NAME, place=f"item {one.item.id}{sample}", what=f"{what} (key {one.request.key[:12]})")
