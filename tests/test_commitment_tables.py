"""The table and the figure of commitment on planted cuts: every number is known beforehand."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from fmtbench.analysis.showing.commitment_figure import commitment_curves
from fmtbench.analysis.tables.commitment import commitment_table
from fmtbench.errors import UserError

NO_ROWS = pd.DataFrame()


def reply(condition: str, item: int, fixed: list[bool | None], readout: str = "own", **columns: Any) -> pd.DataFrame:
    """A reply that was read at as many cuts, even ones."""
    count = len(fixed)
    told: dict[str, Any] = {
        **{"backbone": "b", "task": "t", "condition": condition, "prompt": "plain", "seed": 0, "sample": 0, "problem": None},
        **{"item_id": str(item), "request_key": f"{condition}/{item}", "readout": readout, "dtype": "float32"},
        **{"fraction": [place / (count - 1) for place in range(count)], "tokens": [10 * place for place in range(count)]},
        **{"candidates": 2, "held": 0.5, "p_gold": 0.5, "entropy": 0.1, "first_right": True, "fixed": pd.array(fixed, "boolean")},
    }
    return pd.DataFrame(told | columns)


def table(*replies: pd.DataFrame) -> pd.DataFrame:
    return commitment_table(NO_ROWS, pd.concat(replies, ignore_index=True), draws=200)


def test_where_answers_are_fixed_for_good() -> None:
    """An answer that comes, goes and comes back is fixed where it stays; one that ends elsewhere never is."""
    early, back, never = [False, True, True, True], [True, False, False, True], [True, True, True, False]
    found = table(*(reply("c", i, fixed) for i, fixed in enumerate([early, early, back, never])))
    assert found.fixed.tolist() == pytest.approx([0.5, 0.75, 0.75, 0.75])
    assert set(found.settled) == {1 / 3}
    assert set(found.settled_tokens) == {10}
    assert set(found.never) == {0.25}
    assert (found.fixed_low <= found.fixed).all()
    assert (found.fixed <= found.fixed_high).all()


def test_replies_without_a_known_end_are_counted_and_not_fixed() -> None:
    refused = reply("c", 8, [None] * 2).iloc[:1].assign(problem="no_rationale", fraction=None)
    found = table(reply("c", 0, [True, True]), reply("c", 1, [None, None]), refused)
    assert found.replies.tolist() == [2, 2]
    assert found.fixed.tolist() == [1, 1]
    assert set(found.left_out) == {"no_rationale 1, final_unknown 1"}
    (alone,) = table(refused).itertuples()
    assert (alone.replies, alone.left_out) == (0, "no_rationale 1")


def test_conditions_whose_candidates_hold_threefold_are_marked() -> None:
    free, held = reply("free", 0, [True, True], held=[0.4, 0.3]), reply("held", 0, [True, True], held=[0.39, 0.09])
    found = table(free, held, reply("held", 0, [True, True], "turn", held=0.3))
    marked = found[found.readout == "own"]
    assert set(marked.note) == {"at 1 the candidates hold 0.09 in one condition and 0.3 in another"}
    assert set(found[found.readout == "turn"].note) == {""}
    near = table(free, held.assign(held=[0.39, 0.101]))
    assert set(near.note) == {""}
    titles = [axis.get_title(loc="left") for axis in commitment_curves(found).axes]
    assert titles == ["b, t, asked in a turn", "b, t, behind its own end (!)"]


def test_the_figure_shows_both_curves_of_a_condition() -> None:
    figure = commitment_curves(table(reply("c", 0, [False, True], p_gold=[0.2, 0.8]), reply("d", 0, [True, True])))
    (panel,) = figure.axes
    lines = {str(line.get_label()): line for line in panel.lines}
    assert list(lines["c"].get_ydata()) == [0, 100]
    assert len(panel.lines) == 4
    assert [20, 80] in [pytest.approx(list(line.get_ydata())) for line in panel.lines]
    with pytest.raises(UserError, match="at two cuts"):
        commitment_curves(table(reply("c", 0, [True, True])).iloc[:1])


def test_what_was_not_probed_names_the_command() -> None:
    with pytest.raises(UserError, match=r"run python -m experiments.lockin results=FOLDER probe=commitment"):
        commitment_table(NO_ROWS)
