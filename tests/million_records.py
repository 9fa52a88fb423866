"""A run of so many records with a scripted model, in a process of its own: what it costs in memory and time.

    python -m tests.million_records FOLDER [RECORDS]      a million by default; about 2.5 GB of disk

Prints JSON: records, the most memory of the process in bytes, processor seconds, and those of a scan of all journals.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

from fmtbench.answers import AnswerKind, YesNo
from fmtbench.backbone import Backbone
from fmtbench.backends.scripted import Scripted
from fmtbench.conditions.condition import Condition
from fmtbench.running.job import Cell, Job
from fmtbench.running.pipeline import finished
from fmtbench.tasks.base import Task
from fmtbench.types import Item, Request, Sampling, Shot
from tests.test_pipeline import PROMPT

CELL = 5_000
CONDITIONS = {"free_cot": Condition(), "direct": Condition(reasoning="none", order="answer_only")}


class Parity(Task):
    """Questions without end, whose answers are quick to read: what is measured is what lies around the readers."""

    def __init__(self, first: int) -> None:
        self.first = first

    def items(self) -> list[Item]:
        numbers = range(self.first, self.first + CELL)
        return [Item(id=f"parity/{n}", question=f"Is {n} even?", gold="no" if n % 2 else "yes") for n in numbers]

    def kind(self, item: Item) -> AnswerKind:
        return YesNo()

    def worked(self) -> list[Shot]:
        return []


def reply(request: Request) -> str:
    return "A number is even if its last digit is. The answer is yes."


def job(root: Path, records: int) -> Job:
    """Cells of 5,000 records, two conditions a task."""
    (root / "weights").mkdir(parents=True)
    (root / "weights" / "config.json").write_text("{}")
    (root / "weights" / "model.safetensors").write_bytes(b"weights")
    tasks: dict[str, Task] = {f"t{k}": Parity(k * CELL) for k in range(records // CELL // len(CONDITIONS))}
    return Job(
        cells=[
            Cell(experiment="e", backbone="b", task=task, condition=condition, prompt="p", seed=0)
            for task in tasks
            for condition in CONDITIONS
        ],
        tasks=tasks,
        conditions=CONDITIONS,
        prompts={"p": PROMPT},
        backbone=Backbone(name="b", path=str(root / "weights")),
        backend=Scripted(reply=reply),
        sampling=Sampling(max_tokens=50),
        results=root / "results",
    )


def main(root: Path, records: int) -> dict[str, Any]:
    this, count = job(root, records), 0
    for _, rows in finished(this):
        count += len(rows)
    spent = time.process_time()
    started = time.process_time()  # a busy machine is no slow scan
    done = sum(len(cell.folder(this.results).done()) for cell in this.cells)
    scanned = time.process_time() - started
    memory = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"records": count, "journalled": done, "memory": memory, "cpu_s": round(spent, 1), "scan_s": round(scanned, 2)}


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1_000_000)))
