"""Macro-F1: the value of scikit-learn, labels read off the golds, replies outside the labels counted as misses."""

import numpy as np
import pandas as pd
import pytest

from fmtbench.analysis.showing.readable import readable
from fmtbench.analysis.statistics.labels import closed_labels, macro_f1_table
from fmtbench.analysis.tables.main import accuracy_table
from tests.made_rows import made_rows

LABELS = np.array(["joy", "fear", "anger"])


def labelled(items: int = 90, prompts: int = 2) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """Uneven classes; some replies name a label in another spelling, some none."""
    rng = np.random.default_rng(0)
    gold = rng.choice(LABELS, p=[0.6, 0.3, 0.1], size=(items, 1)).repeat(prompts, axis=1)
    given = np.where(rng.random(gold.shape) < 0.6, gold, rng.choice([*LABELS, "none of them"], size=gold.shape))
    said = np.where(rng.random(gold.shape) < 0.3, np.char.upper(given), given)
    return made_rows({"free_cot": given == gold}, gold={"free_cot": gold}, answer={"free_cot": said}), gold.ravel(), given.ravel()


def by_hand(gold: np.ndarray, given: np.ndarray) -> float:
    return float(
        np.mean([2 * np.sum((gold == one) & (given == one)) / (np.sum(gold == one) + np.sum(given == one)) for one in LABELS])
    )


def test_value() -> None:
    rows, gold, given = labelled()
    (line,) = macro_f1_table(rows, draws=500).itertuples()
    assert line.macro_f1 == pytest.approx(by_hand(gold, given), abs=1e-12)
    assert line.macro_f1_low < line.macro_f1 < line.macro_f1_high


def test_agrees_with_scikit_learn() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    rows, gold, given = labelled()
    expected = metrics.f1_score(gold, given, labels=list(LABELS), average="macro")
    assert macro_f1_table(rows, draws=100).macro_f1[0] == pytest.approx(expected, abs=1e-9)


def test_a_broken_contract_names_no_label() -> None:
    """The right label in a reply that broke its contract is no right answer, and none for another label either."""
    gold = np.repeat(LABELS[:2], 10)
    right = np.arange(20) % 10 > 0
    rows = made_rows({"free_cot": right}, gold={"free_cot": gold}, answer={"free_cot": gold})
    assert macro_f1_table(rows, draws=100).macro_f1[0] == pytest.approx(2 * 9 / (10 + 9))


@pytest.mark.parametrize(
    ("golds", "labels"),
    [
        (["yes", "no"] * 10, ("no", "yes")),
        (["A", "B"] * 10, ()),
        (["1", "22"] * 10, ()),
        (["one", "two", "three"], ()),
        (["same"] * 20, ()),
    ],
)
def test_which_tasks_have_labels(golds: list[str], labels: tuple[str, ...]) -> None:
    assert closed_labels(pd.Series(golds)) == labels


def test_it_stands_beside_accuracy_where_there_are_labels() -> None:
    rows, gold, given = labelled()
    table = accuracy_table(pd.concat([rows, made_rows({"free_cot": np.ones(30)}, task="sums")]))
    assert list(table.macro_f1.isna()) == [True, False]
    assert list(readable(table)["macro-F1"]) == ["", f"{100 * by_hand(gold, given):.0f}"]
    assert "macro-F1" not in readable(accuracy_table(made_rows({"free_cot": np.ones(30)})))
