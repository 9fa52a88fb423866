"""Tokens per second of backend=hf: free against a loop of model.generate, masked against free, sampled against greedy."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from fmtbench.backends.hf import HF, HFSession, batches
from fmtbench.backends.tokens import prompt_all
from fmtbench.decoding.grammar import ANYTHING
from fmtbench.running.job import Job
from fmtbench.types import Request

from .measure import BenchmarkResult, Target, paired, spread
from .throughput import requests_of, without_the_store

ROWS = ("hf_free", "hf_masked", "hf_sampled")


def hf_rows(wanted: Sequence[str], job: Job, shape: str | None, pairs: int) -> Iterator[BenchmarkResult]:
    """The requested rows, on one open session of the backbone, or of a shape with random weights."""
    free = [request for request in requests_of(job) if request.constraint is None]
    held = [replace(request, constraint=ANYTHING) for request in free]
    drawn = [replace(request, temperature=1.0, seed=seed) for seed, request in enumerate(free)]
    with opened(job, shape) as session:
        rows: dict[str, Callable[[], BenchmarkResult]] = {
            "hf_free": lambda: against_generate(free, session, pairs),
            "hf_masked": lambda: against_free(
                "hf_masked", "tokens/s under a grammar that allows everything", held, free, session, pairs
            ),
            "hf_sampled": lambda: against_free("hf_sampled", "tokens/s at temperature 1", drawn, free, session, pairs),
        }
        for name in wanted:
            yield rows[name]()


@contextmanager
def opened(job: Job, shape: str | None) -> Iterator[HFSession]:
    """A session with the job's own options if its backend is transformers, else with the default ones."""
    options = job.backend if isinstance(job.backend, HF) else HF()
    if shape is None:
        with options.open(job.backbone) as session:
            yield session
        return
    from .shapes import shaped

    with tempfile.TemporaryDirectory() as folder, shaped(shape, job.backbone, options, Path(folder)) as session:
        yield session


def against_generate(requests: Sequence[Request], session: HFSession, pairs: int) -> BenchmarkResult:
    speeds: list[float] = []

    def ours() -> float:
        speeds.append(without_the_store(requests, session))
        return speeds[-1]

    ours()  # a warm-up: memory is touched, kernels are chosen
    ratios = paired(ours, lambda: plain_generate(requests, session), pairs)
    what = "tokens/s of backend=hf over a loop of model.generate on the same batches"
    return BenchmarkResult(
        name="hf_free",
        what=what,
        ratios=ratios,
        target=Target(sense="at least", value=0.95),
        notes=f"{_place(requests, session)}, {spread(speeds)} tokens/s",
    )


def against_free(
    name: str, what: str, asked: Sequence[Request], free: Sequence[Request], session: HFSession, pairs: int
) -> BenchmarkResult:
    without_the_store(asked, session)  # a warm-up: the grammar is compiled
    ratios = paired(lambda: without_the_store(asked, session), lambda: without_the_store(free, session), pairs)
    return BenchmarkResult(
        name=name,
        what=f"{what} over free and greedy ones",
        ratios=ratios,
        target=Target(sense="at least", value=0.9),
        notes=_place(asked, session),
    )


def _place(requests: Sequence[Request], session: HFSession) -> str:
    facts = session.facts()
    return f"{len(requests)} requests, {facts['batch_size']} at once, {facts['gpu'] or facts['device']}, {facts['dtype']}"


def plain_generate(requests: Sequence[Request], session: HFSession) -> float:
    """Tokens per second of `model.generate` on our batches; tokens past a row's end do not count."""
    model, tokenizer, options = session.model, session.tokenizer, session.options
    prompted, _ = prompt_all(tokenizer, requests, session.context)
    tokens, started = 0, time.perf_counter()
    for batch in batches(prompted, options.batch_size, options.batch_tokens):
        padded = tokenizer.pad({"input_ids": [one.ids for one in batch]}, return_tensors="pt").to(model.device)
        limit = max(one.request.max_tokens for one in batch)
        written = model.generate(**padded, max_new_tokens=limit, do_sample=False, pad_token_id=tokenizer.eos_token_id)
        for row in written[:, padded["input_ids"].shape[1] :].tolist():
            tokens += next((place + 1 for place, token in enumerate(row) if token in session.ends), len(row))
    return tokens / (time.perf_counter() - started)
