"""Engines that run out of memory, die, get stuck or lose requests: the others finish, and the poison is known by name."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from fmtbench.backends.base import Backend, Session
from fmtbench.backends.hf import HF
from fmtbench.backends.scripted import ScriptedSession, example_reply
from fmtbench.backends.supervise import GIVE_UP, SupervisedSession
from fmtbench.errors import EngineFault
from fmtbench.time_limit import time_limit
from fmtbench.types import Generation, Message, Request

ROOT = Path(__file__).resolve().parent.parent


def asked(count: int) -> list[Request]:
    return [Request(messages=(Message(role="user", content=f"Question {i}"),)) for i in range(count)]


@dataclass(kw_only=True)
class Fragile(Backend, Session):
    """Keeps a window of requests in flight, like the real engines, and stops on what it is told to."""

    poison: frozenset[str] = frozenset()
    loses: frozenset[str] = frozenset()
    holds: int = 1000
    """More at once than this is out of memory."""
    opened: int = 0
    most: int = 0
    lost: set[str] = field(default_factory=set)

    def identity(self, backbone: Any, constraint: Any) -> str:
        return "fragile"

    def open(self, backbone: Any) -> Session:
        self.opened += 1
        return self

    def generate(self, requests: Sequence[Request], at_most: int | None = None) -> Iterator[Generation]:
        waiting, window = list(requests), at_most or 32
        flying: list[Request] = []
        while waiting or flying:
            flying += [waiting.pop(0) for _ in range(min(window - len(flying), len(waiting)))]
            keys = [request.key for request in flying]
            if len(flying) > self.holds:
                raise EngineFault("out of memory", keys, memory=True)
            if self.poison & set(keys):
                raise EngineFault("a NaN", keys)
            self.most = max(self.most, len(flying))
            one = flying.pop(0)
            if one.key in self.loses and one.key not in self.lost:
                self.lost.add(one.key)
                continue
            yield from ScriptedSession(example_reply).generate([one])

    def facts(self) -> dict[str, Any]:
        return {}

    def close(self) -> None:
        pass


def answers(engine: Backend, requests: list[Request]) -> dict[str, Generation]:
    with SupervisedSession(engine, None) as session:  # type: ignore[arg-type]
        done = list(session.generate(requests))
    assert sorted(one.key for one in done) == sorted(request.key for request in requests), "one answer each"
    return {one.key: one for one in done}


@pytest.mark.parametrize("bad", [{0}, {57}, {99}, {3, 4}, {0, 40, 80}])
def test_a_poison_request_is_found_and_the_others_finish(bad: set[int]) -> None:
    requests = asked(100)
    poison = frozenset(requests[i].key for i in bad)
    engine = Fragile(poison=poison)
    done = answers(engine, requests)
    assert {key for key, one in done.items() if one.finish_reason == "error"} == poison
    assert {done[key].error for key in poison} == {"a NaN"}
    assert engine.opened <= 1 + 5 * len(bad), "a window of 32 narrows to one in few restarts"


def test_out_of_memory_only_narrows_the_window() -> None:
    engine = Fragile(holds=10)
    done = answers(engine, asked(100))
    assert all(one.finish_reason == "stop" for one in done.values())
    assert 4 <= engine.most <= 10
    assert engine.opened <= 4


def test_what_the_engine_loses_is_asked_again() -> None:
    requests = asked(20)
    done = answers(Fragile(loses=frozenset(request.key for request in requests[5:7])), requests)
    assert all(one.finish_reason == "stop" for one in done.values())


def test_what_nobody_asked_is_not_used(caplog: pytest.LogCaptureFixture) -> None:
    class Chatty(Fragile):
        def generate(self, requests: Sequence[Request], at_most: int | None = None) -> Iterator[Generation]:
            for one in super().generate(requests, at_most):
                yield from (one, one, Generation(key="somebody else's", text="?"))

    answers(Chatty(), asked(5))
    assert "nobody waits for" in caplog.text


def test_an_engine_that_always_stops_is_given_up() -> None:
    requests = asked(50)
    engine = Fragile(poison=frozenset(request.key for request in requests))
    stream = SupervisedSession(engine, None).generate(requests)  # type: ignore[arg-type]
    assert [next(stream).finish_reason for _ in range(GIVE_UP)] == ["error"] * GIVE_UP
    with pytest.raises(EngineFault, match="requests in a row stop the engine, the last with: a NaN"):
        next(stream)


def test_a_time_limit_interrupts() -> None:
    started = time.monotonic()
    with pytest.raises(TimeoutError), time_limit(0.2):
        time.sleep(30)
    assert time.monotonic() - started < 10
    with time_limit(0.2):
        pass
    time.sleep(0.4)


def test_a_limit_of_the_processor_stops_what_computes_and_not_what_waits() -> None:
    with time_limit(0.05, of_processor=True):
        time.sleep(0.2)
    with pytest.raises(TimeoutError), time_limit(0.05, of_processor=True):
        for _ in count():
            pass


@pytest.mark.model
def test_nan_logits_are_an_error_of_that_request_alone(backbone: Any) -> None:
    """The real model, in which one word of one prompt has no finite embedding."""
    sick = Request(messages=(Message(role="user", content="Draw a zebra."),), max_tokens=4)
    with HF(device="cpu").open(backbone) as session:
        (word,) = session.tokenizer.encode(" zebra")
        embeddings = session.model.get_input_embeddings()
        embeddings.register_forward_hook(lambda _, ids, out: out.masked_fill((ids[0] == word)[..., None], math.nan))
        done = {one.key: one for one in session.generate([*asked(3), sick])}
    assert done.pop(sick.key).error == "the model's logits are not numbers"
    assert all(one.finish_reason != "error" and one.text for one in done.values())


OUT_OF_MEMORY = """
import logging, resource, sys
from pathlib import Path
import torch
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM
from experiments.starting.build import build
from fmtbench.backbone import Backbone, prepare
from fmtbench.backends.hf import HF
from fmtbench.backends.supervise import SupervisedSession
from fmtbench.types import Message, Request
from tests.conftest import composed

logging.basicConfig(level=logging.WARNING, format="%(message)s")
tokenizer = AutoTokenizer.from_pretrained(prepare(build(composed().backbone, "backbone").resolve()))
# Random weights, with little to compute and 256 kB of cache a token.
shape = dict(hidden_size=64, intermediate_size=64, num_hidden_layers=2, num_attention_heads=64, head_dim=256)
torch.manual_seed(0)
model = LlamaForCausalLM(LlamaConfig(vocab_size=len(tokenizer), eos_token_id=tokenizer.eos_token_id, **shape))
for part in (model, tokenizer):
    part.save_pretrained({folder!r})
backbone = Backbone(name="hungry", path={folder!r}, context=512, dtype="float32")
session = SupervisedSession(HF(device="cpu", batch_size=64), backbone)
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 800_000_000, resource.RLIM_INFINITY))
requests = [Request(messages=(Message(role="user", content=str(i) + " word" * 60),), max_tokens=1) for i in range(64)]
done = list(session.generate(requests))
print(len({{one.key for one in done}}), {{one.finish_reason for one in done}} <= {{"stop", "length"}})
"""


@pytest.mark.slow
@pytest.mark.model
def test_real_exhaustion_of_memory_is_survived(tmp_path: Path) -> None:
    script = OUT_OF_MEMORY.format(folder=str(tmp_path / "hungry"))
    # What is freed goes back to the system at once, else the limit on addresses counts it still, more of it with more cores.
    allocator = {"MALLOC_ARENA_MAX": "1", "MALLOC_MMAP_THRESHOLD_": "1000000", "OMP_NUM_THREADS": "2"}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env=os.environ | allocator, capture_output=True, text=True, timeout=300
    )
    assert done.stdout.strip() == "64 True", done.stderr[-2000:]
    assert "the engine stopped (" in done.stderr
    assert "memory" in done.stderr
