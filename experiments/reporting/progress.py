"""The progress bar of a run: items, tokens per second, time left."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from fmtbench.types import Generation

QUIET_SECONDS = 30.0


def progress(total: int, stream: Iterable[Generation]) -> Iterator[Generation]:
    """Pass a stream of generations through and show its progress on stderr, as plain lines if that is not a terminal."""
    return _bar(total, stream) if sys.stderr.isatty() else _lines(total, stream)


def _bar(total: int, stream: Iterable[Generation]) -> Iterator[Generation]:
    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("items, {task.fields[speed]} tokens/s,"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("generate", total=total, speed="-")
        for _, tokens, seconds, generation in _counted(stream):
            bar.update(task, advance=1, speed=f"{tokens / seconds:.0f}")
            yield generation


def _lines(total: int, stream: Iterable[Generation]) -> Iterator[Generation]:
    said = time.monotonic()
    for count, tokens, seconds, generation in _counted(stream):
        if count == total or time.monotonic() - said > QUIET_SECONDS:
            said = time.monotonic()
            left = seconds / count * (total - count)
            print(f"{count}/{total} items, {tokens / seconds:.0f} tokens/s, {left:.0f} s left", file=sys.stderr, flush=True)
        yield generation


def _counted(stream: Iterable[Generation]) -> Iterator[tuple[int, int, float, Generation]]:
    """Items, tokens and seconds so far, with each generation."""
    started, tokens = time.monotonic(), 0
    for count, generation in enumerate(stream, start=1):
        tokens += generation.completion_tokens
        yield count, tokens, max(time.monotonic() - started, 1e-6), generation
