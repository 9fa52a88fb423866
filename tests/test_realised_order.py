"""Which came first in a reply: planted replies of every order in every format, and what cannot be told."""

from __future__ import annotations

import pandas as pd
import pyarrow.parquet as pq
import pytest

from fmtbench.answers import Choice, Number, YesNo
from fmtbench.formats import FORMATS
from fmtbench.formats.base import Layout, Order
from fmtbench.readers.contract import DemandedMark
from fmtbench.running.verdicts import located, order_of, rationale
from fmtbench.types import Extraction
from tests.commanding import command

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


def test_a_run_has_the_column_and_is_scored_again_alike(tmp_path: object) -> None:
    words = ("backend=scripted", "limit=2", "task=[addition]", "condition=[json_schema,json_schema_answer_first,direct]")
    assert command("run", *words, f"results={tmp_path}", "name=a").code == 0
    (found,) = {path.parent for path in __import__("pathlib").Path(str(tmp_path)).rglob("a/smollm2_135m")}
    paths = sorted(found.rglob("rows.parquet"))
    rows = pd.concat([pq.read_table(path).to_pandas() for path in paths])
    realised = rows.groupby("condition").realised_order.agg(lambda one: ",".join(sorted(set(one.dropna()))))
    assert realised["json_schema_answer_first"] in ("answer_first", "answer_only")
    assert realised["json_schema"] in ("reasoning_first", "answer_only")
    assert realised["direct"] == "answer_only"
    before = {path: path.read_bytes() for path in paths}
    assert command("score", f"results={tmp_path}/a").code == 0
    assert before == {path: path.read_bytes() for path in paths}


def test_rows_of_an_earlier_version_are_read_and_audited(tmp_path: object) -> None:
    from pathlib import Path

    words = ("backend=scripted", "limit=2", "task=[addition]", "condition=[free_cot,json_schema]")
    assert command("run", *words, f"results={tmp_path}", "name=a").code == 0
    for path in Path(str(tmp_path)).rglob("rows.parquet"):
        table = pq.read_table(path)
        pq.write_table(table.drop_columns(["realised_order"]), path)
    assert command("tables", f"results={tmp_path}/a", "draws=100", "table=[main]", "figure=[]").code == 0
    done = command("audit", f"run={tmp_path}/a")
    assert "realised_order" not in done.out
    assert "rows.parquet" not in done.out, done.out
