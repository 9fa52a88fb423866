"""The accuracy table, from rows made by hand to the text that people read."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from fmtbench.analysis import tables
from fmtbench.analysis.rows.columns import check_columns
from fmtbench.analysis.rows.frame import check_rows, load_rows
from fmtbench.analysis.showing.markdown import to_markdown
from fmtbench.analysis.showing.readable import readable
from fmtbench.analysis.tables.main import accuracy_table
from fmtbench.errors import UserError
from fmtbench.store.rows import VERSION_KEY, rows_schema, write_rows
from fmtbench.types import Row
from tests.conftest import ROOT, options
from tests.made_rows import made_rows

GOLDEN = Path(__file__).parent / "golden" / "accuracy.md"


def row(condition: str, item: int, correct: bool, **changes: Any) -> Row:
    whole: dict[str, Any] = {
        **{"experiment": "e", "backbone": "b", "task": "t", "condition": condition, "prompt": "p", "seed": 0, "sample": 0},
        **{"item_id": str(item), "question": "q", "gold": "1", "answer": "1", "status": "ok", "correct": correct},
        **{
            "marked_answer": "1",
            "marked_correct": True,
            "latent_answer": "1",
            "latent_correct": True,
            "finish_reason": "stop",
            "prompt_tokens": 9,
            "text": "1",
        },
        **{"completion_tokens": 10 + item, "reasoning_tokens": 1, "reasoning_words": 1, "request_key": "k", "seconds": 0.1},
    }
    return Row(**(whole | changes))


@pytest.fixture
def rows(tmp_path: Path) -> pd.DataFrame:
    """Twenty items: free_cot has 15 right, json_schema 10, with 2 of the wrong ones cut off; direct was asked 4 of them."""
    made = [row("free_cot", i, i < 15) for i in range(20)]
    made += [row("json_schema", i, i < 10, status="truncated" if i >= 18 else "ok", latent_correct=i < 12) for i in range(20)]
    made += [row("direct", i, True) for i in range(4)]
    write_rows(tmp_path / "rows.parquet", made)
    return load_rows(tmp_path)


def test_numbers(rows: pd.DataFrame) -> None:
    table = accuracy_table(rows).set_index("condition")
    assert list(table.index) == ["free_cot", "direct", "json_schema"]
    assert list(table.n) == [20, 4, 20]
    schema = table.loc["json_schema"]
    assert (schema.strict, schema.latent, schema.strict_diff, schema.latent_diff) == pytest.approx((0.5, 0.6, -0.25, -0.4))
    assert (schema.share_truncated, schema.tokens) == pytest.approx((0.1, 19.5))
    assert table.loc["direct"].strict_diff == 0, "only the four items that both were asked are compared"
    assert pd.isna(table.loc["free_cot"].strict_diff)
    assert table.share_truncated.loc["free_cot"] == 0


def test_readable(rows: pd.DataFrame, pytestconfig: Any) -> None:
    text = to_markdown(readable(accuracy_table(rows)))
    if pytestconfig.getoption("update_golden"):
        GOLDEN.write_text(text)
    assert text == GOLDEN.read_text()
    assert len({len(line) for line in text.splitlines()}) == 1


def test_without_a_baseline_there_is_no_difference(rows: pd.DataFrame) -> None:
    table = accuracy_table(rows[rows.condition != "free_cot"])
    assert table.strict_diff.isna().all()
    assert (readable(table)["Δ strict"] == "").all()


def test_two_backbones_stay_apart(rows: pd.DataFrame) -> None:
    shown = readable(accuracy_table(pd.concat([rows, rows.assign(backbone="other")])))
    assert list(shown.backbone) == ["b"] * 3 + ["other"] * 3


def test_rows_of_somebody_else_are_refused(rows: pd.DataFrame, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="lack the columns"):
        check_rows(rows.drop(columns=["status"]))
    with pytest.raises(UserError, match=r"holds no rows\.parquet"):
        load_rows(tmp_path / "nowhere")


def test_the_types_of_a_column_hold_without_values(tmp_path: Path) -> None:
    write_rows(tmp_path / "rows.parquet", [row("free_cot", 1, False, answer=None)])
    (tmp_path / "none").mkdir()
    write_rows(tmp_path / "none" / "rows.parquet", [])
    paths = (tmp_path / "rows.parquet", tmp_path / "none" / "rows.parquet")
    one, none = (pd.read_parquet(path, dtype_backend="pyarrow").dtypes for path in paths)
    assert (one == none).all()


WRONG = [
    ("task", None, r"empty values in \['task'\]"),
    ("sample", 0.5, "sample holds values of kind 'number', allowed is 'integer'"),
    ("gold", 3, "gold holds values of kind 'integer', allowed is 'string'"),
    ("answer", 3, "answer holds values of kind 'integer', allowed is 'string' or 'empty'"),
    ("correct", float("nan"), "correct holds values other than true and false"),
    ("marked_correct", None, "marked_correct holds values other than true and false"),
    ("latent_correct", "yes", "latent_correct holds values other than true and false"),
    ("seconds", -1.0, "seconds holds -1, allowed are numbers of at least 0"),
    ("reasoning_words", "7", "reasoning_words holds values of kind 'string', allowed is 'integer' or 'number'"),
    ("reasoning_tokens", -2, "reasoning_tokens holds -2, allowed are numbers of at least 0"),
    ("reasoning_tokens", "7", "reasoning_tokens holds values of kind 'string', allowed is 'integer', 'number' or 'empty'"),
]


@pytest.mark.parametrize(("column", "value", "said"), WRONG, ids=[f"{case[0]}={case[1]}" for case in WRONG])
def test_every_column_holds_what_row_says(rows: pd.DataFrame, column: str, value: Any, said: str) -> None:
    with pytest.raises(UserError, match=said):
        check_columns(rows.assign(**{column: value}), "these rows")


def test_what_may_be_empty_may(rows: pd.DataFrame) -> None:
    check_columns(rows.assign(answer=None, text=None, question=None, reasoning_tokens=None, correct=1), "these rows")


def test_rows_are_written_with_the_columns_of_committed_studies() -> None:
    committed = sorted((ROOT / "paper" / "data").rglob("rows.parquet"))
    assert committed
    for path in committed:
        schema = pq.read_schema(path)
        assert schema.equals(rows_schema(["realised_order"]))
        assert schema.metadata[VERSION_KEY] == rows_schema().metadata[VERSION_KEY] == b"2"


def test_each_table_of_conf_is_a_file_of_tables() -> None:
    """A file may make two of them, and what compares published studies has its YAML beside these."""
    published = {path.stem for path in (ROOT / "paper" / "published" / "conf" / "table").glob("*.yaml")}
    files = {path.stem for path in Path(tables.__file__).parent.glob("[!_]*.py")}
    assert files == {*options("table"), *published} - {"order_contrasts"}


def test_the_third_reading_is_an_option_of_the_main_table() -> None:
    right, boxed = np.ones(20, dtype=bool), np.arange(20) >= 8
    rows = made_rows({"free_cot": boxed, "json_schema": right}, marked_correct={"free_cot": right, "json_schema": right})
    assert "marked" not in accuracy_table(rows, draws=50)
    table = accuracy_table(rows, draws=50, marked=True).set_index("condition")
    assert table.loc["free_cot", ["strict", "marked"]].tolist() == [0.6, 1.0]
    assert (table.strict_diff["json_schema"], table.marked_diff["json_schema"]) == (0.4, 0.0)
