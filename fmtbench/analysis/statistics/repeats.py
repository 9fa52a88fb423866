"""What several samples of an item are worth: whether any of k is right, and whether most of them are."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from fmtbench.analysis.statistics.cube import Array, Index
from fmtbench.answers import Number

RIGHT = "\0right"
"""The vote of every right reply, however it is spelt: no real answer contains this character."""


def pass_at_k(right_N: Index, samples_N: Index, k: int) -> Array:
    """Probability that at least one of k samples drawn from an item's own is right, for N items; NaN where it has fewer than k.

    1 - C(n - c, k) / C(n, k), which is unbiased, unlike 1 - (1 - c / n)^k (Chen et al. 2021, arXiv 2107.03374).
    """
    wrong_N = (samples_N - right_N).astype(float)
    missed_N = np.ones(len(right_N))
    for drawn in range(k):
        left_N = samples_N - drawn
        missed_N = missed_N * np.divide((wrong_N - drawn).clip(0), left_N, out=np.zeros(len(left_N)), where=left_N > 0)
    return np.where(samples_N >= k, 1 - missed_N, np.nan)


def majority(cell: Index, votes: pd.Series, right: npt.NDArray[np.bool_]) -> Array:
    """For cells 0..N-1, the probability that the most frequent answer is right; ties are broken at random.

    Self-consistency (Wang et al. 2022, arXiv 2203.11171), without weights. `votes`: the answer of each reply as it counts,
    missing where there is none, which is no vote; a cell without votes is wrong. All right replies cast the same vote.
    """
    table = pd.DataFrame({"cell": cell, "vote": votes.where(~right, RIGHT).to_numpy()}).dropna()
    count = table.groupby(["cell", "vote"], sort=False).size().rename("count").reset_index()
    top = count[count["count"] == count.groupby("cell")["count"].transform("max")]
    ours = (top["vote"] == RIGHT).groupby(top["cell"]).mean()  # 1 over the number of answers tied for first place
    return np.asarray(ours.reindex(np.arange(int(cell.max()) + 1), fill_value=0.0), dtype=float)


def as_votes(answers: pd.Series, golds: pd.Series) -> pd.Series:
    """Answers in one spelling: as numbers where every gold is one, otherwise case-folded with whitespace collapsed.

    Rows do not store the answer kind, but they store verdicts, by which right replies vote together; two spellings of a wrong
    answer may count as two.
    """
    number = Number()
    numeric = all(number.canon(str(gold)) is not None for gold in golds.unique())
    codes, unique = pd.factorize(answers)
    plain = [_plain(str(one), number if numeric else None) for one in unique]
    return pd.Series(np.array([*plain, None], dtype=object)[codes], index=answers.index)


def _plain(answer: str, number: Number | None) -> str | None:
    known = number.canon(answer) if number else None
    return known or " ".join(answer.casefold().split()) or None
