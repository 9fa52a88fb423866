"""The suites compared: how each starts, how its documentation says to resume, and what results it has at the end.

Recovery follows the documentation: for fmtbench, repeat the command (docs/guides/resume_and_clusters.md); for Inspect,
`inspect eval-retry LOG` ("Handling Errors", which recovers the log of a killed process by itself) or a repeated
`inspect eval-set` ("Eval Sets"); for lm-evaluation-harness, repeat the command with `--use_cache` (docs/interface.md).
"""

from __future__ import annotations

import json
import subprocess
import sys
from abc import ABC, abstractmethod
from collections import Counter
from pathlib import Path

from .server import MODEL

FLYING = 8
"""Requests in flight."""
READ_SECONDS = 300.0

INSPECT_TASK = """
from inspect_ai import Task, task
from inspect_ai.dataset import FieldSpec, json_dataset
from inspect_ai.scorer import includes
from inspect_ai.solver import generate

@task
def bench():
    data = json_dataset({questions!r}, FieldSpec(input="question", target="gold", id="id"))
    return Task(dataset=data, solver=generate(), scorer=includes())
"""
INSPECT_READ = """
import json, sys
from collections import Counter
from inspect_ai.log import list_eval_logs, read_eval_log
logs = [read_eval_log(info) for info in list_eval_logs(sys.argv[1])]
whole = [log for log in logs if log.status == "success"]
last = max(whole, key=lambda log: log.eval.created, default=None)
found = [str(one.id) for one in (last.samples or [] if last else []) if one.output.completion and not one.error]
print(json.dumps([Counter(found), len(whole)]))
"""
LM_EVAL_TASK = """
task: bench
dataset_path: json
dataset_kwargs: {{data_files: {{test: {questions}}}}}
test_split: test
output_type: generate_until
doc_to_text: "{{{{question}}}}"
doc_to_target: "{{{{gold}}}}"
generation_kwargs: {{until: [], do_sample: false, max_gen_toks: 64}}
metric_list: [{{metric: exact_match, aggregation: mean, higher_is_better: true}}]
"""


class Contender(ABC):
    """One suite, with its own folder."""

    name: str

    def __init__(self, place: Path, results: Path, url: str, items: int) -> None:
        self.place, self.results, self.url, self.items = place, results, url, items
        place.mkdir(parents=True, exist_ok=True)
        lines = [{"id": str(n), "question": f"Item {n}: what is {n} plus {n * 7 % 13}?", "gold": "42"} for n in range(items)]
        self.questions = place / "questions.jsonl"
        self.questions.write_text("".join(json.dumps(line) + "\n" for line in lines))
        self.prepare()

    @abstractmethod
    def prepare(self) -> None:
        """Write what the command needs besides the questions."""

    @abstractmethod
    def command(self) -> list[str]:
        """What to type next: to start, or to resume after whatever happened."""

    @abstractmethod
    def found(self) -> Counter[str]:
        """How often each item has an answer in what the suite calls its results."""

    @property
    def folder(self) -> Path:
        """Where the command is started."""
        return self.place

    def environment(self) -> dict[str, str]:
        return {"HOME": str(self.place / "home"), "HF_HOME": str(self.place / "hf"), "HF_HUB_OFFLINE": "1"}


class Fmtbench(Contender):
    name = "fmtbench"

    def prepare(self) -> None:
        """Nothing to write: its task is built in."""

    @property
    def folder(self) -> Path:
        return Path.cwd()

    def command(self) -> list[str]:
        task = ("task=[addition]", "task.addition.digits=3", f"task.addition.size={self.items}", "limit=null")
        server = ("backend=server", "backbone=served", "backend.dialect=openai", f"backend.concurrency={FLYING}")
        where = (f"backend.url={self.url}", f"results={self.results}", "name=bench")
        return [sys.executable, "-m", "experiments.run", *server, *task, "condition=[free_cot]", *where]

    def found(self) -> Counter[str]:
        import pandas as pd

        tables = [pd.read_parquet(path) for path in sorted(self.results.rglob("rows.parquet"))]
        return Counter(item for table in tables for item in table.item_id[table.status != "engine_error"])


class Inspect(Contender):
    """`inspect eval`, then `inspect eval-retry` of the newest log."""

    name = "inspect eval-retry"
    python: Path

    def prepare(self) -> None:
        (self.place / "bench.py").write_text(INSPECT_TASK.format(questions=str(self.questions)))

    def environment(self) -> dict[str, str]:
        return super().environment() | {"MOCK_API_KEY": "none", "MOCK_BASE_URL": self.url}

    def command(self) -> list[str]:
        if logs := sorted(self.results.glob("*.eval"), key=lambda log: log.stat().st_mtime_ns):
            return self._inspect("eval-retry", str(logs[-1]))
        return self._inspect("eval", *self._task())

    def _task(self) -> tuple[str, ...]:
        return ("bench.py", "--model", f"openai-api/mock/{MODEL}")

    def _inspect(self, *words: str) -> list[str]:
        common = ("--log-dir", str(self.results), "--max-connections", str(FLYING), "--display", "plain")
        return [str(self.python), "-m", "inspect_ai", *words, *common]

    def found(self) -> Counter[str]:
        return Counter(self._read()[0])

    def _read(self) -> tuple[dict[str, int], int]:
        words = [str(self.python), "-c", INSPECT_READ, str(self.results)]
        done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=READ_SECONDS)
        counts, logs = json.loads(done.stdout.splitlines()[-1])
        return counts, logs


class InspectSet(Inspect):
    """`inspect eval-set`, repeated."""

    name = "inspect eval-set"

    def command(self) -> list[str]:
        return self._inspect("eval-set", *self._task())


class LmEval(Contender):
    name = "lm-eval --use_cache"
    python: Path

    def prepare(self) -> None:
        (self.place / "bench.yaml").write_text(LM_EVAL_TASK.format(questions=self.questions))

    def command(self) -> list[str]:
        model = f"model={MODEL},base_url={self.url}/chat/completions,num_concurrent={FLYING},tokenized_requests=False"
        task = ("--tasks", "bench", "--include_path", str(self.place), "--apply_chat_template")
        kept = ("--use_cache", str(self.results / "cache"), "--output_path", str(self.results / "out"), "--log_samples")
        return [
            str(self.python),
            "-m",
            "lm_eval",
            "run",
            "--model",
            "local-chat-completions",
            "--model_args",
            model,
            *task,
            *kept,
        ]

    def found(self) -> Counter[str]:
        files = sorted((self.results / "out").rglob("samples_*.jsonl"), key=lambda path: path.stat().st_mtime_ns)
        lines = files[-1].read_text().splitlines() if files else []
        return Counter(str(sample["doc_id"]) for line in lines if (sample := json.loads(line))["filtered_resps"][0])
