"""What a grammar keeps out, and `python -m experiments.lint`."""

import pytest

from fmtbench.decoding.grammar import ANYTHING
from fmtbench.decoding.schema import json_schema
from fmtbench.probes.alphabet import PROBES, alphabet
from fmtbench.types import Constraint
from tests.commanding import command

REASONED = Constraint(kind="json_schema", source=json_schema({"reasoning": str, "answer": float}))


def test_the_sham_keeps_nothing_out() -> None:
    assert set(alphabet(ANYTHING).values()) == {"raw"}


def test_a_json_string_escapes_what_outlines_lets_it_escape() -> None:
    found = alphabet(REASONED)
    assert {name for name, how in found.items() if how == "escaped"} == {"newline", "tab", "backslash", '"'}
    assert {name for name, how in found.items() if how == "raw"} == {"<", ">", "'", "`", "*", "$", "non-ASCII", "Hangul", "emoji"}


def test_no_free_text() -> None:
    assert alphabet(Constraint(kind="json_schema", source='{"enum": ["yes", "no"]}')) == {}


@pytest.mark.parametrize("name", sorted(PROBES))
def test_what_a_pattern_forbids_is_never(name: str) -> None:
    found = alphabet(Constraint(kind="regex", source="[a-z0-9 ]*"))
    assert found[name] == "never"


def test_the_command(tmp_path: object) -> None:
    words = ("task=[addition,svamp]", "condition=[free_cot,json_schema,sham]", f"data_root={tmp_path}")
    done = command("lint", *words)
    assert done.code == 0, done.err
    assert "newline" in next(line for line in done.out.splitlines() if "json_schema" in line)
    assert "No grammar: free_cot" in done.out
    assert "Not checked: svamp" in done.out
