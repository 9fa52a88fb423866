"""What shows a study at a glance: its one sentence, one table, and two figures without zeros, overlaps or bars outside."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from fmtbench.analysis.showing.curves import dose, frontier
from fmtbench.analysis.showing.figures import statuses
from fmtbench.analysis.showing.finding import finding
from fmtbench.analysis.showing.overview_figures import dumbbell, forest, lockin, waterfall
from fmtbench.analysis.tables.contrasts import contrast_table
from fmtbench.analysis.tables.cost import cost_table
from fmtbench.analysis.tables.decomposition import decomposition_table
from fmtbench.analysis.tables.dose import dose_table
from fmtbench.analysis.tables.failures import failure_table
from fmtbench.analysis.tables.lockin import lockin_table
from fmtbench.analysis.tables.main import accuracy_table
from fmtbench.analysis.tables.overview import overview_table
from fmtbench.analysis.tables.parts import parts_table
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
    assert figure.get_supxlabel().startswith("json_schema against free_cot"), "the condition with the most large parts"
    (panel,) = [axis for axis in figure.axes if axis.axison]
    *parts, total = panel.patches
    ends = [bar.get_x() + bar.get_width() for bar in parts]
    assert [bar.get_x() for bar in parts] == pytest.approx([0, *ends[:-1]])
    assert total.get_width() == pytest.approx(ends[-1])
    assert total.get_width() == pytest.approx(70)
    with pytest.raises(UserError, match="no part of a loss"):
        waterfall(table.assign(value=0.0))


AXES: dict[str, dict[str, Any]] = {
    "free_cot": {},
    "direct": {"reasoning": "none"},
    "json_schema": {"asked": "json", "enforced": "schema"},
}


def test_dose_has_an_axis_of_budgets_and_no_panel_of_zeros(rows: pd.DataFrame) -> None:
    figure = dose(dose_table(rows, AXES))
    panels = [axis for axis in figure.axes if axis.axison]
    assert [axis.get_title(loc="left") for axis in panels] == ["large, sums", "small, sums"]
    assert figure.get_supxlabel().endswith("not drawn, since nothing is right there: hard")
    for axis in panels:
        assert [label.get_text() for label in axis.get_xticklabels()] == ["none", "free"]
        assert len(axis.containers) == 1, "json_schema has one budget, which is no curve"
    with pytest.raises(UserError, match="no reply is right"):
        dose(dose_table(rows[rows.task == "hard"], AXES))


def test_frontier_counts_no_negative_tokens_and_labels_nothing_twice(rows: pd.DataFrame) -> None:
    table = cost_table(rows, draws=200)
    figure = frontier(table)
    figure.draw_without_rendering()
    panels = [axis for axis in figure.axes if axis.axison]
    assert [axis.get_title(loc="left") for axis in panels] == ["large, sums", "small, sums"]
    for axis in panels:
        assert axis.get_xlim()[0] == 0
        assert axis.get_ylim()[0] == 0
        assert not axis.texts, "names stand in the legend, where they cannot overlap"
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["direct", "free_cot", "json_schema", "sham"]
    looks = {(line.get_color(), line.get_marker()) for line in legend.get_lines()}
    assert len(looks) == 4
    with pytest.raises(UserError, match="no reply is right"):
        frontier(table[table.task == "hard"])


def test_lockin_leaves_out_what_tells_nothing(rows: pd.DataFrame) -> None:
    table = lockin_table(rows, AXES, draws=300)
    figure = lockin(table)
    assert [axis.get_title(loc="left") for axis in figure.axes if axis.axison] == ["sums"]
    assert figure.get_supxlabel().replace("\n", " ").endswith("too little is solved freely to tell: hard")
    assert_readable(figure)
    with pytest.raises(UserError, match="too little is solved freely"):
        lockin(table.assign(lockin_low=0.0, lockin_high=1.0))


def test_statuses_fill_every_bar(rows: pd.DataFrame) -> None:
    figure = statuses(failure_table(rows), {"status": {"ok": "kept"}})
    for axis in (axis for axis in figure.axes if axis.axison):
        widths = (
            pd.Series([bar.get_width() for bar in axis.patches]).groupby([round(bar.get_y(), 3) for bar in axis.patches]).sum()
        )
        assert widths.tolist() == pytest.approx([100] * 4)
    assert figure.legends[0].get_texts()[0].get_text() == "kept"


def test_the_parts_that_matter_are_lines_of_the_decomposition(rows: pd.DataFrame) -> None:
    whole = decomposition_table(rows, AXES, draws=200)
    kept = parts_table(rows, whole)
    assert set(kept.task) == {"sums"}, "where nothing is lost nothing matters"
    assert set(kept.condition) == {"direct", "json_schema"}
    merged = kept.merge(whole, on=["backbone", "task", "condition", "component"], suffixes=("", "_whole"))
    assert merged.value.equals(merged.value_whole)
    planned = contrast_table(rows, planned=["json_schema"], draws=200)
    assert set(parts_table(rows, whole, planned).condition) == {"json_schema"}
    with pytest.raises(UserError, match="choose both"):
        parts_table(rows)
    with pytest.raises(UserError, match="no part of a loss"):
        parts_table(rows, whole.assign(value=0.0))
