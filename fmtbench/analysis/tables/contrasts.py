"""Paired comparisons of two conditions on the same items: one row for each backbone, task and condition.

    contrast_table(rows)                                            every condition against free_cot
    contrast_table(rows, planned=[{"condition": "json_schema", "reference": "json_prompt"}])

Samples of an item and prompt are averaged before pairing. Each difference has two intervals: for the prompts that were
asked (the bootstrap over items), and for prompts like these (see `statistics.prompts`).

Tasks are never pooled: formats help some kinds of task and harm others, so a mean over both says nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from fmtbench.analysis.statistics.bootstrap import DRAWS, SEED, Draws, bootstrap
from fmtbench.analysis.statistics.cube import Array, Cube, Index, cells, cubes, sums
from fmtbench.analysis.statistics.exact import MARGIN, ROUNDING, adjust, detectable, odds_ratio, sign_test
from fmtbench.analysis.statistics.pairs import Pair, check_planned, difference_KU, pairs_of, planned_pairs
from fmtbench.analysis.statistics.prompts import Spread, prompt_values, spread_of
from fmtbench.analysis.statistics.sizes import detectable_elsewhere
from fmtbench.conditions.axes import REFERENCE
from fmtbench.errors import UserError

FEW_ITEMS, FEW_DISCORDANT = 30, 10
FAMILY = ("backbone", "task")
READINGS = {"strict": "", "latent": "latent_"}
"""Readings, and the prefix of each one's columns."""
COLUMNS = [
    "backbone",
    "task",
    "condition",
    "reference",
    "n",
    "accuracy",
    "reference_accuracy",
    "difference",
    "low",
    "high",
    "general_low",
    "general_high",
    "by_prompt",
    "p_mcnemar",
    "p_adjusted",
    "planned",
    "mde",
    "general_mde",
    "equivalent",
    "floor",
    "latent_difference",
    "latent_low",
    "latent_high",
    "latent_general_low",
    "latent_general_high",
    "latent_by_prompt",
    "latent_p_mcnemar",
    "latent_floor",
    "p_score",
    "margin",
    "odds_ratio",
    "odds_low",
    "odds_high",
    "discordant",
    "pairs",
    "prompts",
    "prompt_sd",
    "prompt_sd_low",
    "prompt_sd_high",
    "latent_prompt_sd",
    "latent_prompt_sd_low",
    "latent_prompt_sd_high",
    "correction",
    "mark",
    "note",
]


def contrast_table(
    rows: pd.DataFrame,
    reference: str = REFERENCE,
    planned: Sequence[Mapping[str, str] | str] = (),
    margin: float = MARGIN,
    draws: int = DRAWS,
    seed: int = SEED,
    axes: Mapping[str, Mapping[str, Any]] | None = None,
    presets: Mapping[str, Mapping[str, Any]] | None = None,
    family: Sequence[str] = FAMILY,
) -> pd.DataFrame:
    """Differences condition minus reference in accuracy, on the items and prompts that both have; shares, not points.

    `low`, `high`: 95% bootstrap over items, for these prompts; `general_low`, `general_high`: for prompts like these, empty
    with one prompt; `by_prompt`: the difference under each prompt, in points. `p_mcnemar`: McNemar's mid-p, extended to
    clusters; `p_adjusted`: the same after Holm within the planned contrasts and Benjamini-Hochberg within the rest of each
    `family` (columns whose values separate families; none: a single family). Nulls and floors count in no family and have no
    `p_adjusted`. `p_score`: McNemar's score test. `equivalent`: the 90% interval lies within `margin` (two one-sided tests at
    5%). `floor`: not one reply of either side is right, so there is nothing to lose. `mde`: smallest difference detected with
    80% power at two-sided 5%, for these prompts with as many items, prompts and samples; `general_mde`: for prompts like these.
    `prompt_sd`: how much the wording of a prompt moves a difference, with 90% bounds. `mark` says what makes an interval
    unreliable.

    `axes`, `presets`: settings of conditions by name, to recognise nulls (`enforced: sham`) and known names.
    Raises `UserError` where no two conditions share an item, or where a planned condition is unknown.
    """
    wanted = planned_pairs(planned, reference)
    check_planned(wanted, {*map(str, rows["condition"].unique()), *(axes or {}), *(presets or {})})
    lines = [line for one in cubes(rows) for line in _contrasts(one, pairs_of(one, reference, wanted), margin, draws, seed)]
    if not lines:
        found = ", ".join(sorted(map(str, rows["condition"].unique())))
        raise UserError(f"no condition shares an item with {reference}: the rows hold {found}; give reference= one of them")
    table = pd.DataFrame(lines)
    table["planned"] = [Pair(line.condition, line.reference) in wanted for line in table.itertuples()]
    tested = ~(table["floor"] | _nulls(table, axes or {})).to_numpy()
    p = np.where(tested, table["p_mcnemar"], np.nan)
    table["p_adjusted"] = adjust(p, table["planned"].to_numpy(), _families(table, family))
    table["margin"] = margin
    table["correction"] = np.where(tested, np.where(table["planned"], "holm", "bh"), "")
    table = table[COLUMNS]
    table.attrs["below"] = [line for line in (prompt_line(table),) if line]
    return table


def prompt_line(table: pd.DataFrame) -> str:
    """How much the wording of a prompt moves a latent difference, for each backbone and task; empty with one prompt."""
    known = table[table["latent_prompt_sd"].notna() & ~table["latent_floor"]].drop_duplicates(list(FAMILY))
    if known.empty:
        return ""
    columns = ["latent_prompt_sd", "latent_prompt_sd_low", "latent_prompt_sd_high"]
    ends = [(f"{line.backbone}, {line.task}", *(100 * getattr(line, name) for name in columns)) for line in known.itertuples()]
    found = "; ".join(f"{name} {middle:.1f} [{low:.1f}, {high:.1f}]" for name, middle, low, high in ends)
    return f"Wording of the prompt moves a latent difference by so many points (standard deviation, 90% bounds): {found}."


def _nulls(table: pd.DataFrame, axes: Mapping[str, Mapping[str, Any]]) -> pd.Series:
    """Contrasts that must show nothing: those with a grammar that allows everything."""
    shams = [name for name, settings in axes.items() if settings.get("enforced") == "sham"]
    return table["condition"].isin(shams) | table["reference"].isin(shams)


def _families(table: pd.DataFrame, family: Sequence[str]) -> Any:
    if wrong := [name for name in family if name not in (*FAMILY, "condition", "reference")]:
        raise UserError(f"family={wrong}: give some of backbone, task, condition, reference, or [] for one family")
    return table.groupby(list(family), sort=False).ngroup().to_numpy() if family else None


def _contrasts(one: Cube, pairs: Sequence[Pair], margin: float, draws: int, seed: int) -> Iterator[dict[str, Any]]:
    one = cells(one)
    pairs = [pair for pair in pairs if np.isfinite(difference_KU(one, [pair])).any()]
    if not pairs:
        return
    spreads = {reading: spread_of(one.scores(reading), one) for reading in READINGS}
    drawn = {reading: bootstrap(sums(difference_KU(one, pairs, reading), one), draws, seed) for reading in READINGS}
    for k, pair in enumerate(pairs):
        line: dict[str, Any] = {"backbone": one.backbone, "task": one.task, **pair._asdict()}
        for reading, name in READINGS.items():
            difference_U = difference_KU(one, [pair], reading)[0]
            line |= _difference(name, difference_U, one, drawn[reading], k, spreads[reading], seed)
            line[f"{name}floor"] = _floor(one, pair, difference_U, reading)
        difference_U = difference_KU(one, [pair])[0]
        line |= _accuracies(one, pair, difference_U) | _tests(one, difference_U, spreads["strict"])
        (low,), (high,) = Draws(drawn["strict"].means_K[[k]], drawn["strict"].draws_BK[:, [k]]).interval(0.90)
        yield line | {"equivalent": bool(-margin < low and high < margin and not line["floor"]), **_standing(one, line)}


def _difference(name: str, difference_U: Array, one: Cube, drawn: Draws, k: int, spread: Spread, seed: int) -> dict[str, Any]:
    """Both intervals of a difference, its test, and its spread over prompts."""
    values = prompt_values(difference_U, one.prompt_U)
    draws_B = drawn.draws_BK[:, k]
    both = np.column_stack([draws_B, spread.draws(draws_B, len(values), seed)])
    low, high = Draws(drawn.means_K[[k, k]], both).interval(bounds=(-1, 1))
    low_sd, sd, high_sd = spread.quantile(0.05, 0.5, 0.95) if spread.prompts > 1 else [np.nan] * 3
    return {
        f"{name}difference": drawn.means_K[k],
        f"{name}low": low[0],
        f"{name}high": high[0],
        f"{name}general_low": low[1],
        f"{name}general_high": high[1],
        f"{name}by_prompt": ", ".join(map(_points, values)),
        f"{name}p_mcnemar": sign_test(_totals(difference_U, one)[0]).p_mid,
        f"{name}prompt_sd": sd,
        f"{name}prompt_sd_low": low_sd,
        f"{name}prompt_sd_high": high_sd,
    }


def _points(value: float) -> str:
    text = f"{100 * value:+.1f}"
    return "0.0" if text in ("+0.0", "-0.0") else text


def _totals(difference_U: Array, one: Cube) -> tuple[Array, Index]:
    """Sum of the differences of each item that was asked, and the number of them."""
    there = np.isfinite(difference_U)
    total_I: Array = np.bincount(one.item_U[there], weights=difference_U[there]).astype(np.float64)
    count_I: Index = np.bincount(one.item_U[there]).astype(np.int64)
    return total_I[count_I > 0], count_I[count_I > 0]


def _floor(one: Cube, pair: Pair, difference_U: Array, reading: str) -> bool:
    """Whether neither side has a right reply on the shared items."""
    shared = np.isfinite(difference_U)
    return not one.scores(reading)[[one.at(name) for name in pair]][:, shared].any()


def _accuracies(one: Cube, pair: Pair, difference_U: Array) -> dict[str, Any]:
    """Both accuracies over the shared items and prompts, so that they differ by exactly the difference."""
    shared = np.isfinite(difference_U)
    return {
        "n": len(np.unique(one.item_U[shared])),
        "pairs": int(shared.sum()),
        "prompts": len(np.unique(one.prompt_U[shared])),
        "accuracy": float(one.strict_CU[one.at(pair.condition), shared].mean()),
        "reference_accuracy": float(one.strict_CU[one.at(pair.reference), shared].mean()),
    }


def _tests(one: Cube, difference_U: Array, spread: Spread) -> dict[str, float]:
    total_I, count_I = _totals(difference_U, one)
    there_U = difference_U[np.isfinite(difference_U)]
    ours, reference = float(np.maximum(there_U, 0).sum()), float(np.maximum(-there_U, 0).sum())
    repeats = max(1.0, float((total_I**2).sum() / (there_U**2).sum())) if there_U.any() else 1.0  # the design effect
    ratio, low, high = odds_ratio(ours / repeats, reference / repeats)
    square_sum, prompts = float(((total_I / count_I) ** 2).sum()), len(np.unique(one.prompt_U[np.isfinite(difference_U)]))
    return {
        "p_score": sign_test(total_I).p_score,
        "odds_ratio": ratio,
        "odds_low": low,
        "odds_high": high,
        "discordant": int((np.abs(total_I) > ROUNDING).sum()),
        "mde": detectable(square_sum, len(total_I)),
        "general_mde": detectable_elsewhere(square_sum, len(total_I), spread, prompts),
    }


def _standing(one: Cube, line: Mapping[str, Any]) -> dict[str, Any]:
    """What there is too little of for the interval to keep its level."""
    few = {f"n<{FEW_ITEMS}": line["n"] < FEW_ITEMS, f"discordant<{FEW_DISCORDANT}": line["discordant"] < FEW_DISCORDANT}
    marks = few | {"floor": line["floor"]}
    note = "one prompt: nothing is known of other prompts" if line["prompts"] == 1 else ""
    return {"mark": ", ".join(mark for mark, holds in marks.items() if holds), "note": note}
