"""Schemas from the wild as `schema.path`: each is taken from end to end, or refused with the place and the reason."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import fmtbench
from experiments.starting.own_schema import check_schema
from fmtbench.answers import Record
from fmtbench.conditions.condition import Condition
from fmtbench.errors import UserError
from fmtbench.tasks.own_questions import OwnQuestions
from fmtbench.types import Generation
from tests.commanding import command
from tests.conftest import DATA

BENCH = DATA / "jsonschemabench"
NAMES = ("own_schema", "own_schema_rationale", "own_schema_nullable", "json_prompt", "yaml_prompt")
SAMPLE, RUN = 60, 6


class Wild(NamedTuple):
    """A schema and an instance that it allows."""

    id: str
    source: str
    instance: Any


def schemas() -> Iterator[Wild]:
    for path in sorted(BENCH.glob("*.jsonl.gz")):
        with gzip.open(path, "rt", encoding="utf-8") as file:
            for row in map(json.loads, file):
                instance = next(test["data"] for test in row["tests"] if test["valid"])
                yield Wild(f"{row['subset']}/{row['unique_id']}", row["json_schema"], instance)


def refusal(wild: Wild, folder: Path) -> str:
    """Why a schema or its instance is turned down, in one line; empty where both are taken. Raises whatever else is raised."""
    try:
        check_schema(wild.source, "schema.path=a.json")
        _ = task_of(wild, folder).items()
    except UserError as error:
        return str(error)
    return ""


def task_of(wild: Wild, folder: Path) -> OwnQuestions:
    rows = folder / "rows.jsonl"
    rows.write_text(json.dumps({"question": "Fill in the record.", "gold": wild.instance}) + "\n", encoding="utf-8")
    return OwnQuestions(path=str(rows), schema=wild.source)


def not_right(wild: Wild, folder: Path) -> list[str]:
    """The conditions under which the right record, written as they ask for it, is not read as right."""
    task = task_of(wild, folder)
    (item,) = task.items()
    kind = task.kind(item)
    assert isinstance(kind, Record)
    found = []
    for name in NAMES:
        one: Condition = fmtbench.condition(name)
        reply = Generation(key="k", text=one.example(kind, "So it is.", item.gold))
        read = one.read(reply, kind)
        if read.status != "ok" or not kind.same(read.answer, item.gold):
            found.append(f"{wild.id} {name}: {read.status} {reply.text[:200]}")
    return found


REASONS = ("holds itself", "type is ", " shapes (", "allOf of ", "which is no property", "levels deep", "names nothing in")
REASONS += ("is no schema: give an object", "the gold answer has ")
"""What no record can have, by a part of what is said of it."""
TAKEN, REFUSED = 383, 77
EMPTY = {
    "Snowplow/Snowplow---sp_17_Normalized",
    "Github_easy/Github_easy---o30452",
    "Github_ultra/Github_ultra---o9354",
    "Github_medium/Github_medium---o30309",
    "Github_hard/Github_hard---o73934",
}
"""Their instance has no field at all, and a reply without any is no answer."""
NOT_READ = EMPTY | {"Github_trivial/Github_trivial---o19070"}
"""And one that is a choice of objects: nulls that `own_schema_nullable` allows inside it are not known to whoever reads it."""


def names_of(lines: list[str]) -> set[str]:
    return {line.partition(" ")[0] for line in lines}


@pytest.mark.slow
@pytest.mark.skipif(not BENCH.is_dir(), reason="the data sets are not beside the clone")
def test_a_schema_from_the_wild_is_taken_or_refused_with_the_reason(tmp_path: Path) -> None:
    sample = random.Random(0).sample(list(schemas()), SAMPLE)
    refused = {wild.id: why for wild in sample if (why := refusal(wild, tmp_path))}
    assert all(len(why) < 700 and "schema" in why and "\n" not in why for why in refused.values())
    taken = [wild for wild in sample if wild.id not in refused]
    assert len(taken) >= SAMPLE * 3 // 4
    assert names_of([line for wild in taken for line in not_right(wild, tmp_path)]) <= NOT_READ


@pytest.mark.slow
@pytest.mark.skipif(not BENCH.is_dir(), reason="the data sets are not beside the clone")
def test_every_schema_from_the_wild_that_has_a_grammar_is_taken_or_refused_for_what_no_record_can_have(tmp_path: Path) -> None:
    taken, refused = [], {}
    for wild in schemas():
        if why := refusal(wild, tmp_path):
            refused[wild.id] = why
        else:
            taken.append(wild)
    assert not {name: why for name, why in refused.items() if not any(part in why for part in REASONS)}
    assert (len(taken), len(refused)) == (TAKEN, REFUSED)
    assert names_of([line for wild in taken for line in not_right(wild, tmp_path)]) == NOT_READ


@pytest.mark.slow
@pytest.mark.skipif(not BENCH.is_dir(), reason="the data sets are not beside the clone")
def test_one_that_is_taken_runs_from_the_command_line(tmp_path: Path) -> None:
    taken = [wild for wild in random.Random(1).sample(list(schemas()), SAMPLE) if not refusal(wild, tmp_path)][:RUN]
    assert len(taken) == RUN
    for number, wild in enumerate(taken):
        task_of(wild, tmp_path)
        (tmp_path / "schema.json").write_text(wild.source, encoding="utf-8")
        words = (f"task.file.path={tmp_path}/rows.jsonl", f"schema.path={tmp_path}/schema.json", f"results={tmp_path}/{number}")
        done = command("run", "backend=scripted", "task=file", "condition=[free_cot,own_schema]", "name=wild", *words)
        assert done.code == 0, f"{wild.id}: {done.err}"


PAIR = {"a": {"type": "string"}, "b": {"type": "number"}, "c": {"type": ["integer", "null"]}}
SHAPES: dict[str, Any] = {
    "by way of allOf": {"allOf": [{"type": "object", "properties": PAIR, "required": ["a"]}]},
    "which fields go together": {"type": "object", "properties": PAIR, "oneOf": [{"required": ["a"]}, {"required": ["b", "c"]}]},
    "draft 4, nothing required inside": {
        "$schema": "http://json-schema.org/draft-04/schema#",
        "type": "object",
        "properties": {"a": {"type": "string"}, "b": {"type": "object", "properties": PAIR}},
        "required": ["a"],
    },
}
"""As real schemas write them, in small."""


@pytest.mark.parametrize("name", SHAPES)
def test_shapes_that_real_schemas_have(tmp_path: Path, name: str) -> None:
    wild = Wild(name, json.dumps(SHAPES[name]), {"a": "x"})
    assert not refusal(wild, tmp_path)
    assert not not_right(wild, tmp_path)
    assert refusal(wild._replace(instance={"c": 1}), tmp_path), "the null: it does not keep to the schema"
