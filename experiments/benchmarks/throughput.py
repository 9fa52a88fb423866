"""Tokens per second inside one process: ours against the bare engine, on the same requests and the same weights.

Ours is the whole of `pipeline.run`, from the plan to the rows on disk, including the journal; only the start of the engine is
left out, on both sides.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from fmtbench.backends.base import Backend, Session
from fmtbench.backends.vllm.backend import VLLMSession
from fmtbench.running.job import Job
from fmtbench.running.pipeline import run
from fmtbench.running.planning import plan
from fmtbench.types import Constraint, Generation, Message, Request

from .measure import BenchmarkResult, Target, paired, spread

WARM_UP = 64
"""Requests run before the clock starts, so that grammars are compiled and memory is touched."""


class Opened(Backend, Session):
    """A session that is already open and stays open."""

    def __init__(self, backend: Backend, session: Session) -> None:
        self._backend, self._session = backend, session

    def identity(self, backbone: Any, constraint: Constraint | None) -> str:
        return self._backend.identity(backbone, constraint)

    def open(self, backbone: Any) -> Session:
        return self

    def generate(self, requests: Sequence[Request], at_most: int | None = None) -> Iterator[Generation]:
        return self._session.generate(requests, at_most)

    def facts(self) -> dict[str, Any]:
        return self._session.facts()

    def close(self) -> None:
        pass


def through_the_pipeline(job: Job, session: Session) -> float:
    """Tokens per second of a job on an open engine, from its plan to its rows."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        rows = run(replace(job, backend=Opened(job.backend, session), results=Path(folder)))
        return sum(row.completion_tokens for row in rows) / (time.perf_counter() - started)


def without_the_store(requests: Sequence[Request], session: Session) -> float:
    """Tokens per second of our engine alone: no journal, no rows."""
    started = time.perf_counter()
    tokens = sum(generation.completion_tokens for generation in session.generate(requests))
    return tokens / (time.perf_counter() - started)


def bare_vllm(requests: Sequence[Request], session: VLLMSession) -> float:
    """Tokens per second of `LLM.chat` on the whole list."""
    conversations = [[{"role": message.role, "content": message.content} for message in request.messages] for request in requests]
    parameters = [session.parameters(request) for request in requests]
    started = time.perf_counter()
    outputs = session.llm.chat(conversations, parameters, use_tqdm=False)
    return sum(len(output.outputs[0].token_ids) for output in outputs) / (time.perf_counter() - started)


def cold(session: VLLMSession) -> VLLMSession:
    """The engine with its prefix cache emptied."""
    session.llm.reset_prefix_cache()
    return session


def requests_of(job: Job) -> list[Request]:
    return list({one.request.key: one.request for planned in plan(job).values() for one in planned}.values())


def against_bare_vllm(name: str, what: str, job: Job, session: VLLMSession, pairs: int, target: float) -> BenchmarkResult:
    requests, speeds = requests_of(job), []

    def ours() -> float:
        speeds.append(through_the_pipeline(job, cold(session)))
        return speeds[-1]

    bare_vllm(requests[:WARM_UP], session)  # a warm-up: grammars are compiled, memory is touched
    ratios = paired(ours, lambda: bare_vllm(requests, cold(session)), pairs)
    notes = f"{len(requests)} requests, {spread(speeds)} tokens/s"
    return BenchmarkResult(name=name, what=what, ratios=ratios, target=Target(sense="at least", value=target), notes=notes)


def journal(job: Job, session: VLLMSession, pairs: int) -> BenchmarkResult:
    requests = requests_of(job)
    ratios = paired(lambda: through_the_pipeline(job, cold(session)), lambda: without_the_store(requests, cold(session)), pairs)
    what = "tokens/s with plan, journal and rows over our engine without them"
    return BenchmarkResult(name="journal", what=what, ratios=ratios, notes=f"{len(requests)} requests")


UNSEEN = '{{"type": "object", "properties": {{"name": {{"type": "string", "maxLength": {length}}}}}, "required": ["name"]}}'


def decoder(name: str, job: Job, pairs: int) -> BenchmarkResult:
    """The cost of a decoder, on its own engine: the sham grammar against none, and the first use of a new schema.

    The sham allows everything, so both sides write the same tokens and only the masking differs.
    """
    backend: Any = replace(job.backend, decoder=name)  # type: ignore[type-var]
    session = backend.open(job.backbone)
    requests = requests_of(replace(job, backend=backend))
    free = [request for request in requests if request.constraint is None]
    held = [request for request in requests if request.constraint is not None]
    without_the_store(held[:8], session)
    ratios = paired(lambda: without_the_store(held, cold(session)), lambda: without_the_store(free, cold(session)), pairs)
    first, second = (_first_token(session, length) for length in (40, 40))
    session.close()
    notes = f"first token of a new schema {first:.2f} s, of a known one {second:.2f} s"
    return BenchmarkResult(
        name=name,
        what="tokens/s under a grammar that allows everything over none: the same tokens, masked",
        ratios=ratios,
        target=Target(sense="at least", value=0.93) if name == "outlines" else None,
        notes=notes,
    )


def _first_token(session: Session, length: int) -> float:
    schema = Constraint(kind="json_schema", source=UNSEEN.format(length=length))
    request = Request(messages=(Message(role="user", content="Your name?"),), constraint=schema, max_tokens=1)
    started = time.perf_counter()
    list(session.generate([request]))
    return time.perf_counter() - started
