"""The language of a condition is the same on every engine, to the byte: Korean, whose characters are several bytes and tokens."""

import codecs
import re
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

import pytest

from fmtbench.answers import Label
from fmtbench.backends.llamacpp import LlamaCpp
from fmtbench.decoding.decoders import token_bytes
from fmtbench.decoding.grammar import allows, regex
from fmtbench.types import Constraint, Generation, Message, Request

expressions = pytest.importorskip("regex")
CUT = "\ufffd"
"""What an unfinished character becomes in text."""
KOREAN = Constraint(kind="regex", source=r'\{"reasoning": "[가-힣]{1,8}( [가-힣]{1,8}){0,5}\.", "answer": "(사실|거짓)"\}')
"""Korean whatever the model would rather write."""
HELD = ("json_schema", "json_mode", "think_then_json", "restricted_cot_10_hard")
QUESTIONS = (
    "고양이는 포유류인가요?",
    "서울은 대한민국의 수도인가요?",
    "물은 섭씨 90도에서 어나요?",
    "고래는 물고기보다 개에 더 가까운 동물인가요?",
    "달은 지구보다 큰가요?",
    "하루는 스물네 시간인가요?",
    "거미의 다리는 여섯 개인가요?",
    "한글은 세종대왕 때 만들어졌나요?",
)


class Judge:
    """A constraint's language, by a library that no engine masks with: what any engine's tokens spell is held against it."""

    def __init__(self, constraint: Constraint) -> None:
        self._pattern = expressions.compile(regex(constraint))

    def complaint(self, written: bytes, *, ended: bool) -> str:
        """Where a reply leaves the language; empty where it does not. One that has not ended needs only a way on."""
        try:
            text = codecs.getincrementaldecoder("utf-8")().decode(written, final=ended)
        except UnicodeDecodeError as error:
            cut = ended and error.reason == "unexpected end of data"
            return f"it ends too early: {written!r}" if cut else f"byte {error.start} leaves it: {written[: error.end + 1]!r}"
        if self._pattern.fullmatch(text, partial=not ended):
            return ""
        return f"it ends too early: {text!r}" if self._pattern.fullmatch(text, partial=True) else f"it leaves it: {text!r}"


def test_the_judge() -> None:
    """The null: whole replies pass, beginnings pass where a reply was cut, and nothing else does."""
    judge, whole = Judge(KOREAN), '{"reasoning": "고양이는 젖을 먹인다.", "answer": "사실"}'.encode()
    assert judge.complaint(whole, ended=True) == ""
    for cut in range(len(whole)):
        assert judge.complaint(whole[:cut], ended=False) == ""
        assert "too early" in judge.complaint(whole[:cut], ended=True)
    assert "leaves it" in judge.complaint(whole + b" ", ended=False)
    half = '{"reasoning": "고'.encode()[:-1] + b'"'
    assert "leaves it" in judge.complaint(half, ended=False), "a character that is left unfinished"


def spelled(done: Generation, written: dict[int, bytes]) -> bytes:
    """The bytes of a reply: of its tokens, where the engine tells them, or else of its text."""
    if done.token_ids:
        return b"".join(written.get(token, b"") for token in done.token_ids)  # all have bytes but the end token
    return (done.text.rstrip(CUT) if done.finish_reason == "length" else done.text).encode()


@pytest.fixture(scope="module")
def llamacpp_engine(backbone: Any) -> Iterator[Any]:
    with LlamaCpp(parallel=4).open(backbone) as session:
        yield session


def without(package: str) -> tuple[Any, ...]:
    return (pytest.mark.slow, pytest.mark.skipif(find_spec(package) is None, reason=f"{package} is not installed"))


@pytest.mark.model
@pytest.mark.parametrize(
    ("engine", "count"),
    [
        ("hf", 20),
        pytest.param("hf", 200, marks=pytest.mark.slow),
        pytest.param("vllm", 200, marks=without("vllm")),
        pytest.param("llamacpp", 200, marks=without("xllamacpp")),
    ],
)
def test_korean_replies(
    engine: str, count: int, request: pytest.FixtureRequest, conditions: dict[str, Any], tokenizer: Any
) -> None:
    """At temperature 1 no reply leaves the language of its condition, on any engine."""
    session, kind = request.getfixturevalue(f"{engine}_engine"), Label(labels=("사실", "거짓"))
    held: list[Constraint] = [KOREAN, *(conditions[name].constraint(kind) for name in HELD)]
    asked = [question(held[number % len(held)], number // len(held), number) for number in range(count)]
    judges = {constraint: Judge(constraint) for constraint in held}
    written = {number: text for text, ids in token_bytes(tokenizer).items() for number in ids}
    del written[tokenizer.eos_token_id]
    done = {one.key: one for one in session.generate(asked)}
    for one in asked:
        reply, ended = done[one.key], done[one.key].finish_reason == "stop"
        assert one.constraint
        assert reply.finish_reason in ("stop", "length"), reply.error
        assert judges[one.constraint].complaint(spelled(reply, written), ended=ended) == ""
        assert not ended or (allows(one.constraint, reply.text) and CUT not in reply.text)
    assert sum(bool(re.search("[가-힣]", one.text)) for one in done.values()) >= count // len(held)
    assert sum(one.finish_reason == "stop" for one in done.values()) >= count // len(held)


def question(constraint: Constraint, number: int, seed: int) -> Request:
    words = f"{QUESTIONS[number % len(QUESTIONS)]} 사실 또는 거짓을 고르고, 이유를 한국어로 짧게 쓰세요."
    return Request(
        messages=(Message(role="user", content=words),), constraint=constraint, max_tokens=64, temperature=1.0, seed=seed
    )
