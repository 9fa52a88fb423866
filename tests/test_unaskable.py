"""A condition that cannot ask for a task's answers bars its cell, with the reason, and no other: as where an engine has no words
for a constraint."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import fmtbench
from experiments.run import make_job
from fmtbench.answers import Record
from fmtbench.errors import UnaskableError
from fmtbench.running.pipeline import run
from fmtbench.store.folder import RunFolder
from tests.commanding import Done, command
from tests.conftest import composed

TEXT = {"type": "string"}
LINES = {"type": "array", "items": {"type": "object", "properties": {"name": TEXT}, "required": ["name"]}}
NESTED = {"lines": LINES}
"""What a flat grammar has no room for."""


def asked(place: Path, properties: dict[str, Any], conditions: str, name: str = "run") -> Done:
    schema = {"type": "object", "properties": properties, "required": list(properties)}
    gold = {key: [{"name": "nut"}] if held is LINES else "a b" for key, held in properties.items()}
    (place / "schema.json").write_text(json.dumps(schema), encoding="utf-8")
    (place / "rows.json").write_text(json.dumps([{"question": "What is in it?", "gold": gold}]), encoding="utf-8")
    own = ("task=file", f"task.file.path={place / 'rows.json'}", f"schema.path={place / 'schema.json'}", "name=own")
    return command(name, *own, "backend=scripted", "limit=1", f"condition=[{conditions}]", f"results={place / 'results'}")


def cell(place: Path, condition: str) -> RunFolder:
    (path,) = (place / "results").rglob(f"{condition}/plain-seed0")
    return RunFolder(path)


CLASH = "the schema has a field like the rationale's 'reasoning': give the condition another reasoning_field"
NO_GRAMMAR = "'lines' holds no single value, of which there is no grammar but JSON's"
NO_ELEMENT = "XML has no element called 'unit price': rename the field"
BARRED: dict[str, tuple[dict[str, Any], dict[str, str]]] = {
    "nested": (
        NESTED,
        {
            "xml_schema": f"asked=xml, enforced=schema: {NO_GRAMMAR}",
            "yaml_schema": f"asked=yaml, enforced=schema: {NO_GRAMMAR}",
            "no_line_breaks": "enforced=one_line forbids the line breaks between the fields of a record",
            "free_cot_3_shot": "task 'file' has 0 worked examples and the condition asks for shots=3",
        },
    ),
    "a name that no element has": ({"unit price": TEXT}, dict.fromkeys(("xml_prompt", "nl_to_xml", "xml_schema"), NO_ELEMENT)),
    "the rationale's name": (
        {"Reasoning": TEXT},
        dict.fromkeys(("json_prompt", "own_schema_rationale", "json_schema_hidden", "json_schema_unasked"), CLASH),
    ),
}
"""What conditions cannot ask for, show or hold, and what is said."""


@pytest.mark.parametrize("name", BARRED)
def test_the_cells_are_barred_and_the_others_go_on(tmp_path: Path, name: str) -> None:
    """The items are shown as the first condition asks them that can."""
    properties, reasons = BARRED[name]
    done = asked(tmp_path, properties, f"{','.join(reasons)},own_schema")
    assert done.code == 0, done.err
    assert "  item 1, as own_schema asks it:" in done.err
    assert cell(tmp_path, "own_schema").manifest()["status"] == "complete"
    for condition, why in reasons.items():
        assert f"file/{condition} does not run: {why}" in done.err
        manifest = cell(tmp_path, condition).manifest()
        assert manifest["status"] == "barred"
        assert manifest["barred"].startswith(why)
        assert f"{condition}/plain-seed0 is barred: {why}" in done.out, "the table says it"


def test_the_plan_says_it_beforehand_and_counts_the_others(tmp_path: Path) -> None:
    done = asked(tmp_path, NESTED, "own_schema,xml_schema,json_prompt", "plan")
    assert done.code == 0, done.err
    assert f"file/xml_schema: does not run: asked=xml, enforced=schema: {NO_GRAMMAR}" in done.out
    assert "own: 2 cells, 2 requests, 0 journalled, 2 to generate\n" in done.out


@pytest.mark.parametrize("name", ["run", "plan"])
def test_where_no_cell_can_be_asked_the_command_ends_with_every_reason(tmp_path: Path, name: str) -> None:
    done = asked(tmp_path, {**NESTED, "unit price": TEXT}, "xml_schema,xml_prompt,nl_to_xml,no_line_breaks", name)
    assert done.code == 2
    for reason in (
        "condition xml_schema: asked=xml, enforced=schema: 'lines' holds no single value",
        "; condition xml_prompt, nl_to_xml: XML has no element called 'unit price'",
        "; condition no_line_breaks: enforced=one_line",
    ):
        assert reason in done.error
    assert not (tmp_path / "results").exists()


def test_a_folder_with_a_barred_cell_holds_and_can_be_scored(tmp_path: Path) -> None:
    assert asked(tmp_path, NESTED, "own_schema,xml_schema").code == 0
    results = tmp_path / "results" / "own"
    for words in (("audit", f"run={results}"), ("score", f"results={results}"), ("audit", f"run={results}")):
        done = command(*words)
        assert done.code == 0, done.err
    table = command("tables", f"results={results}", f"output={tmp_path}", "table=main", "figure=[]", "draws=100")
    assert (table.code, NO_GRAMMAR in table.err) == (0, True), "every table does"
    assert cell(tmp_path, "xml_schema").requests() == []
    cell(tmp_path, "own_schema").write_requests([])
    assert command("audit", f"run={results}").code == 1, "any other cell has something to ask"


def test_replies_of_a_cell_that_can_no_longer_be_asked_are_kept_and_not_scored(tmp_path: Path) -> None:
    """A version that asked for fields of the same name twice left such cells."""
    words = ("task=[capitals]", "condition=[free_cot,direct]", "limit=2", f"results={tmp_path}", "backend=scripted")
    job = make_job(composed(*words))
    assert len(run(job)) == 4
    job.conditions["free_cot"] = fmtbench.condition("free_cot", shots=3)
    assert {row.condition for row in run(job)} == {"direct"}
    (path,) = tmp_path.rglob("free_cot/plain-seed0")
    assert RunFolder(path).manifest()["status"] == "barred"
    assert len(pd.read_parquet(path / "rows.parquet")) == 0
    assert len(list(RunFolder(path).generations())) == 2


@pytest.mark.parametrize("order", ["reasoning_first", "answer_first"])
def test_no_field_of_a_record_takes_the_place_of_the_rationale(order: str) -> None:
    """They would be one field, whose value is then missing from the record."""
    kind = Record(source=json.dumps({"type": "object", "properties": {"reasoning": {"type": "number"}, "total": TEXT}}))
    held = fmtbench.condition("json_schema_unasked", order=order)
    with pytest.raises(UnaskableError, match="a field like the rationale's 'reasoning'"):
        held.constraint(kind)
    other = fmtbench.condition("json_schema_unasked", order=order, reasoning_field="thoughts")
    constraint = other.constraint(kind)
    assert constraint
    assert set(json.loads(constraint.source)["properties"]) == {"thoughts", "reasoning", "total"}
