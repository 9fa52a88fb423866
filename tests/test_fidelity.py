"""Replies held against the model's own distribution: what it sampled passes, what is only like it does not."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from fmtbench.errors import UserError
from fmtbench.probes.fidelity import (
    Fidelity,
    agreement,
    drawn,
    fidelity,
    greedy,
    pooled,
    replies,
)
from fmtbench.probes.replay import Reference, Reply, check_weights
from fmtbench.store.folder import Planned, RunFolder
from fmtbench.types import Constraint, Generation, Item, Message, Request
from tests.commanding import command
from tests.conftest import FAST

ASKED = ("Name three colours.", "What is 3 + 4?", "Where is Paris?", "Tell me of a dog.", "Why is the sky blue?", "Say hello.")


class Remembering(Reference):
    """Reads a batch once: what the model says of it does not depend on the temperature that a test claims."""

    def __init__(self, backbone: Any) -> None:
        super().__init__(backbone)
        self.found: dict[tuple[tuple[int, ...], ...], Any] = {}

    def hidden(self, lines: Sequence[Sequence[int]]) -> Any:
        key = tuple(map(tuple, lines))
        if key not in self.found:
            self.found[key] = super().hidden(lines)
        return self.found[key]


@pytest.fixture(scope="module")
def reference(backbone: Any) -> Reference:
    return Remembering(backbone)


@pytest.fixture(scope="module")
def said(hf_engine: Any) -> dict[float, list[Reply]]:
    """By our own engine, greedy and at temperature 0.5."""
    asked = [
        Request(messages=(Message(role="user", content=text),), temperature=heat, max_tokens=40, seed=seed)
        for heat in (0.0, 0.5)
        for seed, text in enumerate(ASKED)
    ]
    by_key = {request.key: request for request in asked}
    found = [(by_key[one.key], one) for one in hf_engine.generate(asked)]
    return {heat: [reply for reply in found if reply[0].temperature == heat] for heat in (0.0, 0.5)}


def swapped(group: list[Reply]) -> list[Reply]:
    """Each reply to the next question: as of an engine whose attention does not see the prompt."""
    asked = [request for request, _ in group]
    return [(request, reply) for request, (_, reply) in zip([*asked[1:], asked[0]], group)]


@pytest.mark.model
def test_an_engine_that_samples_passes_and_one_that_flattens_or_sharpens_does_not(reference: Reference, said: Any) -> None:
    def claimed(temperature: float) -> Fidelity:
        return fidelity(reference, [(dataclasses.replace(one, temperature=temperature), reply) for one, reply in said[0.5]])

    right = claimed(0.5)
    assert right.replies == 6
    assert right.tokens == sum(len(reply.token_ids) for _, reply in said[0.5])
    assert abs(right.z) < 4
    assert claimed(0.25).z < -6, "what was drawn at 0.5 is unlikely at 0.25"
    assert claimed(1.0).z > 6, "and too likely at 1"
    assert fidelity(reference, swapped(said[0.5])).z < -6


@pytest.mark.model
def test_greedy_replies_are_the_likeliest_but_for_ties(reference: Reference, said: Any) -> None:
    right = agreement(reference, said[0.0])
    assert (right.replies, right.tokens) == (6, sum(len(reply.token_ids) for _, reply in said[0.0]))
    assert right.likeliest > 0.95
    assert right.gap < 0.5
    for wrong in (swapped(said[0.0]), said[0.5]):
        found = agreement(reference, wrong)
        assert found.gap > 2
        assert found.likeliest < right.likeliest


@pytest.mark.model
def test_other_weights_are_not_judged(backbone: Any, tmp_path: Path) -> None:
    with RunFolder(tmp_path / "cell") as folder:
        folder.write_manifest({"status": "running"})
        with pytest.raises(UserError, match="its manifest names no weights"):
            check_weights(folder, backbone)
        folder.write_manifest({"engine": {"weights": {"fingerprint": "of others"}}})
        with pytest.raises(UserError, match="other weights than those of backbone=smollm2_135m"):
            check_weights(folder, backbone)
        folder.write_manifest({"engine": {"weights": {"fingerprint": backbone.resolve().fingerprint}}})
        check_weights(folder, backbone)


def test_what_was_masked_or_cut_is_left_out() -> None:
    for which, asked in ((drawn, Request(messages=(), temperature=0.7)), (greedy, Request(messages=()))):
        assert which(asked)
        assert not which(dataclasses.replace(asked, temperature=0.7 - asked.temperature))
        assert not which(dataclasses.replace(asked, constraint=Constraint(kind="regex", source="a")))
    assert not drawn(Request(messages=(), temperature=0.7, top_p=0.9))


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
    assert [request.seed for request, _ in replies(RunFolder(tmp_path / "cell"), drawn, 2)] == [0, 1]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(["results=nowhere"], "holds no run folder"), ([], "results= is missing"), (["results=x", "replies=0"], "above 0")],
)
def test_mistakes_are_one_line(arguments: list[str], said: str) -> None:
    done = command("verify", *arguments)
    assert done.code == 2
    assert said in done.error


@pytest.mark.model
@pytest.mark.parametrize(
    ("sampling", "asked", "code", "column", "more"),
    [
        (("sampling=sample5", "sampling.samples=2"), "replies=4", 0, "expected", ["all"]),
        ((), "gap=-1", 1, "likeliest", []),  # nothing lies that far above the most likely token, so every cell is named
    ],
)
def test_the_command(tmp_path: Path, sampling: tuple[str, ...], asked: str, code: int, column: str, more: list[str]) -> None:
    """A run of the quickstart's, sampled or greedy, and the check of it."""
    cell = (FAST, "task=[addition]", "condition=[free_cot,json_schema]", "limit=2", "sampling.max_tokens=12")
    made = command("run", f"results={tmp_path}", "name=n", *cell, *sampling)
    assert made.code == 0, made.err
    done = command("verify", f"results={tmp_path / 'n'}", asked)
    assert done.code == code, done.err
    assert ("addition/free_cot/plain-seed0 (gap 0." in done.err) == bool(code)
    lines = [line for line in done.out.splitlines() if line.startswith("| ")]
    assert column in lines[0]
    named = [line.split("|")[1].strip() for line in lines[2:]]
    assert named == ["addition/free_cot/plain-seed0", *more], "what is masked is left out"
