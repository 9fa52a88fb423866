"""Random studies: tables, page and data-set card print the same number for the same quantity, and no impossible interval."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from fmtbench.types import Status
from tests.commanding import called
from tests.made_rows import made_rows
from tests.test_page import held

CONDITIONS = ("json_prompt", "json_schema", "prose_fields", "sham", "restricted_cot_25")
STATUSES: tuple[Status, ...] = ("ok", "truncated", "no_mark", "loop", "no_answer")
CELL = ["backbone", "task", "condition"]
RATES = (0.0, 0.03, 0.5, 0.97, 1.0)
AT_LEAST_0 = ("tokens_per_correct", "seconds_per_correct", "odds", "macro_f1", "item_sd", "prompt_sd", "latent_prompt_sd")


def random_study(seed: int, whole: bool) -> pd.DataFrame:
    """Few items, any rate from never to always right; where not `whole`, a tenth of the replies is missing."""
    rng = np.random.default_rng(seed)
    frames = []
    names = ["free_cot", "direct", *rng.choice(CONDITIONS, 2, replace=False)]
    items, prompts, samples = (int(rng.integers(*ends)) for ends in ((4, 30), (1, 4), (1, 3)))
    for backbone in ("large", "small"):
        for task in ("sums", "words"):
            shape = {name: (items, prompts, samples if name == "free_cot" else 1) for name in names}
            latent = {name: rng.random(size) < rng.choice(RATES) for name, size in shape.items()}
            strict = {name: right & (rng.random(shape[name]) < rng.choice((0.2, 0.8, 1.0))) for name, right in latent.items()}
            columns: dict[str, Any] = {
                "latent_correct": latent,
                "marked_correct": {name: latent[name] & (strict[name] | (rng.random(shape[name]) < 0.5)) for name in names},
                "status": {name: np.where(strict[name], "ok", rng.choice(STATUSES, shape[name])) for name in names},
                "completion_tokens": {name: rng.integers(1, 200, shape[name]) for name in names},
                "reasoning_words": {name: rng.integers(0, 90, shape[name]) for name in names},
                "gold": {name: np.broadcast_to(np.arange(items)[:, None, None] % 2, shape[name]).astype(str) for name in names},
            }
            frames.append(made_rows(strict, backbone=backbone, task=task, **columns))
    rows = pd.concat(frames, ignore_index=True)
    return rows if whole else rows[rng.random(len(rows)) < 0.9].reset_index(drop=True)


STUDIES = [pytest.param((seed, seed % 2 == 0), marks=pytest.mark.slow if seed > 2 else ()) for seed in range(8)]
"""Every other one is whole. Three are enough to see two places differ; the long form looks for rarer shapes."""


@pytest.fixture(scope="module", params=STUDIES, ids=str)
def printed(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[bool, Path, dict[str, pd.DataFrame]]:
    """Whether the study is whole, the folder, and every table by name."""
    seed, whole = request.param
    folder = tmp_path_factory.mktemp("random")
    random_study(seed, whole).to_parquet(folder / "rows.parquet")
    wanted = "table=[main,contrasts,decomposition,overview,cost,lockin,dose,failures]"
    called("tables", f"results={folder}", f"output={folder / 'out'}", wanted, "figure=[]", "table.main.marked=true")
    called("tables", f"results={folder}", f"output={folder / 'out'}", "format=html")
    called("export", f"results={folder}", "format=datasets", f"output={folder / 'card'}")
    tables = {path.stem: pd.read_csv(path, keep_default_na=False, na_values=[""]) for path in (folder / "out").rglob("*.csv")}
    return whole, folder, tables


Printed = tuple[bool, Path, dict[str, pd.DataFrame]]


def assert_same(ours: pd.DataFrame, theirs: pd.DataFrame, columns: dict[str, str], sign: float = 1.0) -> None:
    """Columns of one table under their names in another, on the cells that both have."""
    both = ours.merge(theirs, on=CELL, suffixes=("", "_there"), validate="1:1")
    assert len(both)
    for name, there in columns.items():
        other = f"{there}_there" if f"{there}_there" in both.columns else there
        np.testing.assert_allclose(
            sign * both[name].astype(float), both[other].astype(float), atol=1e-8, err_msg=f"{name} is not {there}"
        )


def test_differences(printed: Printed) -> None:
    """Of main, contrasts and the total of the decomposition, whose signs differ."""
    _, _, tables = printed
    main, contrasts = tables["main"], tables["contrasts"]
    for reading, name in (("strict", ""), ("latent", "latent_")):
        columns = {
            f"{reading}_diff": f"{name}difference",
            f"{reading}_diff_low": f"{name}low",
            f"{reading}_diff_high": f"{name}high",
        }
        assert_same(main.dropna(subset=[f"{reading}_diff"]), contrasts, columns)
    total = tables["decomposition"].query("component == 'total'")
    assert_same(total, contrasts, {"value": "difference", "low": "high", "high": "low"}, sign=-1.0)


def test_accuracies(printed: Printed) -> None:
    """Of main, overview, cost and dose; in a whole study the sides of a contrast too, so that its difference is theirs."""
    whole, _, tables = printed
    main = tables["main"]
    for table in ("cost", "dose"):
        assert_same(tables[table], main, {"accuracy": "strict"})
    overview = tables["overview"].set_index("condition")
    for line in main.itertuples():
        if (column := f"{line.backbone}, {line.task}") in overview.columns:
            assert overview[column][line.condition] == f"{100 * line.strict:.1f} / {100 * line.latent:.1f}"
        else:
            assert line.latent == 0
    if whole:
        contrasts = tables["contrasts"]
        assert_same(contrasts, main, {"accuracy": "strict"})
        reference = contrasts.assign(condition=contrasts["reference"]).drop_duplicates(CELL)
        assert_same(reference, main, {"reference_accuracy": "strict"})
        np.testing.assert_allclose(contrasts["difference"], contrasts["accuracy"] - contrasts["reference_accuracy"], atol=1e-8)


def test_the_page_and_the_card(printed: Printed) -> None:
    _, folder, tables = printed
    page = held(folder / "out" / "report.html")
    contrasts = [
        "difference",
        "low",
        "high",
        "general_low",
        "general_high",
        "p_adjusted",
        "latent_difference",
        "latent_low",
        "latent_high",
    ]
    assert_same(pd.DataFrame(page["contrasts"]), tables["contrasts"], {name: name for name in contrasts})
    accuracies = ["strict", "strict_low", "strict_high", "latent", "latent_low", "latent_high", "tokens"]
    assert_same(pd.DataFrame(page["accuracy"]), tables["main"], {name: name for name in accuracies})
    card = (folder / "card" / "README.md").read_text()
    for line in tables["main"].itertuples():
        (row,) = re.findall(rf"^\| {line.backbone} +\| {line.task} +\| {line.condition} +\|(.*)\|$", card, re.M)
        cells = [cell.strip() for cell in row.split("|")]
        expected = [
            interval(line, "strict"),
            interval(line, "latent"),
            interval(line, "strict_diff", "+"),
            interval(line, "latent_diff", "+"),
        ]
        assert cells[1:5] == expected


def interval(line: Any, name: str, sign: str = "") -> str:
    value, low, high = (100 * getattr(line, f"{name}{end}") for end in ("", "_low", "_high"))
    return "" if np.isnan(value) else f"{value:{sign}.0f} [{low:{sign}.0f}, {high:{sign}.0f}]"


def bounds(name: str) -> tuple[float, float]:
    """What a quantity of this name may be."""
    if name.startswith(AT_LEAST_0) and name != "macro_f1":
        return 0.0, np.inf
    if name == "retention":
        return -np.inf, np.inf
    signed = name in ("value", "excess", "", "latent", "general", "latent_general") or "diff" in name
    return (-1.0, 1.0) if signed else (0.0, 1.0)


def test_no_interval_is_impossible(printed: Printed) -> None:
    """Each lies in the range of its quantity, and its value within it."""
    _, _, tables = printed
    seen = set()
    for table, lines in tables.items():
        for low in (name for name in lines.columns if name.endswith("low") and name != "range_low"):
            stem = low.removesuffix("low").rstrip("_")
            high = low.removesuffix("low") + "high"
            value = {"contrasts": {"": "difference", "latent": "latent_difference"}, "decomposition": {"": "value"}}.get(
                table, {}
            ).get(stem, stem)
            least, most = (0.0, 1.0) if (table, stem) in {("main", "latent")} else bounds(value)
            if table == "decomposition":
                least, most = (
                    np.where(lines["component"].isin(["residual"]) | lines["component"].str.contains(" x "), -2.0, -1.0),
                    2.0,
                )
            some = lines[[low, high]].astype(float)
            assert (some[low].isna() | (some[low] >= least - 1e-9)).all(), (table, low)
            assert (some[high].isna() | (some[high] <= most + 1e-9)).all(), (table, high)
            assert (some[low].isna() | (some[low] <= some[high] + 1e-9)).all(), (table, low, high)
            if value in lines.columns:
                middle = lines[value].astype(float)
                inside = some[low].isna() | middle.isna() | ((some[low] <= middle + 1e-9) & (middle <= some[high] + 1e-9))
                assert inside.all(), (table, stem, lines[~inside].to_dict("records"))
            seen.add((table, stem))
    assert {
        ("main", "strict"),
        ("contrasts", ""),
        ("contrasts", "general"),
        ("cost", "tokens_per_correct"),
        ("decomposition", ""),
    } <= seen
