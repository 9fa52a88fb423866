"""Which came first in a reply: planted replies of every order in every format, and what cannot be told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from fmtbench.analysis.tables.order import order_contrast_table, order_table
from fmtbench.answers import Choice, Number, YesNo
from fmtbench.errors import UserError
from fmtbench.formats import FORMATS
from fmtbench.formats.base import Layout, Order
from fmtbench.readers.contract import DemandedMark
from fmtbench.running.verdicts import located, order_of, rationale
from fmtbench.types import Extraction
from tests.commanding import command
from tests.made_rows import made_rows

WHY = "Each of the three baskets holds seven pears, so that there are three times seven of them in all."
ORDERS: tuple[Order, ...] = ("reasoning_first", "answer_first")
NONE = Extraction(status="no_mark")


def order(text: str, kind: object = Number(), contract: DemandedMark | None = None) -> Order | None:
    own = contract.read(text, kind) if contract else NONE  # type: ignore[arg-type]
    stated = contract.stated(text) if contract else []
    return order_of(text, located(text, own, kind), kind, rationale(text, kind), stated)  # type: ignore[arg-type]


def layout(wanted: Order) -> Layout:
    return Layout(stages=("reasoning",), answer="answer", order=wanted)


@pytest.mark.parametrize("written", FORMATS)
@pytest.mark.parametrize("wanted", ORDERS)
def test_a_planted_order_is_found_in_every_format(written: str, wanted: Order) -> None:
    text = FORMATS[written].write(layout(wanted), Number(), WHY, "21")
    assert order(text) == wanted
    assert order(f"```{written}\n{text}\n```") == wanted


@pytest.mark.parametrize("written", FORMATS)
def test_an_answer_alone_is_neither_first_nor_last(written: str) -> None:
    alone = FORMATS[written].write(Layout(stages=(), answer="answer", order="answer_only"), Number(), "", "21")
    assert order(alone) == "answer_only"


@pytest.mark.parametrize("wanted", ORDERS)
def test_damaged_and_surrounded_objects_have_the_order_of_their_keys(wanted: Order) -> None:
    text = FORMATS["json"].write(layout(wanted), Number(), WHY, "21")
    assert order(f"Here is the object:\n\n{text}\n\nThat is all.") == wanted
    assert order(f"Here it is:\n```json\n{text}\n```\nThe steps: {WHY} {WHY}") == wanted
    assert order(text.replace("pears, ", "pears,\n")) == wanted
    assert order(text.rstrip("}")) == wanted


MARKS = ("The answer is 21.", "Answer: 21", r"So \boxed{21}.", "#### 21", "**Answer:** 21")


@pytest.mark.parametrize("mark", MARKS)
def test_any_mark_tells_the_order_of_text(mark: str) -> None:
    assert order(f"{WHY}\n\n{mark}") == "reasoning_first"
    assert order(f"{mark}\n\n{WHY}") == "answer_first"


BRACKETS = DemandedMark(r"\[(?P<answer>Yes|No)\]")
NO = "91 is divisible by 7, since 7 times 13 is 91, and so it has a divisor besides itself and one."


def test_the_mark_of_a_study_tells_it_too() -> None:
    assert order(f"[No]\n\n{NO}", YesNo(), BRACKETS) == "answer_first"
    assert order(f"{NO}\n\n[No]", YesNo(), BRACKETS) == "reasoning_first"
    assert order("[No]", YesNo(), BRACKETS) == "answer_only"
    own = DemandedMark(r"<<(?P<answer>\d+)>>")
    assert order(f"<<21>> {WHY}", Number(), own) == "answer_first"
    assert order(f"{WHY} <<21>>", Number(), own) == "reasoning_first"


def test_an_answer_that_opens_a_reply_and_ends_it_came_first() -> None:
    assert order(f"[No]\n\n{NO}\n\nTherefore the answer is [No].", YesNo(), BRACKETS) == "answer_first"


def test_another_answer_that_was_taken_back_did_not_come_first() -> None:
    assert order(f"[Yes]\n\n{NO}\n\nTherefore the answer is [No].", YesNo(), BRACKETS) == "reasoning_first"


def test_what_cannot_be_told_is_none() -> None:
    assert order("I would rather not say what the baskets hold, since I have not seen them.", Choice(options=("a", "b"))) is None
    assert order(f"{WHY} The answer is 21. {WHY}") is None
    assert order('{"thoughts": "a b c d e f", "answer": 21, "remarks": "a b c d e f"}') is None


def test_the_order_says_nothing_of_the_verdict() -> None:
    """Right and wrong answers of one shape have one order."""
    for wanted in ORDERS:
        shapes = {order(FORMATS["json"].write(layout(wanted), Number(), WHY, str(answer))) for answer in (21, 22, -1)}
        assert shapes == {wanted}


def test_a_run_has_the_column_and_is_scored_again_alike(tmp_path: Path) -> None:
    words = ("backend=scripted", "limit=2", "task=[addition]", "condition=[json_schema,json_schema_answer_first,direct]")
    assert command("run", *words, f"results={tmp_path}", "name=a").code == 0
    paths = sorted(tmp_path.rglob("rows.parquet"))
    rows = pd.concat([pq.read_table(path).to_pandas() for path in paths])
    realised = rows.groupby("condition").realised_order.agg(lambda one: ",".join(sorted(set(one.dropna()))))
    assert realised["json_schema_answer_first"] in ("answer_first", "answer_only")
    assert realised["json_schema"] in ("reasoning_first", "answer_only")
    assert realised["direct"] == "answer_only"
    before = {path: path.read_bytes() for path in paths}
    assert command("score", f"results={tmp_path}/a").code == 0
    assert before == {path: path.read_bytes() for path in paths}


def test_rows_of_an_earlier_version_are_read_and_audited(tmp_path: Path) -> None:
    words = ("backend=scripted", "limit=2", "task=[addition]", "condition=[free_cot,json_schema]")
    assert command("run", *words, f"results={tmp_path}", "name=a").code == 0
    for path in tmp_path.rglob("rows.parquet"):
        table = pq.read_table(path)
        pq.write_table(table.drop_columns(["realised_order"]), path)
    assert command("tables", f"results={tmp_path}/a", "draws=100", "table=[main]", "figure=[]").code == 0
    done = command("audit", f"run={tmp_path}/a")
    assert "realised_order" not in done.out
    assert "rows.parquet" not in done.out, done.out


def ordered(right: dict[str, Any], orders: dict[str, Any]) -> pd.DataFrame:
    return made_rows(right, realised_order=orders)


def test_the_table_counts_and_compares_what_was_planted() -> None:
    """Hard items answer first; within an item the order changes nothing."""
    items, samples = 60, 4
    hard = np.arange(items) < items // 2
    right = np.repeat(~hard[:, None], samples, axis=1)
    order = np.where(hard[:, None], "answer_first", "reasoning_first").repeat(samples, axis=1)
    order[::3, 0] = np.where(hard[::3], "reasoning_first", "answer_first")
    rows = ordered({"c": right[:, None, :]}, {"c": order[:, None, :]})
    (line,) = order_table(rows, draws=500).itertuples()
    assert line.reasoning_first == pytest.approx((order == "reasoning_first").mean())
    assert line.within == 0
    assert line.within_items == 20
    assert line.between_low > 0.5, "which items answer first is not a matter of order"


def test_a_planted_effect_of_order_is_found_within_items() -> None:
    order = np.array([["answer_first", "reasoning_first"]] * 80)
    right = np.column_stack([np.arange(80) % 2 == 0, np.ones(80, bool)])
    (line,) = order_table(ordered({"c": right[:, None, :]}, {"c": order[:, None, :]}), draws=500).itertuples()
    assert line.within == pytest.approx(0.5)
    assert 0.3 < line.within_low < line.within_high < 0.7


def test_orders_that_say_nothing_have_intervals_with_zero() -> None:
    """The null: order drawn apart from the verdict, two hundred times."""
    outside = 0
    for seed in range(200):
        drawn = np.random.default_rng(seed)
        order = np.where(drawn.random((40, 1, 4)) < 0.5, "answer_first", "reasoning_first")
        right = drawn.random((40, 1, 4)) < drawn.random((40, 1, 1))
        (line,) = order_table(ordered({"c": right}, {"c": order}), draws=300).itertuples()
        outside += not line.within_low <= 0 <= line.within_high
    assert outside <= 20


def test_the_parts_of_a_contrast_sum_to_it() -> None:
    free, own = np.ones(50, bool), np.arange(50) >= 20
    orders = {"free_cot": np.full(50, "reasoning_first"), "c": np.where(np.arange(50) < 30, "answer_first", "reasoning_first")}
    (line,) = order_contrast_table(ordered({"free_cot": free, "c": own}, orders), draws=300).itertuples()
    assert line.difference == pytest.approx(-0.4)
    assert (line.changed, line.same) == (pytest.approx(-0.4), pytest.approx(0))
    assert line.changed_share == pytest.approx(0.6)


def test_rows_without_orders_say_so() -> None:
    for rows in (made_rows({"c": [1]}), made_rows({"c": [1]}, realised_order=None)):
        with pytest.raises(UserError, match="needs rows whose realised order was read"):
            order_table(rows)
