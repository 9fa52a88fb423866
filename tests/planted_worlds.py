"""Studies with a known difference, whose items, prompts and samples matter as much as they are told to."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import special

from fmtbench.analysis.statistics.cube import Cube


def world(
    rng: np.random.Generator,
    delta: float,
    shape: tuple[int, int, int],
    conditions: int = 4,
    prompt_sd: float = 0.03,
    these: bool = False,
) -> dict[str, Any]:
    """Verdicts, items x prompts x samples, of `free_cot` and others; `c1` is better by `delta`, the others are as good.

    Probit with effects of items, of items under a condition, and of cells; prompts move each condition's rate by their own.
    `these`: what they do averages out over the prompts of this study, so that `delta` is the difference for these prompts.
    """
    items, prompts, _ = shape
    item, verdicts = rng.standard_normal(items), {}
    for c in range(conditions):
        moved_P = prompt_sd / np.sqrt(2) * rng.standard_normal(prompts)
        rate_P = 0.5 + delta * (c == 1) + moved_P - these * moved_P.mean()
        own, cell = 0.6 * rng.standard_normal(items), 0.5 * rng.standard_normal((items, prompts))
        whole = np.sqrt(1 + 1 + 0.6**2 + 0.5**2)
        hard = special.ndtri(rate_P.clip(0.01, 0.99)) * whole + (item + own)[:, None] + cell
        verdicts["free_cot" if c == 0 else f"c{c}"] = rng.random(shape) < special.ndtr(hard)[:, :, None]
    return verdicts


def cube_of(verdicts: dict[str, Any]) -> Cube:
    """As `cube.cubes` makes it of rows, without making rows."""
    score_CU = np.array([some.ravel() for some in verdicts.values()], dtype=float)
    whole = [score_CU, score_CU, score_CU, np.zeros_like(score_CU), np.ones_like(score_CU), np.ones_like(score_CU)]
    item_U, prompt_U, sample_U = (index.ravel() for index in np.indices(next(iter(verdicts.values())).shape))
    return Cube("b", "t", tuple(verdicts), *whole, item_U, prompt_U, sample_U)
