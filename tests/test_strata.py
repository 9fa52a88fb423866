"""Strata: from a field of a data set's rows to a table, without a change of any request or of tables that have none."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from fmtbench.analysis.rows.columns import check_columns
from fmtbench.analysis.tables.main import accuracy_table
from fmtbench.analysis.tables.strata import strata_table
from fmtbench.errors import UserError
from tests.commanding import command
from tests.made_rows import coins, made_rows


def sorted_rows(items: int = 120) -> pd.DataFrame:
    """The format costs 40 points where items are hard, and nothing where they are easy."""
    hard, free = np.arange(items) % 2 == 1, np.ones((items, 2), dtype=bool)
    schema = free & ~(hard[:, None] & coins(1, items, 2, p=0.4))
    rows = made_rows({"free_cot": free, "json_schema": schema})
    return rows.assign(stratum=np.where(rows["item_id"].astype(int) % 2 == 1, "hard", "easy"))


def test_a_planted_difference_is_in_its_stratum() -> None:
    table = strata_table(sorted_rows(), draws=500).set_index(["stratum", "condition"])
    assert table.strict_diff["easy", "json_schema"] == 0
    assert table.strict_diff_low["hard", "json_schema"] <= -0.4 <= table.strict_diff_high["hard", "json_schema"]
    assert set(table.n) == {60}


def test_a_stratum_is_the_table_of_its_items() -> None:
    rows = sorted_rows()
    own = accuracy_table(rows[rows.stratum == "hard"], draws=500)
    part = strata_table(rows, draws=500)
    pd.testing.assert_frame_equal(
        part[part.stratum == "hard"].drop(columns="stratum").reset_index(drop=True), own[part.columns.drop("stratum")]
    )


def test_an_item_has_one_stratum() -> None:
    rows = sorted_rows()
    rows.loc[0, "stratum"] = "middle"
    with pytest.raises(UserError, match=r"item 0 of t is in several strata \(easy, middle\)"):
        strata_table(rows)


def test_without_strata_there_is_no_table_and_without_a_column_no_complaint() -> None:
    rows = made_rows({"free_cot": coins(1, 20)})
    check_columns(rows, "these rows")
    for without in (rows, rows.assign(stratum=None), rows.assign(stratum="")):
        with pytest.raises(UserError, match="no item has a stratum"):
            strata_table(without)


def test_from_the_data_set_to_the_table(tmp_path: Path) -> None:
    """SVAMP's own rows say what kind of sum an item is; the task's YAML says where."""
    folder = tmp_path / "data" / "svamp"
    folder.mkdir(parents=True)
    kinds = ["Addition", "Subtraction"]
    lines = [
        {"ID": str(i), "Body": f"There are {i} pears.", "Question": "How many?", "Answer": f"{i}.0", "Type": kinds[i % 2]}
        for i in range(8)
    ]
    (folder / "test.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    words = ("backend=scripted", f"results={tmp_path}/results", f"data_root={tmp_path / 'data'}", "planned=[]")
    for name, extra in (("sorted", []), ("plain", ["~task.svamp.source.fields.stratum"])):
        done = command("run", *words, f"name={name}", "task=[svamp]", "condition=[free_cot,direct]", *extra)
        assert done.code == 0, done.err
    found = {name: sorted((tmp_path / "results" / name).rglob("rows.parquet")) for name in ("sorted", "plain")}
    assert all("stratum" in pq.read_schema(path).names for path in found["sorted"])
    assert all("stratum" not in pq.read_schema(path).names for path in found["plain"])
    for mine, other in zip(found["sorted"], found["plain"]):
        assert list(pd.read_parquet(mine).request_key) == list(pd.read_parquet(other).request_key)
        hashes = [json.loads(path.with_name("manifest.json").read_text())["items_sha256"] for path in (mine, other)]
        assert hashes[0] == hashes[1], "items are the same, sorted or not, so runs of both may be compared"
        assert "stratum" not in other.with_name("requests.jsonl").read_text()
    journals = {path: path.read_bytes() for path in (tmp_path / "results" / "plain").rglob("generations.jsonl")}
    assert command("run", *words, "name=plain", "task=[svamp]", "condition=[free_cot,direct]").code == 0
    assert all("stratum" in pq.read_schema(path).names for path in found["plain"]), "old results are sorted by the same command"
    assert journals == {path: path.read_bytes() for path in journals}
    made = command("tables", f"results={tmp_path / 'results' / 'sorted'}", "table=[strata]", "figure=[]", "draws=200")
    assert made.code == 0, made.err
    table = pd.read_csv(tmp_path / "results" / "sorted" / "tables" / "appendix" / "strata.csv")
    assert set(table.stratum) == set(kinds)
    assert set(table.n) == {4}
