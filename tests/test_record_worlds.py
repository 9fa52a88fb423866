"""Planted worlds: a scripted model with one fault, which the table of fields finds in the arm and field it was planted in, and
nowhere else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import fmtbench
from fmtbench.analysis.rows.fields import fields_of
from fmtbench.analysis.rows.frame import load_rows
from fmtbench.analysis.tables.fields import ALL, WHOLE, fields_table
from fmtbench.backends.scripted import Scripted
from fmtbench.conditions.condition import Condition
from fmtbench.errors import UserError
from fmtbench.running.job import Cell, Job
from fmtbench.running.pipeline import run
from fmtbench.tasks.facts import Facts
from fmtbench.types import Request, Sampling
from tests.made_rows import coins, made_rows

SIZE = 60
CONDITIONS: dict[str, Condition] = {
    "free_cot": fmtbench.condition("free_cot"),
    "own_schema": fmtbench.condition("own_schema"),
    "required": fmtbench.condition("own_schema", optional_fields="required"),
}
TASK: Facts = fmtbench.task("invoices", size=SIZE)  # type: ignore[assignment]
GOLDS = {item.question: json.loads(item.gold) for item in TASK.items()}
OPTIONAL = ("due_date", "discount", "goods")
PROPERTIES: dict[str, Any] = TASK.schema["properties"]


def schema_of(request: Request) -> dict[str, Any] | None:
    return json.loads(request.constraint.source) if request.constraint else None


def honest(request: Request) -> dict[str, Any]:
    """What a perfect model says: of an empty field that must be there, what cannot be wrong in it, if there is such a thing."""
    gold = GOLDS[request.messages[0].content.partition("\n\n")[2]]
    return {name: value for name, value in gold.items() if value is not None}


def written(request: Request, record: dict[str, Any]) -> str:
    if request.constraint:
        return json.dumps(record)
    return CONDITIONS["free_cot"].example(TASK.record, "So it is.", json.dumps(record))


def asks_for(request: Request, name: str) -> bool:
    schema = schema_of(request)
    return schema is not None and name in schema["required"]


def drops(request: Request) -> str:
    """Leaves out what a schema lets it leave out."""
    record, schema = honest(request), schema_of(request)
    kept = {name: value for name, value in record.items() if schema is None or name in schema["required"]}
    return written(request, kept)


def invents(request: Request) -> str:
    """Makes up a date where one has to be there and the text tells none."""
    record = honest(request)
    if asks_for(request, "due_date"):
        record.setdefault("due_date", "2026-01-31")
    return written(request, record)


def by_position(request: Request) -> str:
    """Takes the first value of an enum, where a grammar offers it a list."""
    record, schema = honest(request), schema_of(request)
    if schema:
        record["currency"] = schema["properties"]["currency"]["enum"][0]
    return written(request, record)


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> dict[str, pd.DataFrame]:
    return {reply.__name__: asked(reply, tmp_path_factory.mktemp(reply.__name__)) for reply in (drops, invents, by_position)}


def asked(reply: Any, results: Path) -> pd.DataFrame:
    cells = [
        Cell(experiment="e", backbone="b", task="invoices", condition=name, prompt="plain", seed=0, config="")
        for name in CONDITIONS
    ]
    job = Job(
        cells=cells,
        tasks={"invoices": TASK},
        conditions=CONDITIONS,
        prompts={"plain": fmtbench.prompt()},
        backbone=fmtbench.model("smollm2_135m"),
        backend=Scripted(reply=reply),
        sampling=Sampling(),
        results=results,
    )
    run(job)
    return fields_table(load_rows(results), draws=300).set_index(["condition", "field"])


FOUND = {
    "drops": {("own_schema", name): "omitted_diff" for name in OPTIONAL},
    "invents": {("required", "due_date"): "hallucinated_diff"},
    "by_position": {("own_schema", "currency"): "latent_diff", ("required", "currency"): "latent_diff"},
}


@pytest.mark.parametrize("world", FOUND)
def test_a_planted_fault_is_found_where_it_was_planted_and_nowhere_else(tables: dict[str, pd.DataFrame], world: str) -> None:
    table = tables[world]
    for condition in ("own_schema", "required"):
        for field in PROPERTIES:
            line = table.loc[condition, field]
            found = {name for name in ("omitted_diff", "hallucinated_diff", "latent_diff") if moved(line, name)}
            statistic = FOUND[world].get((condition, field))
            assert found == ({statistic, "latent_diff"} if statistic else set()), (condition, field)


def moved(line: pd.Series, name: str) -> bool:
    """Whether the interval of a difference excludes zero; omissions and inventions can only grow here."""
    value, low, high = line[name], line[f"{name}_low"], line[f"{name}_high"]
    return bool(np.isfinite(value) and (low > 0 or high < 0))


def test_the_sizes_are_those_that_were_planted(tables: dict[str, pd.DataFrame]) -> None:
    dates = [gold["due_date"] is None for gold in GOLDS.values()]
    first = [gold["currency"] == PROPERTIES["currency"]["enum"][0] for gold in GOLDS.values()]
    assert tables["drops"].omitted["own_schema", "goods"] == 1
    assert tables["drops"].omitted["free_cot", "goods"] == 0
    assert tables["invents"].hallucinated["required", "due_date"] == 1
    assert tables["invents"].hallucinated["own_schema", "due_date"] == 0
    assert tables["invents"].latent["required", "due_date"] == pytest.approx(1 - np.mean(dates))
    assert tables["by_position"].latent["own_schema", "currency"] == pytest.approx(np.mean(first))
    assert tables["invents"].strict["own_schema", WHOLE] == 1
    assert tables["invents"].latent["required", ALL] == pytest.approx(1 - np.mean(dates) / len(PROPERTIES))


def test_a_reply_that_breaks_the_required_schema_is_right_nowhere_strictly(tables: dict[str, pd.DataFrame]) -> None:
    """The model that invents a date leaves out what else is required and not told: strict falls in every field, latent in one."""
    line = tables["invents"].loc["required", "vendor"]
    whole = [gold["discount"] is not None and gold["goods"] is not None for gold in GOLDS.values()]
    assert line.strict == pytest.approx(np.mean(whole))
    assert line.latent == 1


def test_a_null_of_the_table() -> None:
    """Where two conditions are the same coin, no field differs but by chance."""
    rows = made_rows({"free_cot": coins(1, 200), "own_schema": coins(2, 200)})
    say = {True: json.dumps({"a": ["right", "right", "filled"]}), False: json.dumps({"a": ["wrong", "wrong", "filled"]})}
    table = fields_table(rows.assign(fields=[say[bool(one)] for one in rows["correct"]]), draws=500).set_index(
        ["condition", "field"]
    )
    assert table.latent_diff_low["own_schema", "a"] < 0 < table.latent_diff_high["own_schema", "a"]


def test_without_records_there_is_no_table() -> None:
    rows = made_rows({"free_cot": coins(1, 20)})
    for without in (rows, rows.assign(fields=None)):
        with pytest.raises(UserError, match="no row is of a record"):
            fields_of(without)
    with pytest.raises(UserError, match="holds something other than verdicts"):
        fields_of(rows.assign(fields="[1]"))
