"""Replies held against the model's own distribution: what it sampled passes, what is only like it does not."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from experiments.build import build
from fmtbench.errors import UserError
from fmtbench.fidelity import Fidelity, Sampled, drawn, fidelity, pooled, sampled
from fmtbench.store import Planned, RunFolder
from fmtbench.types import Constraint, Generation, Item, Message, Request
from tests.conftest import composed
from tests.test_command import run

ASKED = ("Name three colours.", "What is 3 + 4?", "Where is Paris?", "Tell me of a dog.", "Why is the sky blue?", "Say hello.")


@pytest.fixture(scope="module")
def replies(backbone: Any) -> list[Sampled]:
    """Drawn by our own engine, at temperature 0.5."""
    backend = build(composed("backend=hf").backend, "backend")
    backend.open(backbone)
    engine = backend.engine(backbone, None)
    asked = [
        Request(messages=(Message(role="user", content=text),), temperature=0.5, max_tokens=48, seed=seed, engine=engine)
        for seed, text in enumerate(ASKED)
    ]
    by_key = {request.key: request for request in asked}
    found = [(by_key[one.key], one) for one in backend.generate(asked)]
    backend.close()
    return found


@pytest.mark.model
def test_an_engine_that_samples_passes_and_one_that_flattens_or_sharpens_does_not(backbone: Any, replies: list[Sampled]) -> None:
    def claimed(temperature: float) -> list[Sampled]:
        return [(dataclasses.replace(request, temperature=temperature), reply) for request, reply in replies]

    right, sharp, flat = fidelity(backbone, [replies, claimed(0.25), claimed(1.0)])
    assert right.replies == 6
    assert right.tokens == sum(len(reply.token_ids) for _, reply in replies)
    assert abs(right.z) < 4
    assert sharp.z < -6, "what was drawn at 0.5 is unlikely at 0.25"
    assert flat.z > 6, "and too likely at 1"


@pytest.mark.model
def test_replies_to_other_questions_do_not_pass(backbone: Any, replies: list[Sampled]) -> None:
    """As an engine whose attention does not see the prompt."""
    asked = [request for request, _ in replies]
    moved = [(request, reply) for request, (_, reply) in zip([*asked[1:], asked[0]], replies)]
    (found,) = fidelity(backbone, [moved])
    assert found.z < -6


@pytest.mark.model
def test_other_weights_are_refused(backbone: Any, replies: list[Sampled]) -> None:
    request, reply = replies[0]
    with pytest.raises(UserError, match="other weights"):
        next(fidelity(backbone, [[(dataclasses.replace(request, engine="{}"), reply)]]))


def test_what_was_not_drawn_freely_is_left_out() -> None:
    asked = Request(messages=(), temperature=0.7)
    assert drawn(asked)
    for other in ({"temperature": 0.0}, {"top_p": 0.9}, {"constraint": Constraint(kind="regex", source="a")}):
        assert not drawn(dataclasses.replace(asked, **other))


def test_groups_are_pooled_by_their_tokens() -> None:
    one = Fidelity(replies=1, tokens=10, logprob=-1.0, expected=-1.5, deviation=3.0)
    two = Fidelity(replies=2, tokens=30, logprob=-2.0, expected=-2.0, deviation=4.0)
    both = pooled([one, two])
    assert (both.replies, both.tokens, both.logprob, both.deviation) == (3, 40, -1.75, 5.0)
    assert both.z == pytest.approx(5 / 5)


def test_the_first_items_are_taken_and_not_the_first_to_finish(tmp_path: Path) -> None:
    item = Item(id="a/1", question="?", gold="1")
    planned = [Planned(item=item, sample=i, request=Request(messages=(), temperature=1.0, seed=i)) for i in range(3)]
    with RunFolder(tmp_path / "cell") as folder:
        folder.write_requests(planned)
        for one in reversed(planned):
            folder.append(Generation(key=one.request.key, text="x", token_ids=(1,), token_ends=(1,)))
    assert [request.seed for request, _ in sampled(RunFolder(tmp_path / "cell"), 2)] == [0, 1]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(["results=nowhere"], "holds no run folder"), ([], "results= is missing"), (["results=x", "replies=0"], "above 0")],
)
def test_mistakes_are_one_line(arguments: list[str], said: str) -> None:
    done = run("experiments.verify", *arguments)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert said in done.stderr


@pytest.mark.model
def test_the_command(tmp_path: Path) -> None:
    """A run of the quickstart's, sampled, and the check of it."""
    asked = (
        "task=[addition]",
        "condition=[free_cot,json_schema]",
        "limit=3",
        "sampling=sample5",
        "sampling.samples=2",
        "sampling.max_tokens=64",
    )
    made = run("experiments.run", f"results={tmp_path}", "name=n", *asked)
    assert made.returncode == 0, made.stderr
    done = run("experiments.verify", f"results={tmp_path / 'n'}", "replies=4")
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if line.startswith("| ")]
    assert [line.split("|")[1].strip() for line in lines[2:]] == ["addition/free_cot/plain-seed0", "all"]
