"""What shows a study at a glance: its one sentence, one table, and two figures without zeros, overlaps or bars outside."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from fmtbench.analysis.showing.finding import finding
from fmtbench.analysis.showing.overview_figures import dumbbell, forest, waterfall
from fmtbench.analysis.tables.contrasts import contrast_table
from fmtbench.analysis.tables.decomposition import decomposition_table
from fmtbench.analysis.tables.main import accuracy_table
from fmtbench.analysis.tables.overview import overview_table
from fmtbench.analysis.tables.planned import planned_table
from fmtbench.errors import UserError
from tests.made_rows import coins, made_rows


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    """Two backbones on two tasks, of which one is at zero throughout; `direct` loses, `json_schema` gains."""
    lenient = {"free_cot": 0.5, "direct": 0.2, "json_schema": 0.8, "sham": 0.5}
    frames = []
    for k, (backbone, task) in enumerate([("large", "sums"), ("small", "sums"), ("large", "hard"), ("small", "hard")]):
        rates = lenient if task == "sums" else dict.fromkeys(lenient, 0.0)
        latent = {name: coins(10 * k + i, 80, 2, p=rate) for i, (name, rate) in enumerate(rates.items())}
        strict = {name: right & coins(5, 80, 2) for name, right in latent.items()}
        frames.append(made_rows(strict, latent_correct=latent, backbone=backbone, task=task))
    return pd.concat(frames, ignore_index=True)


def test_the_sentence_names_the_largest_effects(rows: pd.DataFrame) -> None:
    said = finding(contrast_table(rows, draws=500))
    assert said.startswith("Against free_cot, in what the lenient reader finds, the largest loss is direct on sums (")
    assert "the largest gain is json_schema on sums (" in said
    nothing = made_rows({"free_cot": coins(1, 50), "again": coins(1, 50)})
    assert "no condition changes" in finding(contrast_table(nothing, draws=500))


def test_the_whole_study_in_one_table(rows: pd.DataFrame) -> None:
    table = overview_table(rows)
    assert list(table.columns) == ["condition", "large, sums", "small, sums"], "what is zero throughout is left out and named"
    assert table.attrs["below"] == ["Left out, since no reply is right under any condition: large, hard; small, hard."]
    assert table.condition[0] == "free_cot"
    own = rows[(rows.backbone == "large") & (rows.task == "sums") & (rows.condition == "direct")]
    expected = f"{100 * own.correct.mean():.1f} / {100 * own.latent_correct.mean():.1f}"
    assert table.set_index("condition")["large, sums"]["direct"] == expected


def test_planned_contrasts_leave_floors_out(rows: pd.DataFrame) -> None:
    table = planned_table(rows, contrast_table(rows, planned=["json_schema"], draws=500))
    assert set(table.task) == {"sums"}
    assert set(table.contrast) == {"json_schema - free_cot"}
    with pytest.raises(UserError, match="no contrast is planned"):
        planned_table(rows, contrast_table(rows, draws=500))
    with pytest.raises(UserError, match="choose both"):
        planned_table(rows)


@pytest.mark.parametrize("reading", ["strict", "latent"])
def test_forest(rows: pd.DataFrame, reading: str) -> None:
    figure = forest(contrast_table(rows, draws=500), reading)
    (panel,) = [axis for axis in figure.axes if axis.axison]
    assert panel.get_title(loc="left") == "sums"
    assert "hard" in figure.get_supxlabel()
    assert_readable(figure)


def test_dumbbell(rows: pd.DataFrame) -> None:
    figure = dumbbell(accuracy_table(rows, draws=500))
    assert [axis.get_title(loc="left") for axis in figure.axes if axis.axison] == ["sums"]
    assert_readable(figure)


def assert_readable(figure: Any) -> None:
    """Nothing is drawn outside of its panel, and no two labels of rows overlap."""
    canvas = FigureCanvasAgg(figure)
    figure.draw_without_rendering()
    for axis in figure.axes:
        low, high = axis.get_xlim()
        for line in axis.lines[1:]:
            assert low <= np.min(line.get_xdata()) <= np.max(line.get_xdata()) <= high
        for bars in axis.collections:
            ends = np.concatenate([path.vertices[:, 0] for path in bars.get_paths()])
            assert low <= np.nanmin(ends) <= np.nanmax(ends) <= high
    boxes = [label.get_window_extent(canvas.get_renderer()) for label in figure.axes[0].get_yticklabels()]
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])


def test_where_nothing_is_right_there_is_no_figure() -> None:
    rows = made_rows({"free_cot": np.zeros(40), "direct": np.zeros(40)})
    for draw, table in ((forest, contrast_table(rows, draws=500)), (dumbbell, accuracy_table(rows, draws=500))):
        with pytest.raises(UserError, match="right"):
            draw(table)


def test_waterfall_ends_where_the_total_does() -> None:
    """Every bar begins where the one before it ends, and the last but one ends at the total."""
    axes = {"free_cot": {}, "json_prompt": {"asked": "json"}, "json_schema": {"asked": "json", "enforced": "schema"}}
    latent = {"free_cot": np.ones(100), "json_prompt": np.arange(100) >= 30, "json_schema": np.arange(100) >= 70}
    strict = {name: right * (np.arange(100) < 95) for name, right in latent.items()}
    table = decomposition_table(made_rows(strict, latent_correct=latent), axes, draws=200)
    figure = waterfall(table)
    panel = next(axis for axis in figure.axes if axis.get_title(loc="left").startswith("json_schema"))
    *parts, total = panel.patches
    ends = [bar.get_x() + bar.get_width() for bar in parts]
    assert [bar.get_x() for bar in parts] == pytest.approx([0, *ends[:-1]])
    assert total.get_width() == pytest.approx(ends[-1])
    assert total.get_width() == pytest.approx(70)
    with pytest.raises(UserError, match="no part of a loss"):
        waterfall(table.assign(value=0.0))
