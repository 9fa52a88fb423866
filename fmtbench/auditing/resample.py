"""A share of the replies, generated again: does the engine that a folder names say what the folder holds?

Checksums show what time and disks have done to a folder. They do not show what a hand has done that made the checksums anew; only
the model can. `share` of all replies are drawn by the hash of their keys, so that the same seed draws the same ones, and whoever
changes a reply cannot know which will be asked again.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from fmtbench.auditing.cell import CellAudit
from fmtbench.backbone import Backbone
from fmtbench.backends.base import Backend
from fmtbench.backends.supervise import SupervisedSession
from fmtbench.errors import UserError
from fmtbench.running.asking import answer
from fmtbench.types import Constraint, Generation, Request, Watch

LEVEL = 0.95
SHOWN = 40
"""Characters of each side of a difference."""


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
    """How many replies were generated again, of how many, and which of them differ."""

    of: int
    drawn: int
    differing: list[str] = field(default_factory=list)
    """A line each."""

    @property
    def at_most(self) -> float:
        """The share of all replies that differ is at most this, with a confidence of 95 %."""
        return upper_bound(len(self.differing), self.drawn)


def replies(audits: Iterable[CellAudit]) -> list[Kept]:
    """Every reply once, whichever cells share it. Errors are none."""
    found: dict[str, Kept] = {}
    for audit in audits:
        for one in audit.planned:
            said = audit.said.get(one.request.key)
            if said is not None and said.finish_reason != "error":
                item = f"{one.item.id}, sample {one.sample}" if one.sample else one.item.id
                found.setdefault(said.key, Kept(folder=audit.path, item=item, request=one.request, generation=said))
    return list(found.values())


def drawn(kept: Sequence[Kept], share: float, seed: int) -> list[Kept]:
    """`share` of them, and at least one, without replacement."""
    ordered = sorted(kept, key=lambda one: hashlib.sha256(f"{seed}/{one.request.key}".encode()).digest())
    return ordered[: math.ceil(share * len(kept))]


def check_identity(kept: Sequence[Kept], backbone: Backbone, backend: Backend) -> None:
    """Raises `UserError` where this machine would not send the same requests: other weights, another engine or version of it."""
    first: dict[tuple[Constraint | None, str], Kept] = {}
    for one in kept:
        first.setdefault((one.request.constraint, one.request.identity), one)
    for (constraint, identity), one in first.items():
        here = backend.identity(backbone, constraint)
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


def generate_again(kept: Sequence[Kept], backbone: Backbone, backend: Backend, watch: Watch) -> list[str]:
    """A line for each reply that differs from what the engine says now. Raises `UserError` before it loads weights."""
    check_identity(kept, backbone, backend)
    now: dict[str, Generation] = {}

    def keep(generation: Generation) -> None:
        now[generation.key] = generation

    with closing(SupervisedSession(backend, backbone)) as session:
        answer(session, [(keep, [one.request for one in kept])], watch)
    return [line for one in kept if (line := difference(one, now.get(one.request.key)))]


def difference(kept: Kept, now: Generation | None) -> str:
    """What differs, in one line; empty where nothing does. Tokens count only where both engines tell them."""
    old = kept.generation
    told = f"{kept.where} (key {old.key[:12]})"
    if now is None or now.finish_reason == "error":
        return f"{told}: the engine gives no reply now ({now.error if now else 'none'})"
    if old.text != now.text:
        place = next(
            (n for n, (one, other) in enumerate(zip(old.text, now.text)) if one != other), min(len(old.text), len(now.text))
        )
        return f"{told}: at character {place} it is {old.text[place:][:SHOWN]!r}, generated again {now.text[place:][:SHOWN]!r}"
    if old.finish_reason != now.finish_reason:
        return f"{told}: it ended by {old.finish_reason}, generated again by {now.finish_reason}"
    if old.token_ids and now.token_ids and old.token_ids != now.token_ids:
        return f"{told}: its text is the same, and its tokens are others"
    return ""


def upper_bound(hits: int, trials: int, level: float = LEVEL) -> float:
    """The one-sided upper bound of a share (Clopper and Pearson 1934, Biometrika 26:404). 1 where nothing was tried.

    It holds for draws with replacement, and all the more for draws without.
    """
    from scipy import stats

    return 1.0 if hits >= trials else float(stats.beta.ppf(level, hits + 1, trials - hits))
