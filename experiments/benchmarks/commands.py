"""Whole commands compared, from the shell to the table: what a user waits for.

The same prompts, the same budget and the same engine settings; every command runs in its own process, and all of them share one
model folder. lm-evaluation-harness and Inspect run what they do best: exact match on a local data file.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from fmtbench.backbone import prepare
from fmtbench.errors import FmtbenchError
from fmtbench.running.job import Job
from fmtbench.running.planning import plan

from .measure import BenchmarkResult, Target, paired, spread

ITEMS, TOKENS, SEQUENCES = 64, 128, 32
COMMAND_SECONDS = 3600.0
"""Far more than any of these commands takes, even on a slow machine."""

BARE = """
import json, os, sys
os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
from vllm import LLM, SamplingParams
model, prompts = sys.argv[1:]
llm = LLM(model, dtype="bfloat16", max_model_len={context}, enforce_eager=True, max_num_seqs={sequences})
chats = [[dict(role="user", content=json.loads(line)["question"])] for line in open(prompts)]
outputs = llm.chat(chats, SamplingParams(temperature=0, max_tokens={tokens}))
print(sum(len(output.outputs[0].token_ids) for output in outputs))
"""

LM_EVAL_TASK = """
task: bench
dataset_path: json
dataset_kwargs: {{data_files: {{test: {prompts}}}}}
test_split: test
output_type: generate_until
doc_to_text: "{{{{question}}}}"
doc_to_target: "{{{{gold}}}}"
generation_kwargs: {{until: [], do_sample: false, max_gen_toks: {tokens}}}
metric_list: [{{metric: exact_match, aggregation: mean, higher_is_better: true}}]
"""

INSPECT_TASK = """
from inspect_ai import Task, task
from inspect_ai.dataset import FieldSpec, json_dataset
from inspect_ai.scorer import includes
from inspect_ai.solver import generate

@task
def bench():
    data = json_dataset({prompts!r}, FieldSpec(input="question", target="gold"))
    return Task(dataset=data, solver=generate(), scorer=includes())
"""

NAMED_VLLM = "Metadata-Version: 2.1\nName: vllm\nVersion: 0.32.0+cpu\n"
"""lm-evaluation-harness looks for a package named `vllm`; the CPU build has another name."""


class Commands:
    """The contenders, each a method that runs once and returns its wall time in seconds."""

    def __init__(self, job: Job, place: Path) -> None:
        self.place = place
        self.model = str(prepare(job.backbone.resolve()))
        self.context = job.backbone.context
        self.prompts = place / "prompts.jsonl"
        (requests,) = plan(job).values()
        lines = [{"question": one.request.messages[0].content, "gold": one.item.gold} for one in requests]
        self.prompts.write_text("".join(json.dumps(line) + "\n" for line in lines))
        (place / "vllm-0.32.0+cpu.dist-info").mkdir()
        (place / "vllm-0.32.0+cpu.dist-info" / "METADATA").write_text(NAMED_VLLM)
        (place / "bench.yaml").write_text(LM_EVAL_TASK.format(prompts=self.prompts, tokens=TOKENS))
        (place / "bench.py").write_text(INSPECT_TASK.format(prompts=str(self.prompts)))
        (place / "bare.py").write_text(BARE.format(context=self.context, sequences=SEQUENCES, tokens=TOKENS))

    def fmtbench(self, *words: str) -> float:
        shutil.rmtree(self.place / "results", ignore_errors=True)
        settings = ("backend=vllm", "backend.enforce_eager=true", f"backend.max_num_seqs={SEQUENCES}", f"limit={ITEMS}")
        chosen = words or ("task=[addition]", "condition=[free_cot]", f"sampling.max_tokens={TOKENS}")
        return self._run("-m", "fmtbench", "run", *settings, *chosen, "name=bench", f"results={self.place / 'results'}")

    def bare(self) -> float:
        return self._run(str(self.place / "bare.py"), self.model, str(self.prompts))

    def lm_eval(self) -> float:
        arguments = f"pretrained={self.model},dtype=bfloat16,max_model_len={self.context},enforce_eager=True"
        arguments += f",max_num_seqs={SEQUENCES}"
        words = ("run", "--model", "vllm", "--model_args", arguments, "--tasks", "bench", "--include_path", str(self.place))
        return self._run("-m", "lm_eval", *words, "--apply_chat_template", "--batch_size", "auto", "--device", "cpu")

    def inspect(self) -> float:
        words = ("eval", "bench.py", "--model", f"vllm/{self.model}", "--display", "plain")
        engine = ("-M", "dtype=bfloat16", "-M", f"max_model_len={self.context}", "-M", "enforce_eager=true")
        limits = ("-M", f"max_num_seqs={SEQUENCES}", "--max-connections", str(SEQUENCES), "--max-tokens", str(TOKENS))
        return self._run("-m", "inspect_ai", *words, *engine, *limits, "--temperature", "0")

    def _run(self, *words: str) -> float:
        """Wall time in seconds. Raises `FmtbenchError` with the last line of a command that fails."""
        path = os.pathsep.join(filter(None, (str(self.place), os.environ.get("PYTHONPATH"))))
        environment = os.environ | {"PYTHONPATH": path, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
        environment |= {"HF_HUB_OFFLINE": "1", "VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_LOGGING_LEVEL": "ERROR"}
        started = time.perf_counter()
        done = subprocess.run(
            [sys.executable, *words], cwd=self.place, env=environment, capture_output=True, text=True, timeout=COMMAND_SECONDS
        )
        if done.returncode:
            last = (done.stderr.strip() or done.stdout.strip() or "no word").splitlines()[-1]
            raise FmtbenchError(f"{' '.join(words)[:120]} failed with exit code {done.returncode}: {last}")
        return time.perf_counter() - started


def whole_command(commands: Commands, pairs: int) -> BenchmarkResult:
    commands.bare()  # brings the model's pages into memory
    ratios = paired(commands.fmtbench, commands.bare, pairs)
    what = f"seconds of experiments.run over a bare LLM.chat script, {ITEMS} prompts x {TOKENS} tokens"
    return BenchmarkResult(name="whole_command_vs_bare", what=what, ratios=ratios, target=Target(sense="at most", value=1.3))


def against_peer(name: str, package: str, commands: Commands, pairs: int) -> BenchmarkResult | None:
    """The peer's seconds over ours; None if it is not installed."""
    if find_spec(package) is None:
        return None
    peer = {"lm_eval": commands.lm_eval, "inspect_ai": commands.inspect}[package]
    ratios = paired(peer, commands.fmtbench, pairs)
    what = f"seconds of {package} over experiments.run, the same {ITEMS} prompts x {TOKENS} tokens"
    return BenchmarkResult(name=name, what=what, ratios=ratios, target=Target(sense="at least", value=2.0))


def one_process(commands: Commands, conditions: Sequence[str], pairs: int) -> BenchmarkResult:
    """The time of a sweep in one process, over the summed times of one process per condition."""
    small = ("task=[addition]", "limit=8", "sampling.max_tokens=32")
    sums: list[float] = []

    def many() -> float:
        sums.append(sum(commands.fmtbench(f"condition=[{name}]", *small) for name in conditions))
        return sums[-1]

    ratios = paired(lambda: commands.fmtbench(f"condition=[{','.join(conditions)}]", *small), many, pairs)
    return BenchmarkResult(
        name="one_process_vs_many",
        what=f"seconds of {len(conditions)} conditions in one process over the sum of {len(conditions)} processes",
        ratios=ratios,
        target=Target(sense="at most", value=1 / 3),
        notes=f"{spread(sums)} s one by one",
    )
