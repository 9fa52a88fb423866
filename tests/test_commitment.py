"""Commitment against what it must be: closed forms where every probability is known, and an answer planted half-way."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pandas as pd
import pytest
import torch

from fmtbench.analysis.tables.commitment import commitment_table
from fmtbench.answers import AnswerKind, Choice, Number, Text
from fmtbench.conditions.condition import Condition
from fmtbench.probes import commitment
from fmtbench.probes.commitment import CommitmentProbe, CommitmentRecord, CommitmentSettings, Readout, ReadReply
from fmtbench.probes.commitment_cell import rows_of
from fmtbench.probes.endings import log_probabilities
from fmtbench.probes.replay import Reference
from fmtbench.store.folder import Planned
from fmtbench.types import Generation, Item, Message, Request
from tests.bigram import ASK, CHARACTERS, END, write_bigram

FREE, JSON = Condition(), Condition(asked="json", enforced="schema")
WORDS = "one two six ten"
HALF = 2
"""Words after which the planted answer is fixed."""


def matrix() -> torch.Tensor:
    return torch.randn((len(CHARACTERS),) * 2, generator=torch.Generator().manual_seed(7), dtype=torch.float64)


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Reference:
    return Reference(write_bigram(tmp_path_factory.mktemp("bigram"), CHARACTERS, matrix()))


def probe_of(reference: Reference, **settings: Any) -> CommitmentProbe:
    return CommitmentProbe(reference, CommitmentSettings(words=2, **settings))


def said(condition: Condition, kind: AnswerKind, candidates: Sequence[str], rationale: str = WORDS, **given: Any) -> ReadReply:
    """A reply that says the rationale, and then the first candidate."""
    request = Request(messages=(Message(role="user", content="?"),))
    item = Item(id="x", question="?", gold=candidates[0] if candidates else "?")
    text = condition.example(kind, rationale, item.gold)
    generation = Generation(**{"key": request.key, "text": text, "finish_reason": "stop"} | given)
    return ReadReply(
        planned=Planned(item=item, sample=0, request=request),
        generation=generation,
        condition=condition,
        kind=kind,
        candidates=tuple(candidates),
        final=item.gold,
    )


def measured(probe: CommitmentProbe, reply: ReadReply, readout: Readout = "own") -> CommitmentRecord:
    (record,) = probe.measure(probe.missing([reply], [readout]))
    return record


# -- closed forms


def tokens(text: str) -> list[str]:
    return re.findall(r're|an|"}|.', text, re.S)


def closed_form(before: str, ending: str) -> float:
    """ln p of the tokens of `ending` and of the end, each given the one before it."""
    log_p, path = matrix().log_softmax(-1), [tokens(before)[-1], *tokens(ending), END]
    places = [CHARACTERS.index(token) for token in path]
    return float(sum(log_p[one, other] for one, other in pairwise(places)))


SEVERAL = ["12", "1", "1.5", "-5", "120"]
NAMES = ["an ant", "an", "rear", "B"]


@pytest.mark.parametrize(
    ("condition", "kind", "candidates", "readout", "before", "ending"),
    [
        (FREE, Number(), SEVERAL, "own", "The answer is", " {}."),
        (JSON, Number(), SEVERAL, "own", '"answer":', " {}}}"),
        (FREE, Text(), NAMES, "own", "The answer is", " {}."),
        (JSON, Text(), NAMES, "own", '"answer": "', '{}"}}'),
        (JSON, Choice(options=("x", "y", "z")), ["A", "B", "C"], "own", '"answer": "', '{}"}}'),
        (FREE, Number(), SEVERAL, "turn", "The answer is", " {}."),
        (JSON, Text(), NAMES, "turn", "The answer is", " {}."),
    ],
)
def test_candidates_have_their_closed_form(
    reference: Reference,
    condition: Condition,
    kind: AnswerKind,
    candidates: list[str],
    readout: Readout,
    before: str,
    ending: str,
) -> None:
    """In several pieces, one the beginning of another, with the token that ends the reply: each to 1e-6."""
    record = measured(probe_of(reference), said(condition, kind, candidates), readout)
    assert record.problem is None
    wanted = [closed_form(before, ending.format(one)) for one in candidates]
    assert len(record.logprobs) == len(record.fractions) == 5
    for line in record.logprobs:  # the bigram has forgotten the rationale
        assert list(line) == pytest.approx(wanted, abs=1e-6)
    (*_, row) = rows_of(said(condition, kind, candidates), record)
    total = sum(math.exp(one) for one in wanted)
    p = [math.exp(one) / total for one in wanted]
    assert row["held"] == pytest.approx(total, rel=1e-5)
    assert row["p_gold"] == pytest.approx(p[0], rel=1e-5)
    assert row["entropy"] == pytest.approx(-sum(one * math.log(one) for one in p), rel=1e-5)
    assert row["first"] == candidates[p.index(max(p))]


def test_the_end_counts(reference: Reference) -> None:
    """Without it `1` would have the mass of all that begins with it."""
    one, twelve = ([CHARACTERS.index(c) for c in text] for text in ("1", "12"))
    found = log_probabilities(reference, [CHARACTERS.index("x")], [one, twelve])
    log_p = matrix().log_softmax(-1)
    x, first, second, end = (CHARACTERS.index(c) for c in ("x", "1", "2", END))
    assert found[0] == pytest.approx(float(log_p[x, first] + log_p[first, end]), abs=1e-6)
    assert found[1] == pytest.approx(float(log_p[x, first] + log_p[first, second] + log_p[second, end]), abs=1e-6)
    assert sum(map(math.exp, found)) < math.exp(float(log_p[x, first])), "together no more than what both begin with"


def test_the_order_of_candidates_does_not_matter(reference: Reference) -> None:
    probe, reply = probe_of(reference), said(JSON, Text(), NAMES)
    forth, back = (measured(probe, replace(reply, candidates=tuple(names))) for names in (NAMES, NAMES[::-1]))
    for one, other in zip(forth.logprobs, back.logprobs):
        assert list(one) == pytest.approx(other[::-1], abs=1e-6)


@pytest.mark.parametrize("readout", ["own", "turn"])
def test_what_is_read_before_the_candidates(reference: Reference, readout: Readout) -> None:
    """The words up to the cut, in the format's own writing, and what asks for the answer."""
    probe = probe_of(reference)
    for condition, begun in ((FREE, "one two"), (JSON, '{"reasoning": "one two')):
        asked = commitment.Asked(reply=said(condition, Number(), ["12", "1"]), readout=readout, key="k")
        before, endings = probe.texts(asked, "one two")
        text = "".join(CHARACTERS[token] for token in before)
        closing = {"own": {FREE: "\nThe answer is", JSON: '", "answer":'}[condition], "turn": "The answer is"}[readout]
        assert text == (ASK + begun + closing if readout == "own" else 3 * ASK + closing)
        assert ["".join(CHARACTERS[token] for token in one) for one in endings] == (
            [" 12}", " 1}"] if (readout, condition) == ("own", JSON) else [" 12.", " 1."]
        )
    nothing = commitment.Asked(reply=said(FREE, Number(), ["12", "1"]), readout="own", key="k")
    assert "".join(CHARACTERS[token] for token in probe.texts(nothing, "")[0]) == f"{ASK}The answer is", "and no line break"


# -- planted: from half of the words on the answer is fixed


@pytest.fixture
def planted(monkeypatch: pytest.MonkeyPatch) -> None:
    def fixed_half_way(reference: Reference, before: Sequence[int], endings: Sequence[Sequence[int]]) -> list[float]:
        heard = sum(word in reference.tokenizer.decode(before) for word in WORDS.split())
        likely = [0.9, 0.1] if heard >= HALF else [0.2, 0.8]
        return [math.log(0.5 * one) for one in likely]

    monkeypatch.setattr(commitment, "log_probabilities", fixed_half_way)


@pytest.mark.usefixtures("planted")
@pytest.mark.parametrize("condition", [FREE, JSON])
def test_an_answer_that_is_fixed_half_way(reference: Reference, condition: Condition) -> None:
    probe = probe_of(reference)
    reply = said(condition, Number(), ["7", "9"])
    record = measured(probe, reply)
    told = {"backbone": "b", "task": "t", "condition": "c", "prompt": "p", "seed": 0, "sample": 0, "item_id": "x"}
    columns = {"problem": None, **told}
    found = commitment_table(pd.DataFrame(), pd.DataFrame([columns | row for row in rows_of(reply, record)]))
    assert found.fraction.tolist() == [0, 0.25, 0.5, 0.75, 1]
    assert found.fixed.tolist() == [0, 0, 1, 1, 1]
    assert found.first_right.tolist() == [0, 0, 1, 1, 1]
    assert found.p_gold.tolist() == pytest.approx([0.2, 0.2, 0.9, 0.9, 0.9])
    assert found.held.tolist() == pytest.approx([0.5] * 5)
    assert found.entropy.iloc[0] == pytest.approx(-0.2 * math.log(0.2) - 0.8 * math.log(0.8))
    assert found.tokens.tolist() == [0, 3, 7, 11, 15], "characters, each a token of its own"
    assert (found.settled.unique().tolist(), found.settled_tokens.unique().tolist(), found.never.unique().tolist()) == (
        [0.5],
        [7],
        [0],
    )
    wrong = replace(reply, final="9")
    lines = pd.DataFrame([columns | row for row in rows_of(wrong, record)])
    found = commitment_table(pd.DataFrame(), lines)
    assert found.fixed.tolist() == [1, 1, 0, 0, 0], "what it ends with is what counts, right or wrong"
    assert found.never.unique().tolist() == [1]
    assert found.settled.isna().all(), "it was there, and did not stay"


# -- keys, and what is refused


def test_a_record_is_of_all_that_decides_it(reference: Reference) -> None:
    reply = said(FREE, Number(), ["12", "1"])
    probe = probe_of(reference)
    key = probe.record_key(reply, "own")
    others = [
        probe.record_key(reply, "turn"),
        probe.record_key(replace(reply, candidates=("12", "1", "3")), "own"),
        probe_of(reference, fractions=(0.0, 1.0)).record_key(reply, "own"),
        probe_of(reference, question="And?").record_key(reply, "turn"),
        CommitmentProbe(reference, CommitmentSettings(words=3)).record_key(reply, "own"),
    ]
    assert len({key, *others}) == 6
    assert probe_of(reference, question="And?").record_key(reply, "own") == key, "which that read-out does not ask"


REFUSED: list[tuple[str, ReadReply]] = [
    ("no_rationale", said(FREE, Number(), ["12", "1"], "one")),
    ("no_rationale", said(replace(FREE, order="answer_only", reasoning="none"), Number(), ["12", "1"])),
    ("answer_first", said(replace(JSON, order="answer_first"), Number(), ["12", "1"])),
    ("several_stages", said(replace(FREE, reasoning="staged"), Number(), ["12", "1"])),
    ("asked=yaml", said(replace(FREE, asked="yaml"), Number(), ["12", "1"])),
    ("truncated", said(FREE, Number(), ["12", "1"], finish_reason="length")),
    ("engine_error", said(FREE, Number(), ["12", "1"], finish_reason="error")),
    ("no_reply", replace(said(FREE, Number(), ["12", "1"]), generation=None)),
    ("special_in_prefix", said(FREE, Number(), ["12", "1"], f"one {END} two")),
    ("special_in_answer", said(FREE, Text(), ["12", END])),
    ("one_candidate", said(FREE, Number(), ["12"])),
    ("too_long", said(FREE, Number(), ["12", "1"], "one " * 1100)),
]


@pytest.mark.parametrize(("problem", "reply"), REFUSED, ids=[f"{problem}-{i}" for i, (problem, _) in enumerate(REFUSED)])
def test_what_cannot_be_read_says_why(
    reference: Reference, problem: str, reply: ReadReply, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commitment, "log_probabilities", lambda *_: pytest.fail("nothing is to be read"))
    record = measured(probe_of(reference), reply)
    assert (record.problem, record.logprobs) == (problem, ())
    assert list(rows_of(reply, record)) == [
        {"request_key": record.request_key, "readout": "own", "dtype": "float32", "problem": problem}
    ]
