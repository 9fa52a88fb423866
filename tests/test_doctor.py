"""The doctor: each planted fault is named by its part and by no other, a schema that does nothing is not blamed, and a build can
go by its exit code."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import fmtbench
import tests.schema_worlds as worlds
from experiments.doctor import parts_of, that_change_something
from fmtbench.analysis.rows.frame import load_rows
from fmtbench.analysis.showing.diagnosis import Said, blocks, markdown
from fmtbench.analysis.statistics.arms import arms_table
from fmtbench.analysis.statistics.cheapest import PricedArm, cheapest, priced_arms
from fmtbench.analysis.statistics.diagnosis import OWN, STEPS, Diagnosis, Effect, SchemaPart, diagnose
from fmtbench.answers import Record
from fmtbench.answers.arranging import Arrangement
from fmtbench.backends.scripted import Scripted
from fmtbench.conditions.axes import REFERENCE
from fmtbench.running.job import Cell, Job
from fmtbench.running.pipeline import run
from fmtbench.types import Sampling
from tests.commanding import Done, command
from tests.conftest import composed
from tests.made_rows import made_rows

DATE = {"anyOf": [{"type": "string", "format": "date"}, {"type": "null"}]}
PARTS: list[SchemaPart] = parts_of(composed("task=[invoices]", root="doctor"))
NAMES = [part.name for part in PARTS]


class World:
    """What the doctor finds in a model with a fault."""

    def __init__(self, fault: worlds.Fault, results: Path, **properties: Any) -> None:
        task = worlds.invoices(**properties)
        conditions = [REFERENCE, *STEPS, *(part.condition for part in PARTS)]
        cell = Cell(experiment="e", backbone="b", task="invoices", condition="", prompt="plain", seed=0)
        job = Job(
            cells=[replace(cell, condition=name) for name in conditions],
            tasks={"invoices": task},
            conditions={name: fmtbench.condition(name) for name in conditions},
            prompts={"plain": fmtbench.prompt()},
            backbone=fmtbench.model("smollm2_135m"),
            backend=Scripted(reply=lambda request: worlds.written(request, fault)),
            sampling=Sampling(),
            results=results,
        )
        self.job, self.untried = that_change_something(job, PARTS)
        run(self.job)
        self.rows = load_rows(results)
        self.found: Diagnosis = diagnose(self.rows, PARTS, draws=200)


FAULTS: dict[str, tuple[worlds.Fault, dict[str, Any], tuple[str, ...]]] = {
    "optional_fields": (worlds.drops, {}, ("due_date", "discount", "goods")),
    "fields_that_may_be_null": (worlds.invents, {"due_date": DATE}, ("due_date",)),
    "lists_of_values": (worlds.takes_the_first, {}, ("currency",)),
    "no_rationale": (worlds.must_think, {}, ("total",)),
    "order_of_fields": (worlds.needs_the_vendor_last, {}, ("total",)),
    "place_of_descriptions": (worlds.reads_fields_only, {}, ("total",)),
    "form_in_the_prompt": (worlds.reads_typescript_only, {}, ("total",)),
}
QUICK = ("optional_fields", "fields_that_may_be_null", "lists_of_values")


def test_every_part_has_a_planted_fault() -> None:
    assert set(FAULTS) == set(NAMES)


@pytest.mark.parametrize("name", [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in FAULTS])
def test_a_planted_fault_is_named_by_its_part_and_by_no_other(tmp_path: Path, name: str) -> None:
    fault, properties, fields = FAULTS[name]
    world = World(fault, tmp_path, **properties)
    (named,) = world.found.named
    assert named.part.name == name
    assert set(named.fields) == set(fields)
    assert world.found.whole.standing(0.03) == "worse"
    assert named.effect.value == pytest.approx(-world.found.whole.value), "the change mends all of it"
    assert sum(step.value for step in world.found.steps) == pytest.approx(world.found.whole.value)


@pytest.mark.slow
def test_a_model_that_errs_whatever_the_schema_blames_no_part(tmp_path: Path) -> None:
    world = World(worlds.errs_at_random, tmp_path)
    assert not world.found.named


# -- the null


def coin_rows(seed: int, items: int, arms: int = 7, right: float = 0.7) -> pd.DataFrame:
    """Records of three fields under every arm, each field right with the same chance in all, and hard for the same items."""
    rng = np.random.default_rng(seed)
    names = [REFERENCE, *STEPS, *(f"arm_{k}" for k in range(arms))]
    hard_I = rng.normal(0, 0.15, items)[:, None]
    made = {name: rng.random((items, 3)) < right + hard_I for name in names}
    rows = made_rows({name: good.all(axis=1) for name, good in made.items()})
    told = [json.dumps({str(k): ["unread", "right" if one else "wrong", "filled"] for k, one in enumerate(line)})
            for good in made.values() for line in good]  # fmt: skip
    return rows.assign(fields=told)


ARMS = [SchemaPart(name=f"part {k}", condition=f"arm_{k}", fault="f", change="c") for k in range(7)]


def diagnoses(rounds: int) -> Iterator[Diagnosis]:
    """As the command does it: thirty items first, then twice as many until they are enough, of 120."""
    for seed in range(rounds):
        rows = coin_rows(seed, 120)
        found, size = diagnose(rows[rows["item_id"].astype(int) < 30], ARMS, draws=100), 30
        while (wanted := min(120, 2 * size, found.needed or 120)) > size:
            size = wanted
            found = diagnose(rows[rows["item_id"].astype(int) < size], ARMS, draws=100)
        yield found


@pytest.mark.parametrize("rounds", [6, pytest.param(100, marks=pytest.mark.slow)])
def test_a_schema_that_does_nothing_is_blamed_at_most_at_the_nominal_rate(rounds: int) -> None:
    found = list(diagnoses(rounds))
    allowed = 0.05 * rounds + 3 * (0.05 * 0.95 * rounds) ** 0.5
    assert sum(bool(one.named) for one in found) <= allowed
    assert sum(one.whole.standing(0.03) == "worse" for one in found) <= allowed


# -- the cheapest way


def priced(rows: pd.DataFrame, tokens: dict[str, int]) -> list[PricedArm]:
    rows = rows[rows["condition"].isin([REFERENCE, *tokens])].reset_index(drop=True)
    spent = rows["condition"].map({REFERENCE: 1, **tokens})
    return priced_arms(rows.assign(completion_tokens=spent, prompt_tokens=0), tokens, draws=200)


def strictly(rows: pd.DataFrame) -> pd.DataFrame:
    """All replies keep the schema."""
    return rows.assign(fields=[text.replace('"unread", "right"', '"right", "right"') for text in rows["fields"]])


def test_the_cheapest_way_is_held_to_what_free_text_knows() -> None:
    """`arm_0` does what free text does and keeps the schema; `arm_1` is as good and cheaper for a lenient reader alone."""
    rows = coin_rows(0, 200)
    kept = pd.concat([rows[rows["condition"] != "arm_0"], strictly(rows[rows["condition"] == "arm_0"])])
    found = priced(kept, {"arm_0": 30, "arm_1": 20})
    assert [(one.condition, one.tokens) for one in found] == [("arm_1", 20), ("arm_0", 30)]
    assert found[0].effect.standing(0.03) == "worse"
    best = cheapest(found, 0.03)
    assert best is not None
    assert best.condition == "arm_0"
    assert cheapest(found[:1], 0.03) is None
    said = page_of_prices(found)
    assert "arm_0 takes the fewest tokens of all ways to a record that do not lie below free text: 30 an item" in said
    assert "Every way to a record that keeps the schema has fewer fields right than free text." in page_of_prices(found[:1])


def page_of_prices(found: list[PricedArm]) -> str:
    diagnosis = diagnose(coin_rows(0, 30), [], draws=100)
    arms = arms_table(coin_rows(0, 30), [REFERENCE, *STEPS])
    return markdown("T", list(blocks(diagnosis, arms, Said("m", "t", 30, {}, [], [], found))))


# -- words


def effect(value: float, low: float, high: float, needed: int | None = 300, items: int = 100, moved: int = 9) -> Effect:
    return Effect(OWN, REFERENCE, items, value, low, high, 0.5, moved, needed)


def test_standings() -> None:
    assert effect(-0.05, -0.08, -0.01).standing(0.03) == "worse"
    assert effect(0.05, 0.01, 0.08).standing(0.03) == "better"
    assert effect(0.0, -0.02, 0.02).standing(0.03) == "alike"
    assert effect(-0.01, -0.06, 0.04).standing(0.03) == "open"


def test_the_items_that_would_do_shrink_the_interval_until_it_decides() -> None:
    assert effect(0.0, -0.06, 0.06, needed=300).deciding(0.03) == 400, "half as wide"
    assert effect(0.0, -0.02, 0.02, needed=300).deciding(0.03) == 300
    assert effect(-0.02, -0.06, 0.02, needed=10).deciding(0.03) == 400
    assert effect(0.0, -0.06, 0.06, needed=None).deciding(0.03) is None


def test_they_are_enough_where_no_item_differs() -> None:
    """Two arms that do the same on 30 items: the number that the page names puts the interval inside the margin."""
    same = coin_rows(0, 30).query("condition == 'free_cot'")
    few = arms_alike(same)
    assert few.whole.standing(0.03) == "open"
    many = few.whole.deciding(0.03)
    assert many is not None
    assert arms_alike(coin_rows(0, many).query("condition == 'free_cot'")).whole.standing(0.03) == "alike"
    assert arms_alike(coin_rows(0, many // 2).query("condition == 'free_cot'")).whole.standing(0.03) == "open"


def arms_alike(rows: pd.DataFrame) -> Diagnosis:
    return diagnose(pd.concat([rows.assign(condition=name) for name in (REFERENCE, *STEPS)], ignore_index=True), [], draws=1000)


def page(found: Diagnosis) -> str:
    arms = arms_table(coin_rows(0, 30), [REFERENCE, *STEPS])
    return markdown("T", list(blocks(found, arms, Said("m", "t", 30, {"a_part": "why"}, ["total: minimum"], []))))


def test_too_few_items_are_said_with_the_number_that_would_do() -> None:
    found = diagnose(coin_rows(0, 30), ARMS[:2], draws=100)
    text = page(found._replace(whole=effect(-0.01, -0.06, 0.04)))
    assert "Not enough data: -1.0 [-6.0, +4.0] points against free text" in text
    assert "; about 625 items would do." in text
    assert "Not tried: a part, since why." in text
    assert "The decoder does not enforce: total: minimum." in text


# -- the command


def doctor(folder: Path, *words: str, world: str = "") -> Done:
    backend = ("plugins=[tests.schema_worlds]", f"backend._target_=tests.schema_worlds.{world}") if world else ()
    return command("doctor", "backend=scripted", f"results={folder}", *backend, *words)


def test_the_exit_code_is_for_a_build_and_the_page_names_the_part(tmp_path: Path) -> None:
    words = ("task=[invoices]", "limit=20", "pilot_items=10")
    done = doctor(tmp_path, *words, "fail_below=-3", world="Drops")
    assert done.code == 1
    assert done.err.splitlines()[-1].startswith("error: under the schema ")
    text = (tmp_path / "doctor" / "doctor.md").read_text()
    assert "Yes: under the schema fewer fields are right" in text
    first = text.partition("## Where does it come in?")[0]
    assert "It comes in with: JSON asked for, the schema in the prompt (-18.3 [-21.2, -11.7])." in first
    assert "What helps: require every field, and let those be null that a text may not tell (+18.3 [+11.7, +21.2])." in first
    assert "Optional fields: the schema lets fields be left out" in text
    assert text.count("To change:") == 1
    assert "Not tried: fields that may be null, since this schema has nothing for it to change." in text
    assert "own_schema_nullable takes the fewest tokens of all ways to a record that do not lie below free text" in text
    assert text in done.out
    html = (tmp_path / "doctor" / "doctor.html").read_text()
    assert "Optional fields: the schema lets fields be left out" in html
    before = {path: path.read_bytes() for path in tmp_path.rglob("generations.jsonl")}
    again = doctor(tmp_path, *words, world="Drops")
    assert (again.code, again.out) == (0, done.out), "without fail_below it is no failure"
    assert "0 to generate" in again.err
    assert before == {path: path.read_bytes() for path in before}


def test_too_few_items_are_no_failure(tmp_path: Path) -> None:
    done = doctor(tmp_path, "task=[invoices]", "limit=3", "fail_below=-3", world="Errs")
    assert done.code == 0, done.err
    assert "**Not enough data: " in done.out
    assert "It comes in with" not in done.out, "nothing is said of where a loss comes in that nobody has seen"
    assert "What helps" not in done.out


SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "number"}}, "required": ["a", "b"]}


def test_parts_that_a_schema_has_not_are_not_tried(tmp_path: Path) -> None:
    schema = {**SCHEMA, "properties": {"reasoning": {"type": "string"}, **SCHEMA["properties"]}}
    (tmp_path / "s.json").write_text(json.dumps(schema))
    (tmp_path / "r.jsonl").write_text(json.dumps({"question": "Q?", "gold": {"a": "x", "b": 1}}) + "\n")
    done = doctor(tmp_path, "task=file", f"task.file.path={tmp_path}/r.jsonl", f"schema.path={tmp_path}/s.json")
    assert done.code == 0, done.err
    ran = {path.parent.parent.name for path in tmp_path.rglob("rows.parquet")}
    tried = {"own_schema_nullable", "own_schema_reversed", "own_schema_typescript", "own_schema_retry"}
    assert ran == {REFERENCE, *STEPS, *tried}
    assert "Not tried: no rationale, since this schema has a field 'reasoning' of its own." in done.out
    assert "Not tried: nl to json schema, since this schema has a field 'reasoning' of its own." in done.out


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ((), "no task is chosen: give one whose answers are records"),
        (("task=[invoices,events]",), "the tasks are invoices, events: give one"),
        (("task=[addition]",), "task addition: its answers are not records: give task=file"),
        (("task=[invoices]", "detect=0"), "detect=0: give a difference in points"),
        (("task=[invoices]", "fail_below=3"), "fail_below=3: give points from 0 down to -100"),
        (("task=[invoices]", "pilot_items=0"), "pilot_items=0: give a number above 0"),
        (("task=[invoices]", "shards=2"), "shards=2: a diagnosis needs all arms in one job"),
        (("task=[invoices]", "condition=[free_cot]"), "condition= lacks direct, own_schema_unenforced, own_schema"),
        (
            ("task=[invoices]", "+parts.mine.condition=direct"),
            "parts.mine={'condition': 'direct'}: give condition, fault and change",
        ),
        (("task=file",), "give either path, as in task.file.path=qa.csv"),
        (("task=file", "task.file.path=nowhere.jsonl", "schema.path=nowhere.json"), "schema.path=nowhere.json: there is no"),
    ],
)
def test_a_mistake_is_one_line_before_anything_runs(tmp_path: Path, words: tuple[str, ...], problem: str) -> None:
    done = doctor(tmp_path, *words)
    assert (done.code, problem in done.error) == (2, True), done.err
    assert not list(tmp_path.rglob("generations.jsonl"))


def test_an_arm_that_is_barred_is_left_out_with_the_reason(tmp_path: Path) -> None:
    done = doctor(tmp_path, "task=[invoices]", "limit=3", world="BarsNulls")
    assert done.code == 0, done.err
    assert "Not tried: optional fields, since own_schema_nullable is barred: no nulls here." in done.out


def test_a_schema_that_cannot_be_enforced_has_no_diagnosis(tmp_path: Path) -> None:
    done = doctor(tmp_path, "task=[invoices]", "limit=3", world="BarsAll")
    assert done.code == 1
    assert done.err.splitlines()[-1] == "error: own_schema is barred, and without it there is no diagnosis: nothing here"


def test_open_enums_keep_every_field_and_its_judge() -> None:
    kind = worlds.invoices().record
    opened: Record = kind.arranged(Arrangement(enums="open"))
    assert opened.schema["properties"]["currency"] == {"type": "string"}
    assert list(opened.leaves) == list(kind.leaves)
    assert kind.same('{"currency": "usd"}', '{"currency": "USD"}'), "what judges is the record as it was given"
    mixed = Record(source=json.dumps({"type": "object", "properties": {"a": {"enum": [1, "x", None]}, "b": {"const": 1}}}))
    shapes = mixed.arranged(Arrangement(enums="open")).schema["properties"]
    assert shapes == {"a": {"anyOf": [{"type": "integer"}, {"type": "string"}, {"type": "null"}]}, "b": {"const": 1}}


def test_what_may_be_null_may_be_left_out() -> None:
    kind = worlds.invoices(due_date=DATE).record
    assert "due_date" in kind.schema["required"]
    made = kind.arranged(Arrangement(optional="nullable", nulls="forbidden")).schema
    assert "due_date" not in made["required"]
    assert "vendor" in made["required"]
    assert made["properties"]["due_date"] == {"type": "string", "format": "date"}
