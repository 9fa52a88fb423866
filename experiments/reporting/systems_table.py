"""Tables of systems: each one's scores with their spread over seeds, and what a part adds, with an interval over queries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from fmtbench.analysis.statistics.bootstrap import DRAWS, SEED
from fmtbench.analysis.statistics.cube import Array
from fmtbench.analysis.statistics.per_item import paired_difference
from fmtbench.embed.scores import METRICS, Score
from fmtbench.errors import UserError

MAIN = "nDCG@10"


@dataclass(frozen=True, kw_only=True)
class Judged:
    """One row of the table on one task, for one seed."""

    row: str
    seed: int
    score: Score
    queries: pd.DataFrame | None
    """nDCG@10 and recall@100 of each query, 0..1; None if the task is not a search."""


def systems_table(made: Sequence[Judged]) -> pd.DataFrame:
    """A long table: row, task, metric, and the mean, smallest and largest over seeds.

    Scores are x 100. Seconds are per 1,000 texts, queries and documents (for a reranker: pairs); bytes are per document.
    """
    lines = [
        {"row": one.row, "task": one.score.task, "metric": name, "value": value} for one in made for name, value in _values(one)
    ]
    grouped = pd.DataFrame(lines, columns=["row", "task", "metric", "value"]).groupby(["row", "task", "metric"], sort=False)
    found = grouped["value"].agg(mean="mean", smallest="min", largest="max", seeds="size")
    return found.reset_index()


def _values(one: Judged) -> list[tuple[str, float]]:
    score = one.score
    if score.score is None:
        return []
    if one.queries is None:
        return [(METRICS.get(score.metric, score.metric), 100 * score.score)]
    found = [(name, 100 * float(column.mean())) for name, column in one.queries.items()]
    found += [("s per 1,000 texts", 1000 * score.seconds / score.texts)] if score.texts else []
    return found + ([("bytes a document", score.document_bytes)] if score.document_bytes is not None else [])


def pairs_table(made: Sequence[Judged], pairs: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """What one row gains over another in nDCG@10 x 100 on each search.

    Columns: the difference of the means over seeds, its 95 % interval over queries (paired), and the smallest and largest
    difference over seeds; where the numbers of seeds differ, every seed of one row is compared with every seed of the other.

    The interval holds for these trained encoders on queries like these; the spread shows what other seeds would change.
    """
    lines = [
        {"what": name, "with": one, "without": other, "task": task} | _difference(made, one, other, task)
        for name, (one, other) in pairs.items()
        for task in dict.fromkeys(judged.score.task for judged in made if judged.queries is not None)
    ]
    columns = ["what", "with", "without", "task", "difference", "low", "high", "smallest", "largest", "seeds", "queries"]
    return pd.DataFrame(lines, columns=columns)


def _difference(made: Sequence[Judged], one: str, other: str, task: str) -> dict[str, float]:
    first, second = (_by_seed(made, row, task) for row in (one, other))
    found = paired_difference(first.mean(axis=1), second.mean(axis=1), DRAWS, SEED)
    spread = _of_seeds(first.mean().to_numpy(), second.mean().to_numpy())
    counted = {"seeds": len(spread), "queries": len(first)}
    scaled = {"difference": found.value, "low": found.low, "high": found.high, "smallest": spread.min(), "largest": spread.max()}
    return {name: 100 * float(value) for name, value in scaled.items()} | counted


def _by_seed(made: Sequence[Judged], row: str, task: str) -> pd.DataFrame:
    """nDCG@10, one line per query and one column per seed. Raises `UserError` if there is no such row."""
    found = {one.seed: one.queries[MAIN] for one in made if (one.row, one.score.task) == (row, task) and one.queries is not None}
    if not found:
        known = ", ".join(dict.fromkeys(one.row for one in made))
        raise UserError(f"pairs: there is no row {row} with a score on {task}: the rows are {known}")
    return pd.DataFrame(found)


def _of_seeds(one: Array, other: Array) -> Array:
    """Differences seed by seed if both rows have the same number of seeds, else between all pairs of seeds."""
    return one - other if len(one) == len(other) else (one[:, None] - other[None, :]).ravel()


def shown(table: pd.DataFrame) -> pd.DataFrame:
    """One line per row and one column per measure, with the smallest and largest over several seeds in brackets."""
    if table.empty:
        return table
    cells = [_cell(line) for line in table.itertuples()]
    named = table.assign(cell=cells, column=table["task"] + " " + table["metric"])
    wide = named.pivot(index="row", columns="column", values="cell")
    wide = wide.reindex(index=named["row"].unique(), columns=named["column"].unique()).fillna("")
    return wide.rename_axis("system").rename_axis(None, axis=1).reset_index()


def _cell(line: Any) -> str:
    form = "{:,.0f}" if line.metric == "bytes a document" else "{:.1f}"
    mean, low, high = (form.format(getattr(line, name)) for name in ("mean", "smallest", "largest"))
    return mean if low == high else f"{mean} ({low} to {high})"


def shown_pairs(table: pd.DataFrame) -> pd.DataFrame:
    """The pairs as text, one line per pair and task."""
    lines = [
        {
            "what": line.what,
            "task": line.task,
            "nDCG@10": f"{line.difference:+.1f}",
            "95 % interval": f"{line.low:+.1f} to {line.high:+.1f}",
            "seeds": f"{line.smallest:+.1f} to {line.largest:+.1f} ({line.seeds})",
            "queries": f"{line.queries:,}",
        }
        for line in table.itertuples()
    ]
    return pd.DataFrame(lines, columns=["what", "task", "nDCG@10", "95 % interval", "seeds", "queries"])
