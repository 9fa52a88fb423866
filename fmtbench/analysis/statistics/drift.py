"""Drift: how far a format moves the content of a rationale, from vectors of free and formatted rationales for the same items.

`vectors[condition]` is N x S x D: N items, S samples of each, unit vectors of D dimensions, NaN where a rationale is
empty. The free condition needs two samples of each item: the distance between them is the floor, and they form the gate. An
encoder in whose space the two free samples of an item do not find each other says nothing about drift.

A rationale is compared only with free rationales of *other* samples, as free rationales are with each other: two of the same
sample share a seed, and under the sham they are the same words.

A drift of 0 is no more than asking again gives, and 1 is as far as the free rationale of another item. It exceeds 1 where a
format moves every vector by a common offset. Such an offset does not touch the content, so the shares of variance and the item
match after subtracting each format's mean are reported too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

from fmtbench.errors import UserError

Array = npt.NDArray[np.float64]
GATE = 0.9
FEWEST = 10
DRAWS = 2000


@dataclass(frozen=True, kw_only=True)
class Drift:
    """One condition against free rationales of the same items. Shares and matches lie in 0..1, correlations in -1..1."""

    condition: str
    items: int
    """Items with two free rationales and one under the condition."""
    empty: float
    """Share of all items that lack one of these."""
    gate: float
    """Share of free samples whose nearest other free sample is of the same item."""
    passed: bool
    floor: float
    """Mean cosine distance between two free samples of an item."""
    ceiling: float
    """Mean cosine distance between free samples of two items."""
    drift: float
    drift_low: float
    drift_high: float
    match: float
    """Share of items whose rationale under the condition is nearest to the same item's free one, as the gate counts."""
    match_centred: float
    """The same after subtracting each format's mean, taken on the other half of the items."""
    share_item: float
    share_format: float
    """Shares of the variance over items x {free, condition}; the rest is what the format does to single items."""
    cka: float
    """Debiased linear CKA of the two sets (HSIC_1; Song et al. 2012)."""
    cka_null: float
    """The same with the items permuted: about 0."""
    link: float
    """Spearman's correlation over items of drift and loss (free minus condition, latent accuracy); NaN without variation."""
    link_low: float
    link_high: float


def drift(vectors: Mapping[str, Array], loss: Mapping[str, Array], free: str, seed: int = 0) -> list[Drift]:
    """One `Drift` for each condition but the free one. `loss[condition]` is N: free minus condition, NaN where unknown.

    Raises `UserError` where the free condition is missing or has only one sample, or fewer than ten items can be compared.
    """
    if free not in vectors:
        raise UserError(f"there is no condition {free!r} to compare with: there are {', '.join(sorted(vectors))}")
    if vectors[free].shape[1] < 2:
        raise UserError(f"{free} has one sample an item, and drift needs two: run it with sampling=sample5")
    others = [name for name in vectors if name != free]
    return [
        _drift(name, vectors[free], vectors[name], loss[name], np.random.default_rng([seed, i])) for i, name in enumerate(others)
    ]


def _drift(name: str, free_NSD: Array, other_NSD: Array, loss_N: Array, rng: np.random.Generator) -> Drift:
    there = (_filled(free_NSD).sum(1) >= 2) & (_filled(other_NSD).sum(1) >= 1)
    n = int(there.sum())
    if n < FEWEST:
        raise UserError(f"{name}: {n} items have two free rationales and one under it, drift needs at least {FEWEST}")
    free_NSD, other_NSD, loss_N = free_NSD[there], other_NSD[there], loss_N[there]
    same_NN = _distances(free_NSD, free_NSD, apart=True)
    moved_NN = _distances(free_NSD, other_NSD, apart=True)
    floor_N, moved_N = np.diag(same_NN), np.diag(moved_NN)
    ceiling = float(same_NN[~np.eye(n, dtype=bool)].mean())
    drift_N = (moved_N - floor_N.mean()) / (ceiling - floor_N.mean())
    low, high = _interval(_drawn_drift(moved_N, floor_N, same_NN, rng))
    gate = gate_match(free_NSD)
    item, form, match, centred, alike, null = _of_other_samples(free_NSD, other_NSD, rng)
    link, link_low, link_high = linked(drift_N, loss_N, rng)
    return Drift(
        condition=name,
        items=n,
        empty=1 - n / len(there),
        gate=gate,
        passed=gate >= GATE,
        floor=float(floor_N.mean()),
        ceiling=ceiling,
        drift=float(drift_N.mean()),
        drift_low=low,
        drift_high=high,
        match=match,
        match_centred=centred,
        share_item=item,
        share_format=form,
        cka=alike,
        cka_null=null,
        link=link,
        link_low=link_low,
        link_high=link_high,
    )


def _of_other_samples(free_NSD: Array, other_NSD: Array, rng: np.random.Generator) -> list[float]:
    """Shares of item and format, match, centred match, CKA and its null, averaged over pairs of different samples."""
    found = []
    for s in range(free_NSD.shape[1]):
        for t in range(other_NSD.shape[1]):
            both = _filled(free_NSD)[:, s] & _filled(other_NSD)[:, t]
            if s != t and both.sum() >= FEWEST:
                free_ND, other_ND = free_NSD[both, s], other_NSD[both, t]
                null = np.mean([cka(free_ND, other_ND[rng.permutation(len(other_ND))]) for _ in range(20)])
                matches = item_match(other_ND, free_ND), centred_match(other_ND, free_ND, rng)
                found.append([*shares(free_ND, other_ND), *matches, cka(free_ND, other_ND), float(null)])
    return [float(one) for one in np.mean(found, axis=0)] if found else [float("nan")] * 6


def _filled(vectors_NSD: Array) -> npt.NDArray[np.bool_]:
    return np.isfinite(vectors_NSD[:, :, 0])


def _distances(one_NSD: Array, other_NSD: Array, apart: bool = False) -> Array:
    """N x N mean cosine distances between the samples of every two items; `apart` leaves out pairs of the same sample."""
    total, count = np.zeros((len(one_NSD), len(other_NSD))), np.zeros((len(one_NSD), len(other_NSD)))
    for s in range(one_NSD.shape[1]):
        for t in range(other_NSD.shape[1]):
            if apart and s == t:
                continue
            distance = 1 - one_NSD[:, s] @ other_NSD[:, t].T
            there = np.isfinite(distance)
            total += np.where(there, distance, 0)
            count += there
    return total / np.maximum(count, 1)


def gate_match(free_NSD: Array) -> float:
    """Top-1: how often an item's sample is nearest to another sample of the same item, over ordered pairs of samples."""
    samples = free_NSD.shape[1]
    hits = []
    for s in range(samples):
        for t in range(samples):
            if s != t:
                near = 1 - free_NSD[:, s] @ free_NSD[:, t].T
                both = np.isfinite(np.diag(near))
                near = np.where(np.isfinite(near), near, np.inf)
                hits.append((near.argmin(1) == np.arange(len(near)))[both])
    return float(np.concatenate(hits).mean())


def item_match(one_ND: Array, other_ND: Array) -> float:
    """Top-1: how often the nearest row of `other`, by cosine, is the same item's."""
    nearest_N = (_unit(one_ND) @ _unit(other_ND).T).argmax(1)
    return float((nearest_N == np.arange(len(one_ND))).mean())


def centred_match(one_ND: Array, other_ND: Array, rng: np.random.Generator) -> float:
    """`item_match` within each half of the items, after subtracting each format's mean over the other half."""
    halves = np.array_split(rng.permutation(len(one_ND)), 2)
    matches = [item_match(one_ND[a] - one_ND[b].mean(0), other_ND[a] - other_ND[b].mean(0)) for a, b in (halves, halves[::-1])]
    return float(np.mean(matches))


def _unit(rows_ND: Array) -> Array:
    return rows_ND / np.maximum(np.linalg.norm(rows_ND, axis=1, keepdims=True), 1e-12)


def shares(one_ND: Array, other_ND: Array) -> tuple[float, float]:
    """Shares of the variance due to the item and to the format, in a two-way layout without replication."""
    x_FND = np.stack([one_ND, other_ND])
    grand = x_FND.mean((0, 1))
    total = float(((x_FND - grand) ** 2).sum())
    item = 2 * float(((x_FND.mean(0) - grand) ** 2).sum())
    form = len(one_ND) * float(((x_FND.mean(1) - grand) ** 2).sum())
    return item / total, form / total


def cka(one_ND: Array, other_ND: Array) -> float:
    """Linear centred kernel alignment with the unbiased HSIC_1; the biased one is high even for unrelated sets of few items."""
    k, m = one_ND @ one_ND.T, other_ND @ other_ND.T
    scale = hsic(k, k) * hsic(m, m)
    return float(hsic(k, m) / np.sqrt(scale)) if scale > 0 else float("nan")


def hsic(k_NN: Array, m_NN: Array) -> float:
    """The unbiased estimator of Song et al. 2012, JMLR 13:1393, equation 5; needs at least four rows."""
    n = len(k_NN)
    k, m = k_NN - np.diag(np.diag(k_NN)), m_NN - np.diag(np.diag(m_NN))
    cross = k.sum() * m.sum() / ((n - 1) * (n - 2)) - 2 * (k @ m).sum() / (n - 2)
    return float((np.trace(k @ m) + cross) / (n * (n - 3)))


def linked(drift_N: Array, loss_N: Array, rng: np.random.Generator) -> tuple[float, float, float]:
    """Spearman's correlation with a percentile bootstrap over items; NaN where one of the two does not vary."""
    known = np.isfinite(loss_N)
    drift_N, loss_N = drift_N[known], loss_N[known]
    if len(loss_N) < FEWEST or np.ptp(loss_N) == 0 or np.ptp(drift_N) == 0:
        return float("nan"), float("nan"), float("nan")
    picks = rng.integers(0, len(loss_N), size=(DRAWS, len(loss_N)))
    (value,) = spearman(drift_N[None], loss_N[None])
    return float(value), *_interval(spearman(drift_N[picks], loss_N[picks]))


def spearman(one_BN: Array, other_BN: Array) -> Array:
    """Spearman's correlation of each of B pairs of rows; NaN where a row does not vary."""
    ranks = [stats.rankdata(rows_BN, axis=1) for rows_BN in (one_BN, other_BN)]
    one, other = (rank_BN - rank_BN.mean(axis=1, keepdims=True) for rank_BN in ranks)
    scale_B = np.sqrt((one**2).sum(axis=1) * (other**2).sum(axis=1))
    return np.divide((one * other).sum(axis=1), scale_B, out=np.full(len(scale_B), np.nan), where=scale_B > 0)


def _drawn_drift(moved_N: Array, floor_N: Array, same_NN: Array, rng: np.random.Generator) -> Array:
    """Bootstrap over items of the normalised drift; an item that is drawn twice is not paired with itself."""
    n = len(moved_N)
    drawn = np.empty(DRAWS)
    apart_NN = same_NN * ~np.eye(n, dtype=bool)
    for i in range(DRAWS):
        weight = np.bincount(rng.integers(0, n, n), minlength=n).astype(float)
        pairs = weight.sum() ** 2 - (weight**2).sum()
        ceiling, floor = weight @ apart_NN @ weight / pairs, weight @ floor_N / n
        drawn[i] = (weight @ moved_N / n - floor) / (ceiling - floor)
    return drawn


def _interval(drawn: Array) -> tuple[float, float]:
    low, high = np.nanquantile(drawn, [0.025, 0.975])
    return float(low), float(high)
