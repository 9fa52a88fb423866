"""schema.path and schema.model: from a schema of one's own to the table, and one line for each thing that is wrong, before any
model is loaded."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.commanding import Done, command

INVOICE: dict[str, Any] = {
    "type": "object",
    "properties": {
        "vendor": {"type": "string", "description": "Who sends it."},
        "date": {"type": "string", "format": "date"},
        "total": {"type": "number", "minimum": 0},
        "tags": {"type": "array", "items": {"type": "string"}, "uniqueItems": True},
    },
    "required": ["vendor", "date", "total"],
}
ROWS = [
    {"question": "Beta sent a bill of 0 on 1 January 2000.", "gold": {"vendor": "Beta", "date": "2000-01-01", "total": 0}},
    {"question": "Acme sent a bill of 12.50 on 3 March 2024.", "gold": {"vendor": "Acme", "date": "2024-03-03", "total": 12.5}},
]
"""The scripted backend writes the smallest record: of the first row date and total are right, of the second none."""


def placed(folder: Path, rows: Any = ROWS, schema: Any = INVOICE) -> tuple[str, str]:
    (folder / "rows.json").write_text(json.dumps(rows), encoding="utf-8")
    (folder / "schema.json").write_text(schema if isinstance(schema, str) else json.dumps(schema), encoding="utf-8")
    return f"task.file.path={folder / 'rows.json'}", f"schema.path={folder / 'schema.json'}"


def asked(folder: Path, *words: str) -> Done:
    common = ("backend=scripted", "name=own", "task=file", "condition=[free_cot,own_schema]", f"results={folder / 'results'}")
    return command("run", *common, *words)


def fields(folder: Path) -> dict[str, Any]:
    (path,) = (folder / "results").rglob("own_schema/plain-seed0/rows.parquet")
    return json.loads(pd.read_parquet(path).fields[0])


def test_from_a_schema_to_the_table_of_fields(tmp_path: Path) -> None:
    done = asked(tmp_path, *placed(tmp_path))
    assert done.code == 0, done.err
    assert "  the decoder does not enforce: total: minimum; tags: uniqueItems\n" in done.err
    found = fields(tmp_path)
    assert found["date"] == found["total"] == ["right", "right", "filled"]
    assert found["tags"] == ["absent", "absent", "empty"]
    (tmp_path / "schema.json").unlink()
    (tmp_path / "rows.json").unlink()
    (path,) = (tmp_path / "results").rglob("own_schema/plain-seed0/rows.parquet")
    before = path.read_bytes()
    assert command("score", f"results={tmp_path / 'results'}").code == 0, "what scores is stored with the results"
    assert path.read_bytes() == before
    done = command("tables", f"results={tmp_path / 'results'}", f"output={tmp_path}", "table=fields", "figure=[]", "draws=100")
    assert done.code == 0, done.err
    table = pd.read_csv(tmp_path / "appendix" / "fields.csv").set_index(["field", "condition"])
    assert table.latent["date", "own_schema"] == 0.5
    assert table.latent["tags", "own_schema"] == 1


def test_a_csv_holds_its_records_as_json(tmp_path: Path) -> None:
    pd.DataFrame([{**row, "gold": json.dumps(row["gold"])} for row in ROWS]).to_csv(tmp_path / "rows.csv", index=False)
    _, schema = placed(tmp_path)
    assert asked(tmp_path, f"task.file.path={tmp_path / 'rows.csv'}", schema).code == 0
    assert fields(tmp_path)["date"][1] == "right"


MODEL = """
from datetime import date
from decimal import Decimal
from typing import Annotated, Optional

from pydantic import AfterValidator, BaseModel, Field, field_validator


def no_future(day): return day


class Invoice(BaseModel):
    vendor: str = Field(description="Who sends it.")
    date: Annotated[date, AfterValidator(no_future)]
    total: Decimal
    tags: Optional[list[str]] = None

    @field_validator("vendor")
    @classmethod
    def is_known(cls, value): return value


class Tree(BaseModel):
    leaf: str
    inner: "Tree | None" = None


class Other: ...
"""


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    name = "own_models_of_a_test"
    (tmp_path / f"{name}.py").write_text(MODEL, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, name, raising=False)
    return name


def test_a_pydantic_model_is_a_schema_without_its_validators(tmp_path: Path, models: str) -> None:
    rows, _ = placed(tmp_path)
    done = asked(tmp_path, rows, f"schema.model={models}:Invoice")
    assert done.code == 0, done.err
    assert f"schema.model={models}:Invoice: neither enforced nor scored: the validators is_known, no_future" in done.err
    assert fields(tmp_path)["date"] == ["right", "right", "filled"]
    assert all(models not in path.read_text() or "model: own" in path.read_text() for path in tmp_path.rglob("config.yaml"))
    sys.modules.pop(models)
    (tmp_path / f"{models}.py").unlink()
    assert command("score", f"results={tmp_path / 'results'}").code == 0, "no module of the user's is imported to score"


def mended(**changes: Any) -> dict[str, Any]:
    return {**INVOICE, "properties": {**INVOICE["properties"], **changes}}


SELF = {"type": "object", "properties": {"a": {"$ref": "#"}}}
BAD: dict[str, tuple[Any, str]] = {
    "not JSON": ("{", "is no JSON (Expecting property name"),
    "not an object": ([1], "it is no JSON schema: give an object"),
    "remote": (
        mended(vendor={"$ref": "https://example.org/a.json"}),
        "vendor: $ref https://example.org/a.json leads out of the file",
    ),
    "another file": (mended(vendor={"$ref": "parts.json#/a"}), "vendor: $ref parts.json#/a leads out of the file"),
    "recursion": (SELF, "a: # holds itself"),
    "anyOf of everything": (
        mended(total={"anyOf": [{"type": "object"}, {"type": "array"}, {"type": "string"}]}),
        "total: anyOf of 3 shapes",
    ),
    "a large enum": (mended(vendor={"enum": list(map(str, range(10_000)))}), "vendor: enum has 10000 values, at most 1000"),
    "no type": (mended(vendor={"minimum": 1}), "vendor: type is None"),
    "wrong type": (mended(vendor={"type": "text"}), "it is no valid JSON schema ($.properties.vendor"),
    "a bad pattern": (mended(vendor={"type": "string", "pattern": "("}), "($.properties.vendor.pattern: '(' is not a 'regex')"),
    "an interpolation": (mended(vendor={"type": "string", "pattern": "^${x}$"}), "holds ${"),
    "x-compare": (mended(vendor={"type": "string", "x-compare": "fuzzy"}), "vendor: x-compare='fuzzy'"),
    "a name that is blank": ({"type": "object", "properties": {" ": {"type": "string"}}}, "has a name that no line can hold"),
    "two alike": (mended(**{"Vendor": {"type": "string"}}), "'vendor' and 'Vendor' are read as the same"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_schema_that_no_record_can_have_ends_in_one_line(tmp_path: Path, name: str) -> None:
    schema, problem = BAD[name]
    done = asked(tmp_path, *placed(tmp_path, schema=schema))
    assert done.code == 2
    assert problem in done.error
    assert "schema.path=" in done.error


GOLDS: dict[str, tuple[Any, str]] = {
    "missing": (
        {"vendor": "a", "total": 1},
        "row 1, field 'gold': the gold answer breaks the schema at $: 'date' is a required property",
    ),
    "bound": (
        {"vendor": "a", "date": "2024-01-01", "total": -1},
        "row 1, field 'gold': the gold answer breaks the schema at $.total: -1 is less",
    ),
    "type": ({"vendor": 3, "date": "2024-01-01", "total": 1}, "breaks the schema at $.vendor: 3 is not of type 'string'"),
    "inside": (
        {"vendor": "a", "date": "2024-01-01", "total": 1, "tags": [1]},
        "breaks the schema at $.tags[0]: 1 is not of type",
    ),
    "unreadable": (
        {"vendor": "a", "date": "soon", "total": 1},
        "row 1, field 'gold': the gold answer has 'soon' at date, which is no <YYYY",
    ),
    "no object": ("Acme", "row 1, field 'gold': the gold answer is 'Acme': give an object"),
    "nothing": (None, "row 1, field 'gold': the gold answer is None: give an object"),
}


@pytest.mark.parametrize("name", GOLDS)
def test_a_gold_record_that_cannot_be_right_is_named_with_row_and_path(tmp_path: Path, name: str) -> None:
    gold, problem = GOLDS[name]
    done = asked(tmp_path, *placed(tmp_path, [ROWS[0], {"question": "Q?", "gold": gold}]))
    assert (done.code, problem in done.error) == (2, True), done.err


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("schema.path=nowhere.json",), "schema.path=nowhere.json: there is no such file"),
        (("schema.model=MODELS:Tree",), "schema.model=MODELS:Tree: inner: #/$defs/Tree holds itself"),
        (("schema.model=MODELS:Other",), "MODELS has no pydantic model Other"),
        (("schema.model=MODELS:Absent",), "MODELS has no pydantic model Absent"),
        (("schema.model=MODELS",), "give package:Model"),
        (("schema.model=no_such_package:A",), "cannot be imported"),
        (("schema.model=MODELS:Invoice", "SCHEMA"), "give one of them"),
        (("SCHEMA", "+schema.paht=a.json"), "schema.paht is no key of schema: did you mean path?"),
        (("SCHEMA", "task=[addition]"), "only task=file has a schema of yours, and the tasks are addition"),
        (("SCHEMA", "task.file.answer=number"), "a schema goes with answer=record"),
        (("task.file.answer=record",), "a schema goes with answer=record"),
        (("SCHEMA", "task.file.gold=total"), "gold=total is no column"),
        (
            ("SCHEMA", "condition=[own_schema]", "+condition.own_schema.last_fields=[tax]"),
            "last_fields names 'tax', the schema's fields are",
        ),
    ],
)
def test_words_that_cannot_go_together_end_in_one_line(tmp_path: Path, models: str, words: tuple[str, ...], problem: str) -> None:
    rows, schema = placed(tmp_path)
    given = [schema if word == "SCHEMA" else word.replace("MODELS", models) for word in words]
    done = asked(tmp_path, *([] if "task=[addition]" in words else [rows]), *given)
    assert (done.code, problem.replace("MODELS", models) in done.error) == (2, True), done.err


def test_a_pattern_that_explodes_bars_its_cell_and_names_the_schema(tmp_path: Path) -> None:
    """Through the sandbox: the others go on."""
    from fmtbench.answers import Record
    from fmtbench.errors import UserError

    kind = Record(source=json.dumps(mended(vendor={"type": "string", "pattern": "^(a+)+$"})))
    with pytest.raises(UserError, match="a pattern of the schema takes longer than 1 s on one record"):
        kind.fault({"vendor": "a" * 40 + "!", "date": "2024-01-01", "total": "1"})
