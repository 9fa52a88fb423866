"""backend=llamacpp and backend=server against a real llama.cpp with the embedded GGUF."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from experiments.starting.build import build
from fmtbench.answers import Choice, Number
from fmtbench.backbone import Backbone
from fmtbench.backends.llamacpp import LlamaCpp
from fmtbench.backends.server import Server
from fmtbench.decoding.grammar import ANYTHING, allows
from fmtbench.decoding.json_mode import any_object
from fmtbench.errors import UserError
from fmtbench.types import Constraint, Generation, Message, Request
from tests.conftest import composed

pytest.importorskip("xllamacpp")
pytestmark = pytest.mark.model
THREADS = 1
"""Two that wait for each other are thirty times as slow on a machine with other work."""
HELD = ["json_schema", "json_schema_answer_first", "json_mode", "think_then_json", "restricted_cot_10_hard", "sham"]


@pytest.fixture(scope="module")
def engine(backbone: Any) -> Iterator[Any]:
    with LlamaCpp(parallel=4, threads=THREADS).open(backbone) as session:
        yield session


def asks(constraint: Constraint | None, count: int = 2, **changes: Any) -> list[Request]:
    settings = {"constraint": constraint, "max_tokens": 60} | changes
    words = [f"What is {number} + 3? Reply in JSON with a short reasoning and an answer." for number in range(count)]
    return [Request(messages=(Message(role="user", content=one),), **settings) for one in words]


def test_free_text_with_the_place_of_each_token(engine: Any) -> None:
    for one in engine.generate(asks(None)):
        assert one.error == ""
        assert one.text
        assert one.token_ends[-1] == len(one.text)
        assert (one.decoder, one.finish_reason in ("stop", "length")) == ("none", True)


@pytest.mark.parametrize("name", HELD)
def test_what_ends_keeps_to_its_grammar(engine: Any, conditions: dict[str, Any], name: str) -> None:
    constraint = conditions[name].constraint(Number())
    for one in engine.generate(asks(constraint, temperature=1.5, seed=7)):
        assert one.error == "", one.text
        assert one.decoder.startswith("xllamacpp ")
        assert one.finish_reason == "length" or allows(constraint, one.text)


def test_a_choice_is_one_of_its_letters(engine: Any, conditions: dict[str, Any]) -> None:
    constraint = conditions["json_schema_direct"].constraint(Choice(options=("red", "blue")))
    for one in engine.generate(asks(constraint, temperature=2.0, seed=3)):
        assert one.finish_reason == "stop"
        assert json.loads(one.text)["answer"] in ("A", "B")


def test_the_sham_changes_nothing(engine: Any) -> None:
    free, held = (sorted(engine.generate(asks(held, max_tokens=16)), key=_text) for held in (None, ANYTHING))
    assert [one.text for one in free] == [one.text for one in held]


def _text(one: Generation) -> str:
    return one.text


@pytest.mark.parametrize(("dialect", "mode"), [("openai", any_object()), ("llamacpp", ANYTHING)])
def test_the_same_engine_as_a_server(engine: Any, conditions: dict[str, Any], dialect: Any, mode: Constraint) -> None:
    """Also without the place of each token, for which a server is told more than to give log-probabilities."""
    server = Server(url=f"{engine.engine.listening_address}/v1", dialect=dialect, concurrency=4, token_ends=dialect == "openai")
    session = server.open(Backbone(name="served"))
    for constraint in (None, mode, conditions["json_schema_direct"].constraint(Number())):
        (one,) = session.generate(asks(constraint, 1))
        assert one.error == ""
        assert constraint is None or one.decoder.startswith("server (")


def test_only_a_gguf(tmp_path: Any) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"x")
    backend = build(composed("backend=llamacpp").backend, "backend")
    with pytest.raises(UserError, match=r"backend=llamacpp runs a GGUF, and backbone b is none: set backbone\.path to a \.gguf"):
        backend.identity(Backbone(name="b", path=str(tmp_path)), None)
