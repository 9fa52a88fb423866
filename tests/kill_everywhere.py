"""Dies at each write, fsync and rename of a run in turn, and prints how many there are and which leave other rows.

python -m tests.kill_everywhere FOLDER [EVERY]      every EVERYth of them, 1 by default
"""

from __future__ import annotations

import logging
import os
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from experiments.run import make_job
from fmtbench.running.pipeline import run
from fmtbench.store import files, journal
from tests.conftest import composed

WORDS = ("backend=scripted", "task=[addition]", "condition=[free_cot,nl_to_json]", "limit=4", "name=x")
KILLED = 137


class Death:
    """Ends the process at the operation of this number, half done where that is possible."""

    def __init__(self, at: int) -> None:
        self.at, self.count = at, 0

    def due(self) -> bool:
        self.count += 1
        return self.count == self.at


def shim(death: Death) -> None:
    """Put it before every way in which the store reaches the disk."""

    def before(real: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *args, **named: os._exit(KILLED) if death.due() else real(*args, **named)

    def halved(real: Callable[..., Any], place: int) -> Callable[..., Any]:
        def half(*args: Any) -> Any:
            if death.due():
                real(*args[:place], args[place][: len(args[place]) // 2], *args[place + 1 :])
                os._exit(KILLED)
            return real(*args)

        return half

    os.fsync, os.replace = before(os.fsync), before(os.replace)
    Path.write_bytes = halved(Path.write_bytes, 1)  # type: ignore[method-assign]
    journal.append_whole = halved(files.append_whole, 1)  # type: ignore[attr-defined]


def child(results: Path, at: int) -> int:
    """The exit code of a run that dies at this operation; of one that is whole for 0, whose count goes to a file."""
    if pid := os.fork():
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    death = Death(at)
    shim(death)
    run(make_job(composed(*WORDS, f"results={results}")))
    with open(results / "count", "w") as file:
        file.write(str(death.count))
    os._exit(0)


def rows(results: Path) -> dict[str, bytes]:
    return {str(path.relative_to(results)): path.read_bytes() for path in sorted(results.rglob("rows.parquet"))}


def journalled(results: Path) -> Counter[bytes]:
    return Counter(line for path in results.rglob("generations.jsonl") for line in path.read_bytes().splitlines())


def main(root: Path, every: int) -> None:
    logging.disable()
    whole = root / "whole"
    assert child(whole, 0) == 0
    count, wanted, records = int((whole / "count").read_text()), rows(whole), journalled(whole)
    wrong = []
    for at in range(1, count + 1, every):
        place = root / str(at)
        died, ended = child(place, at), child(place, 0)
        if (died, ended) != (KILLED, 0) or rows(place) != wanted or journalled(place) != records:
            wrong.append(at)
    print(count, wrong)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1)
