"""Speeds as ratios of two measurements that alternate in one run, with their spread."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

Measurement = Callable[[], float]


@dataclass(frozen=True, kw_only=True)
class Target:
    """The bound that a row has to meet."""

    sense: Literal["at least", "at most"]
    value: float

    def holds(self, ratio: float) -> bool:
        return ratio >= self.value if self.sense == "at least" else ratio <= self.value


@dataclass(frozen=True, kw_only=True)
class BenchmarkResult:
    """One row of the table: the ratios, whose median and range are shown, and the target they have to meet."""

    name: str
    what: str
    ratios: tuple[float, ...]
    target: Target | None = None
    also: bool = True
    """Whether everything else holds, such as a bound on memory."""
    notes: str = ""

    def record(self) -> dict[str, Any]:
        """The row as it goes into the JSON file; a row without a target counts as met."""
        ratio = statistics.median(self.ratios)
        return {
            "name": self.name,
            "ratio": ratio,
            "min": min(self.ratios),
            "max": max(self.ratios),
            "target": None if self.target is None else self.target.value,
            "sense": None if self.target is None else self.target.sense,
            "holds": self.also and (self.target is None or self.target.holds(ratio)),
            "what": self.what,
            "notes": self.notes,
            "processor": processor(),
        }


def processor() -> str:
    """The name of this machine's processor, and its number of cores."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return f"{next(named, platform.processor() or platform.machine())}, {os.cpu_count()} cores"


def paired(ours: Measurement, other: Measurement, pairs: int) -> tuple[float, ...]:
    """ours / other, pair by pair; which one goes first alternates, so that drift of the machine cancels."""
    ratios = []
    for number in range(pairs):
        if number % 2:
            second, first = other(), ours()
        else:
            first, second = ours(), other()
        ratios.append(first / second)
    return tuple(ratios)


def spread(values: Sequence[float]) -> str:
    """Median and range, for a note."""
    return f"{statistics.median(values):.1f} [{min(values):.1f}, {max(values):.1f}]"
