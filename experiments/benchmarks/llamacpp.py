"""Tokens per second of backend=llamacpp against the client that xllamacpp ships, on one engine and the same requests."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from fmtbench.backends.dialects import LLAMACPP_DEFAULTS
from fmtbench.backends.llamacpp import LlamaCpp, LlamaCppSession
from fmtbench.running.job import Job
from fmtbench.types import Request

from .measure import BenchmarkResult, Target, paired, spread
from .throughput import requests_of, without_the_store

WARM_UP = 8


def against_its_client(job: Job, pairs: int) -> BenchmarkResult:
    """Ours goes over HTTP and asks for each token's position; the client is called in this process, with the same sampling."""
    backend = LlamaCpp()
    session = backend.open(job.backbone)
    requests, speeds = requests_of(job), []

    def ours() -> float:
        speeds.append(without_the_store(requests, session))
        return speeds[-1]

    its_client(requests[:WARM_UP], session, backend.parallel)
    ratios = paired(ours, lambda: its_client(requests, session, backend.parallel), pairs)
    session.close()
    what = "tokens/s of backend=llamacpp over the client of xllamacpp, called in this process"
    notes = f"{len(requests)} requests, {backend.parallel} at once, {spread(speeds)} tokens/s"
    return BenchmarkResult(name="llamacpp", what=what, ratios=ratios, target=Target(sense="at least", value=0.95), notes=notes)


def its_client(requests: Sequence[Request], session: LlamaCppSession, parallel: int) -> float:
    """Tokens per second of `Server.handle_chat_completions`, with as many requests at once as the engine has slots."""
    started = time.perf_counter()
    with ThreadPoolExecutor(parallel) as pool:
        tokens = sum(pool.map(lambda request: _written(session.engine, request), requests))
    return tokens / (time.perf_counter() - started)


def _written(engine: Any, request: Request) -> int:
    messages = [{"role": message.role, "content": message.content} for message in request.messages]
    body = {"messages": messages, "temperature": 0, "top_p": 1, "max_tokens": request.max_tokens} | LLAMACPP_DEFAULTS
    return int(engine.handle_chat_completions(body)["usage"]["completion_tokens"])
