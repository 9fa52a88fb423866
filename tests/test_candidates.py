"""Which answers a read-out chooses among."""

from __future__ import annotations

import random

import pytest

from fmtbench.answers import AnswerKind, Choice, Label, Number, Text, YesNo
from fmtbench.probes.candidates import CLOSED, MOST, candidates
from fmtbench.types import Item


def item(gold: str, *aliases: str) -> Item:
    return Item(id="x", question="?", gold=gold, aliases=aliases)


@pytest.mark.parametrize(
    ("kind", "gold", "said", "wanted"),
    [
        (Number(), "12", ["13", "12.0", "11", "$13", "13.00"], ("12", "13", "11")),
        (Number(), "1,200", ["1200", "1.5"], ("1200", "1.5")),
        (Number(), "12", [], ("12",)),
        (Text(), "Paris", ["London.", "paris", "London", "lyon", "Lyon", "Lyon"], ("Paris", "Lyon", "London")),
        (Text(), "Paris", ["x" * 81], ("Paris",)),
        (Choice(options=("a", "b", "c")), "B", ["A", "A"], ("A", "B", "C")),
        (YesNo(), "yes", ["no"], ("yes", "no")),
        (Label(labels=("good", "bad")), "bad", [], ("good", "bad")),
    ],
)
def test_candidates(kind: AnswerKind, gold: str, said: list[str], wanted: tuple[str, ...]) -> None:
    assert candidates(kind, item(gold), said) == wanted
    random.Random(0).shuffle(said)
    assert candidates(kind, item(gold), said) == wanted, "whatever was said first"


def test_another_spelling_of_the_gold_answer_is_no_second_candidate() -> None:
    assert candidates(Text(), item("NYC", "New York"), ["New York", "Boston"]) == ("NYC", "Boston")


def test_an_open_set_is_bounded() -> None:
    assert len(candidates(Number(), item("0"), map(str, range(50)))) == MOST
    labels = tuple(f"label {number}" for number in range(CLOSED + 1))
    assert candidates(Label(labels=labels), item("label 3"), ["label 5"]) == ("label 3", "label 5")
