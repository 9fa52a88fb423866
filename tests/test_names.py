"""Names for readers: every id of ours has one, no two are alike, and no id is left in what people read."""

import re
from pathlib import Path

import pandas as pd
import pytest
import yaml

from fmtbench.analysis.showing.labels import headed, labelled, named, names_of
from fmtbench.analysis.tables.contrasts import contrast_table
from fmtbench.analysis.tables.failures import STATUSES
from tests.commanding import command
from tests.conftest import CONF, options
from tests.made_rows import coins, made_rows

LABELS = yaml.safe_load((CONF / "names" / "default.yaml").read_text())
UNNAMED = {"local", "served"}
"""Backbones whose name is the user's."""


@pytest.mark.parametrize("kind", ["condition", "task", "backbone"])
def test_every_id_has_a_name_of_its_own(kind: str) -> None:
    known = set(options(kind)) - UNNAMED
    assert set(LABELS[kind]) == known, "no more, no less"
    assert len(set(LABELS[kind].values())) == len(known)


def test_an_id_without_a_name_is_shown_with_spaces() -> None:
    assert named("my_json", "condition", LABELS) == "my json"
    assert named("json_schema_rerun", "condition", LABELS) == "JSON schema, run again"
    assert all("_" not in named(status, "status", LABELS) for status in STATUSES)


def test_two_ids_of_one_name_keep_their_ids() -> None:
    labels = {"condition": {"a": "The same", "b": "The same", "c": "Another"}}
    assert names_of(["a", "b", "c"], "condition", labels) == {"a": "a", "b": "b", "c": "Another"}


def test_cells_headings_and_lines_below_are_named() -> None:
    table = pd.DataFrame(
        {"backbone": ["m_1"], "condition": ["a_b"], "reference": ["c"], "contrast": ["a_b - c"], "m_1, t_1": ["x"]}
    )
    table.attrs = {"cells": [("m_1", "t_1"), ("m_1", "t_1_ko")], "below": ["Left out: m_1, t_1_ko; m_1, t_1."]}
    labels = {"backbone": {"m_1": "M"}, "task": {"t_1": "T", "t_1_ko": "T, Korean"}, "condition": {"c": "C"}}
    shown = labelled(table, labels)
    assert shown.iloc[0].tolist() == ["M", "a b", "C", "a b − C", "x"]
    assert shown.attrs["below"] == ["Left out: M, T, Korean; M, T."]
    assert shown.columns[-1] == "M, T"
    assert list(headed(shown, {"condition": "way"}, {"column": {"reference": "against"}}).columns)[1:3] == ["way", "against"]
    assert table.condition[0] == "a_b", "the table itself keeps its ids"


def test_the_ids_of_a_study_stand_in_csv_only(tmp_path: Path) -> None:
    rows = made_rows(
        {name: coins(i, 40, 2, p=0.6) for i, name in enumerate(("free_cot", "json_schema", "my_own"))}, backbone="smollm2_135m"
    )
    rows.assign(task="last_letter").to_parquet(tmp_path / "rows.parquet")
    options = ("draws=200", "table=[main,contrasts,failures,cost,overview]", "figure=[]", "+names.condition.my_own=Mine")
    assert command("tables", f"results={tmp_path}", f"output={tmp_path / 'out'}", *options).code == 0
    for path in (tmp_path / "out").rglob("*.md"):
        body = path.read_text().replace(str(tmp_path.name), "")
        assert not re.search(r"free_cot|json_schema|smollm2_135m|last_letter|[a-z]_[a-z]", body), path
        assert "| Mine " in body
    assert set(pd.read_csv(tmp_path / "out" / "appendix" / "contrasts.csv").condition) == {"json_schema", "my_own"}
    wrong = command("tables", f"results={tmp_path}", "+names.condition.my_own=3")
    assert (wrong.code, wrong.err) == (2, "error: names.condition.my_own=3: give a text in quotes\n")


def test_names_of_your_own_come_from_a_file_too(tmp_path: Path) -> None:
    (tmp_path / "conf" / "names").mkdir(parents=True)
    (tmp_path / "conf" / "names" / "mine.yaml").write_text("# @package names\ncondition:\n  direct: Mine\n")
    made_rows({"free_cot": coins(0, 9), "direct": coins(1, 9)}).to_parquet(tmp_path / "rows.parquet")
    options = (f"output={tmp_path / 'out'}", "table=[overview]", "figure=[]", "names=[default,mine]")
    assert command("tables", "--config-dir", str(tmp_path / "conf"), f"results={tmp_path / 'rows.parquet'}", *options).code == 0
    text = (tmp_path / "out" / "overview.md").read_text()
    assert "| Mine " in text
    assert "| Free CoT " in text


def test_labels_change_no_number() -> None:
    table = contrast_table(made_rows({"free_cot": coins(0, 30), "json_schema": coins(1, 30)}), draws=200)
    shown = labelled(table, LABELS)
    assert shown.drop(columns=["condition", "reference", "task", "backbone"]).equals(
        table.drop(columns=["condition", "reference", "task", "backbone"])
    )
