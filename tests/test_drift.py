"""Drift on vectors whose truth is known."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from fmtbench.analysis.showing.drift_figure import drift_figure
from fmtbench.analysis.statistics.drift import GATE, cka, drift, gate_match, hsic, linked, shares, spearman
from fmtbench.errors import UserError

N, D = 40, 64


def unit(x: np.ndarray) -> np.ndarray:
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def made(moved: float, offset: float = 0.0, noise: float = 0.05, seed: int = 0) -> dict[str, np.ndarray]:
    """Items with a content each; `json` replaces a share of it by another content, and adds one offset to all."""
    rng = np.random.default_rng(seed)
    content, other, direction = rng.normal(size=(N, 1, D)), rng.normal(size=(N, 1, D)), rng.normal(size=D)
    free = content + noise * rng.normal(size=(N, 2, D))
    json = (1 - moved) * content + moved * other + offset * direction + noise * rng.normal(size=(N, 2, D))
    return {"free_cot": unit(free), "json_schema": unit(json)}


def measured(vectors: dict[str, np.ndarray], loss: np.ndarray | None = None):
    (found,) = drift(vectors, {"json_schema": np.zeros(N) if loss is None else loss}, "free_cot")
    return found


def test_nothing_moved_is_zero_and_everything_is_one() -> None:
    same, gone = measured(made(0.0)), measured(made(1.0))
    assert same.drift == pytest.approx(0, abs=0.01)
    assert same.match == same.match_centred == same.gate == 1
    assert gone.drift == pytest.approx(1, abs=0.05)
    assert gone.match < 0.2
    assert gone.drift_low < gone.drift < gone.drift_high
    assert same.cka > 0.95 > 0.1 > abs(gone.cka)
    assert measured(made(0.2)).drift < measured(made(0.4)).drift < measured(made(0.6)).drift


def test_a_common_offset_is_format_and_not_content() -> None:
    found = measured(made(0.0, offset=3.0))
    assert found.share_format > 0.3
    assert found.match_centred == 1
    assert found.drift > 0.5, "drift alone would call it a loss of content"
    assert measured(made(0.0)).share_format < 0.02


def test_the_gate_tells_an_encoder_that_knows_no_items() -> None:
    blind = measured(made(0.0, noise=3.0))
    assert blind.gate < GATE
    assert not blind.passed
    assert measured(made(0.0)).passed


def test_the_gate_counts_each_ordered_pair_by_hand() -> None:
    vectors = unit(np.array([[[1, 0], [1, 0.1]], [[0, 1], [1, 0.2]], [[-1, 0], [-1, 0.1]]], float))
    # sample 0 -> 1: item 0 finds 0, item 1 finds 1, item 2 finds 2; sample 1 -> 0: item 1's second sample is nearest item 0
    assert gate_match(vectors) == pytest.approx(5 / 6)


def test_shares_sum_with_their_rest_to_one_and_equal_a_two_way_anova() -> None:
    rng = np.random.default_rng(1)
    one, other = rng.normal(size=(2, 12, 5))
    item, form = shares(one, other)
    x = np.stack([one, other])
    rest = x - x.mean(0) - x.mean(1, keepdims=True) + x.mean((0, 1))
    assert item + form + (rest**2).sum() / ((x - x.mean((0, 1))) ** 2).sum() == pytest.approx(1)


def test_debiased_cka_has_no_null() -> None:
    """The biased one is near 0.4 for unrelated sets of so few items."""
    rng = np.random.default_rng(2)
    values = [cka(rng.normal(size=(32, 576)), rng.normal(size=(32, 576))) for _ in range(40)]
    assert abs(np.mean(values)) < 0.02
    x = rng.normal(size=(32, 8))
    assert cka(x, 3 * x @ np.linalg.qr(rng.normal(size=(8, 8)))[0]) == pytest.approx(1)


def test_hsic_is_unbiased_by_its_definition() -> None:
    """Against the sum over all ordered quadruples of different rows."""
    from itertools import permutations

    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(6, 2)), rng.normal(size=(6, 3))
    k, m = x @ x.T, y @ y.T
    terms = [k[a, b] * (m[a, b] + m[c, d] - 2 * m[a, c]) for a, b, c, d in permutations(range(6), 4)]
    assert hsic(k, m) == pytest.approx(np.mean(terms))


def test_spearman_agrees_with_scipy() -> None:
    rng = np.random.default_rng(5)
    one, other = rng.random((50, 30)), rng.integers(0, 3, (50, 30)).astype(float)
    other[0] = 1.0
    expected = [stats.spearmanr(a, b).statistic for a, b in zip(one[1:], other[1:])]
    assert np.isnan(spearman(one, other)[0])
    assert spearman(one, other)[1:] == pytest.approx(expected, abs=1e-12)


def test_the_link_to_loss() -> None:
    rng = np.random.default_rng(4)
    moved = rng.random(200)
    value, low, high = linked(moved, (moved + 0.2 * rng.normal(size=200) > 0.5).astype(float), rng)
    assert 0.5 < low < value < high < 1
    value, low, high = linked(moved, rng.integers(0, 2, 200).astype(float), rng)
    assert low < 0 < high
    assert all(np.isnan(linked(moved, np.zeros(200), rng)))


def test_empty_rationales_are_left_out_and_counted() -> None:
    vectors = made(0.0)
    vectors["json_schema"][:8] = np.nan
    vectors["free_cot"][8:10, 1] = np.nan
    found = measured(vectors)
    assert (found.items, found.empty) == (30, pytest.approx(0.25))
    assert found.drift == pytest.approx(0, abs=0.02)


def test_mistakes() -> None:
    vectors = made(0.0)
    with pytest.raises(UserError, match="no condition 'free_cot'"):
        drift({"json_schema": vectors["json_schema"]}, {}, "free_cot")
    with pytest.raises(UserError, match="drift needs two"):
        drift({"free_cot": vectors["free_cot"][:, :1], "json_schema": vectors["json_schema"]}, {}, "free_cot")
    vectors["json_schema"][5:] = np.nan
    with pytest.raises(UserError, match="5 items"):
        measured(vectors)


def test_the_figure_shows_what_passed_only() -> None:
    from dataclasses import asdict

    cell = {"backbone": "b", "task": "t", "prompt": "p", "embedder": "e"}
    good, blind = asdict(measured(made(0.3))), asdict(measured(made(0.0, noise=3.0)))
    (axis,) = drift_figure(pd.DataFrame([cell | good, cell | blind | {"task": "u"}])).axes
    assert axis.get_title(loc="left") == "b, t, p, e"
    with pytest.raises(UserError, match="no embedder passed the gate"):
        drift_figure(pd.DataFrame([cell | blind]))


def test_the_words_of_the_first_free_sample_are_no_drift() -> None:
    """The sham's replies share the seed of that sample; held against it as well they would be nearer than asking again."""
    rng = np.random.default_rng(5)
    item_N1D = rng.normal(size=(40, 1, 16))
    free = item_N1D + 1.0 * rng.normal(size=(40, 2, 16))
    free /= np.linalg.norm(free, axis=2, keepdims=True)
    (found,) = drift({"free_cot": free, "sham": free[:, :1]}, {"sham": np.zeros(40)}, "free_cot")
    assert found.drift == pytest.approx(0, abs=1e-9)
    assert max(abs(found.drift_low), abs(found.drift_high)) < 1e-9
    again = float((free[:, 0] @ free[:, 1].T).argmax(1).__eq__(np.arange(40)).mean())
    assert abs(found.match - again) < 0.15, "no nearer than a second free sample, and not 1"
    assert found.cka == pytest.approx(cka(free[:, 1], free[:, 0]))
