"""Replies that were cut: the generous default of the limit, and the line above a table in which many were."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from experiments.reporting.accuracy import report
from experiments.starting.limits import GENEROUS, generous
from fmtbench.analysis.rows.cut import cut, cut_notes
from fmtbench.store.folder import cell_path
from fmtbench.types import RERUN
from tests.conftest import composed
from tests.made_rows import made_rows

QUICKSTART = ["experiment=quickstart"]


@pytest.mark.parametrize(
    ("overrides", "tokens"),
    [
        ([], 96),
        (QUICKSTART, 96),
        (["task=[addition]", "condition=[json_schema]"], 96),
        (["task=[gsm8k]", "condition=[free_cot,json_schema]"], GENEROUS),
        (["task=[addition,gsm8k]"], GENEROUS),
        (["backbone=llama3_1_8b"], GENEROUS),
        (["task=[gsm8k]", "sampling=sample5"], GENEROUS),
        (["task=[gsm8k]", "backbone.context=1000"], 500),
        (["task=[gsm8k]", "sampling.max_tokens=96"], 96),
        (["experiment=every_condition"], 96),
        (["experiment=paper_small"], 384),
        (["experiment=drift"], 96),
    ],
)
def test_only_the_quickstart_has_its_limit(overrides: list[str], tokens: int) -> None:
    for root in ("run", "plan"):
        assert composed(*overrides, root=root).sampling.max_tokens == tokens


def test_prompt_and_reply_fit_into_the_context() -> None:
    assert [generous(context) for context in (2, 512, 2048, 4096, 131_072, None)] == [1, 256, 1024, 1024, 1024, 1024]


def reasons(share: float, count: int = 40) -> Any:
    return np.where(np.arange(count) < round(share * count), "length", "stop")


def rows(**shares: float) -> Any:
    """40 items a condition; of each condition this share was cut, at 96 tokens."""
    ends = {name: reasons(share) for name, share in shares.items()}
    tokens = {name: np.where(found == "length", 96, 20) for name, found in ends.items()}
    return made_rows({name: np.ones(40) for name in shares}, finish_reason=ends, completion_tokens=tokens)


def test_a_cell_of_which_more_than_five_per_cent_was_cut_is_named() -> None:
    made = rows(free_cot=0.8, json_schema=0.5, direct=0.05, json_prompt=0.075)
    assert list(cut(made)["condition"]) == ["free_cot", "json_schema", "json_prompt"]
    (line,) = cut_notes(made)
    assert line == (
        "Replies were cut at the token limit: t/free_cot 80%, t/json_schema 50%, t/json_prompt 8%. "
        "Differences may be those of the limit: run it with sampling.max_tokens=384, or rerun_truncated=4"
    )


def test_where_few_were_cut_nothing_is_said() -> None:
    assert cut_notes(rows(free_cot=0.05, direct=0.0)) == []


def test_a_loop_is_not_cut() -> None:
    assert cut_notes(rows(free_cot=0.5).assign(status="loop")) == []


def test_what_was_rerun_is_no_cell_of_its_own() -> None:
    made = rows(free_cot=0.0, **{f"free_cot{RERUN}": 1.0})
    assert cut_notes(made) == []


def test_many_cells_are_counted() -> None:
    (line,) = cut_notes(rows(**{f"c{i}": 0.5 for i in range(9)}))
    assert "t/c5 50% and 3 more cells." in line


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_it_stands_above_the_rows_of_the_table(tmp_path: Path, capsys: pytest.CaptureFixture[str], share: float) -> None:
    made = rows(free_cot=share, direct=0.0)
    for condition, own in made.groupby("condition"):
        path = cell_path(tmp_path, "e", "b", "t", str(condition), "plain-seed0")
        path.mkdir(parents=True)
        own.to_parquet(path / "rows.parquet")
    report(tmp_path / "e")
    for text in (capsys.readouterr().out, (tmp_path / "e" / "accuracy.md").read_text()):
        assert ("Replies were cut at the token limit: t/free_cot 50%" in text) == (share > 0)
        if share:
            assert text.index("Replies were cut") < text.index("free_cot ")
