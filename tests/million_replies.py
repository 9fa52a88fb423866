"""A long log of somebody else's replies through `experiments.rescore`: its seconds, processor time and memory.

    python -m tests.million_replies FOLDER [REPLIES ['LOGS/*.jsonl.gz']]

A million replies by default, which take about a gigabyte of disk: those of LOGS (JSON lines with text and gold), spread over all
of them, or made-up ones that break JSON in the ways that occur; all again from the first where these are fewer.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from fmtbench.running.importing.lines import json_lines
from fmtbench.running.log_files import log_files
from tests.conftest import ROOT

MODELS = 44
STEPS = "Each box holds 12 pears, so 7 boxes hold 7 * 12 = 84 pears. Of these a quarter, 84 / 4 = 21, is given away. "
OBJECT = '{{\n    "reasoning": "{}",\n    "answer": "{}"\n}}'


def made_up() -> Iterator[dict[str, Any]]:
    for n in range(1_000):
        text = OBJECT.format(2 * STEPS + f"So {n} are left.", n)
        broken = (
            text,
            f"```json\n{text}\n```",
            f"Here it is:\n{text}\nDone.",
            text.replace(". ", ".\n"),
            text.replace("*", r"\*"),
        )
        yield {"text": broken[n % len(broken)], "gold": str(n)}


def write(path: Path, replies: int, pool: list[dict[str, Any]]) -> None:
    with open(path, "w", encoding="utf-8") as file:
        for n, one in enumerate(islice(cycle(pool), replies)):
            record = {"id": f"q{n // MODELS}", "model": f"m{n % MODELS}", "text": one["text"], "gold": one["gold"]}
            file.write(json.dumps(record) + "\n")


def measure(folder: Path, replies: int, logs: str | None = None) -> dict[str, float]:
    """`seconds`, `processor` seconds and bytes of `memory` of the command, in a process of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    pool = [one for path in log_files(logs) for one in json_lines(path) if isinstance(one, dict)] if logs else list(made_up())
    write(folder / "log.jsonl", replies, pool[:: max(1, len(pool) // replies)])
    words = [f"transcripts={folder / 'log.jsonl'}", "answer=number", f"output={folder / 'out'}", "backbone=field:model"]
    started, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    subprocess.run(
        [sys.executable, "-m", "experiments.rescore", *words], cwd=ROOT, check=True, env=environment, stdout=subprocess.DEVNULL
    )
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime
    return {"seconds": time.perf_counter() - started, "processor": processor, "memory": 1024.0 * used.ru_maxrss}


if __name__ == "__main__":
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 1_000_000
    found = measure(Path(sys.argv[1]), count, sys.argv[3] if len(sys.argv) > 3 else None)
    print(
        f"{count:,} replies: {found['seconds']:.0f} s, {found['processor']:.0f} s of processor time, "
        f"{found['memory'] / 1e6:.0f} MB of memory; {1000 * found['processor'] / count:.2f} ms a reply"
    )
