"""Schemas declared, compiled and kept, on real schemas and with scripted replies."""

from typing import Any

import pytest

from experiments.starting.build import build
from fmtbench.backends.scripted import Scripted
from fmtbench.errors import UserError
from fmtbench.probes.schema_coverage import SchemaSet, Verdict, broken_keyword, compile_schema, generate, table
from tests.conftest import DATA, composed

SETTINGS: dict[str, Any] = {"name": "jsonschemabench", "hub_id": "x/y", "split": "test", "licence": "MIT", "citation": "none"}


@pytest.mark.skipif(not (DATA / "jsonschemabench").is_dir(), reason="the data is not here")
def test_the_real_file() -> None:
    schemas = SchemaSet(**SETTINGS, subsets=("JME",), data_root=str(DATA)).schemas("JME")
    assert len(schemas) == 40
    assert all(schema.lstrip().startswith("{") for _, schema in schemas)


def test_data_out_of_reach(tmp_path: Any) -> None:
    with pytest.raises(UserError, match="does not exist"):
        SchemaSet(**SETTINGS, subsets=("JME",), data_root=str(tmp_path)).schemas("JME")


@pytest.mark.parametrize(
    ("schema", "text", "keyword"),
    [
        ('{"type": "integer", "maximum": 5}', "7", "maximum"),
        ('{"type": "integer", "multipleOf": 5}', "7", "multipleOf"),
        ('{"type": "array", "uniqueItems": true}', "[1, 1]", "uniqueItems"),
        ('{"type": "integer"}', "7", ""),
        ('{"type": "integer"}', "{", "not JSON"),
        ('{"$ref": "https://example.com/absent.json"}', "7", "$ref"),
    ],
)
def test_the_keyword_that_an_output_breaks(schema: str, text: str, keyword: str) -> None:
    assert broken_keyword(schema, text) == keyword


def test_what_outlines_ignores_is_compiled_and_not_valid(backbone: Any) -> None:
    """The whole way, with the real sandbox and a scripted model: bounds are no part of Outlines' grammar."""
    backend = build(composed("compile.seconds=3").backend, "backend")
    schemas = (
        '{"type": "integer", "maximum": 5}',
        '{"type": "integer"}',
        '{"$ref": "#/absent"}',
        '{"type": "string", "maxLength": 300}',
    )
    verdicts = [compile_schema(backend, backbone, "mine", str(i), schema) for i, schema in enumerate(schemas)]
    assert [one.outcome for one in verdicts] == ["compiled", "compiled", "undeclared", "barred"]
    generate(Scripted(reply=lambda request: "7"), backbone, verdicts, 8, lambda total, stream: stream)
    assert [(one.outcome, one.why) for one in verdicts[:2]] == [("invalid", "maximum"), ("valid", "")]
    (line,) = table(verdicts).to_dict("records")
    assert {key: line[key] for key in ("schemas", "declared", "compiled", "valid", "invalid")} == {
        "schemas": 4, "declared": 3, "compiled": 2, "valid": 1, "invalid": 1,
    }  # fmt: skip
    assert line["broken keywords"] == "maximum 1"


def test_a_line_for_all_where_there_are_several() -> None:
    verdicts = [Verdict(subset=subset, id="0", schema="{}", outcome="valid") for subset in ("a", "b")]
    assert list(table(verdicts).subset) == ["a", "b", "all"]
