"""A share of the replies, generated again: does the engine that a folder names still say what the folder holds?

Checksums show what time and disks have done to a folder. They do not show an edit after which the checksums were recomputed; only
the model can. `share` of all replies is drawn by the hash of their keys, so that the same seed draws the same ones, and whoever
edits a reply cannot know which ones will be asked again.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from fmtbench.auditing.journal import read_journal
from fmtbench.auditing.requests import read_requests
from fmtbench.backbone import Backbone
from fmtbench.backends.base import Backend
from fmtbench.backends.supervise import SupervisedSession
from fmtbench.errors import UserError
from fmtbench.running.asking import answer
from fmtbench.store.journal import Journal
from fmtbench.types import Constraint, Generation, Request, Watch

LEVEL = 0.95
SHOWN = 40
"""Characters shown from each side of a difference."""


@dataclass(frozen=True, kw_only=True)
class Kept:
    """A reply as a folder holds it."""

    folder: Path
    """The run folder of its cell."""
    item: str
    """Item and sample, for messages."""
    request: Request
    generation: Generation

    @property
    def where(self) -> str:
        return f"{self.folder}: item {self.item}"


@dataclass(frozen=True, kw_only=True)
class Resampled:
    """How many replies were generated again, out of how many, and which of them differ."""

    of: int
    drawn: int
    differing: list[str] = field(default_factory=list)
    """One line each."""

    @property
    def at_most(self) -> float:
        """With 95% confidence, at most this share of all replies differ."""
        return upper_bound(len(self.differing), self.drawn)


def replies(folders: Iterable[Path]) -> dict[str, Path]:
    """The keys of all replies, each with the first run folder that has it. Errors do not count as replies."""
    found: dict[str, Path] = {}
    for folder in folders:
        planned, _ = read_requests(folder / "requests.jsonl")
        said = Journal(folder / "generations.jsonl", _unsaid).keys(lambda error: False)
        for key in said.intersection(one.request.key for one in planned):
            found.setdefault(key, folder)
    return found


def _unsaid(damage: str) -> None:
    """A run would log damage; an audit has already named it, and writes nothing."""


def drawn(keys: Collection[str], share: float, seed: int) -> list[str]:
    """`share` of the keys, at least one, without replacement."""
    ordered = sorted(keys, key=lambda key: hashlib.sha256(f"{seed}/{key}".encode()).digest())
    return ordered[: math.ceil(share * len(keys))]


def kept(keys: Iterable[str], folder_of: Mapping[str, Path]) -> list[Kept]:
    """These replies with their requests, one folder at a time, so that a large study need not fit in memory."""
    wanted: dict[Path, set[str]] = {}
    for key in keys:
        wanted.setdefault(folder_of[key], set()).add(key)
    return [one for folder, some in wanted.items() for one in _kept(folder, some)]


def _kept(folder: Path, keys: set[str]) -> Iterator[Kept]:
    planned, _ = read_requests(folder / "requests.jsonl")
    journalled, _ = read_journal(folder / "generations.jsonl")
    said = {one.generation.key: one.generation for one in journalled if one.generation.finish_reason != "error"}
    for one in planned:
        if one.request.key in keys and one.request.key in said:
            item = f"{one.item.id}, sample {one.sample}" if one.sample else one.item.id
            yield Kept(folder=folder, item=item, request=one.request, generation=said[one.request.key])


def check_identity(replies: Sequence[Kept], backbone: Backbone, backend: Backend) -> None:
    """Raises `UserError` where this machine would not send the same requests: other weights, or another engine or version."""
    first: dict[tuple[Constraint | None, str], Kept] = {}
    for one in replies:
        first.setdefault((one.request.constraint, one.request.identity), one)
    for (constraint, identity), one in first.items():
        here = backend.identity_of(backbone, constraint, one.request.temperature)
        if here != identity:
            raise UserError(
                f"{one.where} was generated with {_unlike(identity, here)}: it cannot be generated again here; "
                "install what it names, or give backbone= and backend= as its run had them"
            )


def _unlike(there: str, here: str) -> str:
    """The parts of two identities that differ."""
    try:
        old, new = json.loads(there), json.loads(here)
        names = [name for name in {**old, **new} if old.get(name) != new.get(name)]
        told = ", ".join(f"{name} {old.get(name)} (here {new.get(name)})" for name in names)
    except (ValueError, AttributeError, TypeError):
        told = f"{there} (here {here})"
    return told[:400]


def generate_again(replies: Sequence[Kept], backbone: Backbone, backend: Backend, watch: Watch) -> list[str]:
    """One line for each reply that differs from what the engine says now. Raises `UserError` before it loads weights."""
    check_identity(replies, backbone, backend)
    now: dict[str, Generation] = {}

    def keep(generation: Generation) -> None:
        now[generation.key] = generation

    with closing(SupervisedSession(backend, backbone)) as session:
        answer(session, [(keep, [one.request for one in replies])], watch)
    return [line for one in replies if (line := difference(one, now.get(one.request.key)))]


def difference(one: Kept, now: Generation | None) -> str:
    """What differs, in one line; empty where nothing does. Tokens count only where both engines report them."""
    old = one.generation
    told = f"{one.where} (key {old.key[:12]})"
    if now is None or now.finish_reason == "error":
        return f"{told}: the engine gives no reply now ({now.error if now else 'none'})"
    if old.thought != now.thought:
        return f"{told}: its thought differs from that of the reply generated again"
    if old.text != now.text:
        place = next(
            (n for n, (one, other) in enumerate(zip(old.text, now.text)) if one != other), min(len(old.text), len(now.text))
        )
        return f"{told}: at character {place} it is {old.text[place:][:SHOWN]!r}, generated again {now.text[place:][:SHOWN]!r}"
    if old.finish_reason != now.finish_reason:
        return f"{told}: it ended by {old.finish_reason}, generated again by {now.finish_reason}"
    if old.token_ids and now.token_ids and old.token_ids != now.token_ids:
        return f"{told}: its text is the same, but its tokens differ"
    return ""


def upper_bound(hits: int, trials: int, level: float = LEVEL) -> float:
    """The one-sided upper bound of a share (Clopper and Pearson 1934, Biometrika 26:404); 1 where nothing was tried.

    It holds for draws with replacement, and more so for draws without.
    """
    from scipy import stats

    return 1.0 if hits >= trials else float(stats.beta.ppf(level, hits + 1, trials - hits))
