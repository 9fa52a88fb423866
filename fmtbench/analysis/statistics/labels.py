"""Macro-F1 for tasks with a closed set of labels: unlike in accuracy, classes of unequal size count the same.

    F1 of a label = 2 right / (gold + given), where given counts the replies that name it; macro-F1 is the mean over labels.

The labels are read off the golds: words, few compared with the items. Single letters are options, whose content changes from
item to item, and not classes. A reply that names no label or breaks its contract is given to none, so it only costs recall.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from fmtbench.analysis.statistics.bootstrap import FEWER_DRAWS, SEED, Draws, bootstrap
from fmtbench.analysis.statistics.cube import RERUN, Array, Sums
from fmtbench.answers import AnswerKind, Label, YesNo

KEY = ["backbone", "task", "condition"]
MOST_LABELS, ITEMS_PER_LABEL = 200, 5


def closed_labels(golds: pd.Series) -> tuple[str, ...]:
    """The labels of a task from the golds of its items, sorted; empty where the answers are not a closed set of words."""
    labels = tuple(sorted(map(str, golds.unique())))
    words = all(len(label) > 1 and any(character.isalpha() for character in label) for label in labels)
    few = 2 <= len(labels) <= min(MOST_LABELS, len(golds) / ITEMS_PER_LABEL)
    return labels if words and few else ()


def macro_f1_table(rows: pd.DataFrame, draws: int = FEWER_DRAWS, seed: int = SEED) -> pd.DataFrame:
    """`backbone task condition macro_f1 macro_f1_low macro_f1_high`, 95% bootstrap over items; only tasks with closed labels."""
    lines = [line for _, group in rows.groupby(["backbone", "task"], observed=True) for line in _lines(group, draws, seed)]
    return pd.DataFrame(lines, columns=[*KEY, "macro_f1", "macro_f1_low", "macro_f1_high"])


def _lines(rows: pd.DataFrame, draws: int, seed: int) -> Iterator[dict[str, Any]]:
    labels = closed_labels(rows.drop_duplicates("item_id")["gold"])
    if not labels:
        return
    given, gold = given_labels(rows, labels), pd.Categorical(rows["gold"].astype(str), categories=labels).codes
    where = {name: pd.factorize(rows[name])[0] for name in ("item_id", "prompt")}
    for condition, index in rows.groupby("condition", observed=True).indices.items():
        if not str(condition).endswith(RERUN):
            counted = _counts(given[index], gold[index], len(labels), *(codes[index] for codes in where.values()))
            drawn = bootstrap(counted, draws, seed, np.ones(2 * len(labels), bool), together=True)
            (low,), (high,) = Draws(np.empty(0), macro_f1(drawn.draws_BK)[:, None]).interval(bounds=(0, 1))
            first = rows.iloc[index[0]]
            yield {
                **{name: first[name] for name in KEY},
                "macro_f1": macro_f1(drawn.means_K),
                "macro_f1_low": low,
                "macro_f1_high": high,
            }


def given_labels(rows: pd.DataFrame, labels: tuple[str, ...]) -> Any:
    """The number of the label that each reply gives, -1 for none; the verdicts are those of the rows."""
    kind: AnswerKind = YesNo() if {*map(str.casefold, labels)} == {"yes", "no"} else Label(labels=labels)
    number = {kind.canon(label): i for i, label in enumerate(labels)}
    answers, unique = pd.factorize(rows["answer"])
    named = np.array([number.get(kind.canon(str(answer)), -1) for answer in unique] + [-1])[answers]
    gold = pd.Categorical(rows["gold"].astype(str), categories=labels).codes
    right = rows["correct"].to_numpy(dtype=bool)
    return np.where(right, gold, np.where(named == gold, -1, named))


def _counts(given: Any, gold: Any, labels: int, item: Any, prompt: Any) -> Sums:
    """Right replies of each label, then gold plus given replies of each, by item and prompt."""
    items, prompts = int(item.max()) + 1, int(prompt.max()) + 1
    value = np.zeros((items, prompts, 2 * labels))
    np.add.at(value, (item[given == gold], prompt[given == gold], gold[given == gold]), 1.0)
    np.add.at(value, (item, prompt, labels + gold), 1.0)
    np.add.at(value, (item[given >= 0], prompt[given >= 0], labels + given[given >= 0]), 1.0)
    count = np.zeros((items, prompts))
    np.add.at(count, (item, prompt), 1.0)
    asked = count.sum(axis=1) > 0
    return Sums(value[asked], np.repeat(count[asked][:, :, None], 2 * labels, axis=2))


def macro_f1(counts: Array) -> Any:
    """Last axis: right replies of each label, then gold plus given of each. A label in neither is left out."""
    right, there = np.split(counts, 2, axis=-1)
    f1 = np.divide(2 * right, there, out=np.full(right.shape, np.nan), where=there > 0)
    return np.nanmean(f1, axis=-1)
