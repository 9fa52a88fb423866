"""The shape of a schema as a dose: items that stay the same, planted faults that one curve finds, and a null that none does."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import numpy as np
import pandas as pd
import pytest

from experiments.run import make_job
from fmtbench.analysis.showing.shape_figure import TITLES, shape_curves
from fmtbench.analysis.tables.schema_shape import DoseCurve, curves, schema_shape_table
from fmtbench.errors import UserError
from fmtbench.tasks.base import check_items
from fmtbench.tasks.shapes import BASE, Shaped
from tests.conftest import composed, options
from tests.made_rows import made_rows
from tests.shape_worlds import (
    ANSWER,
    Drops,
    Errs,
    FailsBeyondEight,
    IsCut,
    Json,
    LosesDepth,
    LosesLists,
    TakesTheFirst,
    World,
    curves_of,
    flat,
    notes,
    of_yaml,
    settings,
    shaped,
)

SIZE = 16
DOSES = [name for name in options("dose") if name != "base"]
SHAPES: dict[str, Json] = {
    "base": {},
    "few": {"fields": 1},
    "many": {"fields": 32},
    "deep": {"depth": 3},
    "labels": {"enum_size": 16},
    "at_first": {"enum_size": 16, "enum_place": 1},
    "at_last": {"enum_size": 16, "enum_place": 16},
    "half": {"optional": 0.5},
    "described": {"description_words": 20},
    "short": {"max_length": 8},
    "list": {"list_length": 8},
}
"""Each axis with the fewest doses that show a fault."""


# -- items


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_an_item_is_the_same_under_every_shape(shape: Json) -> None:
    """Its id, its text and the right answer; and the gold record keeps the schema, but where the answer is too long for it."""
    task, base = shaped(size=SIZE, **shape), shaped(size=SIZE)
    check_items(task, task.items(), "shape")
    for item, usual in zip(task.items(), base.items(), strict=True):
        assert (item.id, item.question) == (usual.id, usual.question)
        gold, schema = json.loads(item.gold), task.kind(item).schema  # type: ignore[attr-defined]
        assert flat(gold)[ANSWER] == json.loads(usual.gold)[ANSWER]
        assert all(isinstance(value, bool | list) or _told(value, item.question) for value in flat(gold).values())
        if len(flat(gold)[ANSWER]) <= (task.max_length or 99):
            jsonschema.validate(gold, schema)
        assert task.kind(item).same(item.gold, item.gold)


def _told(value: Any, text: str) -> bool:
    """Dates are told in words, and numbers with their signs."""
    return str(value) in text or f"{value:,}" in text if isinstance(value, int) else value[:4] in text


def test_what_each_axis_changes() -> None:
    first = shaped().items()[0]

    def schema(**shape: Any) -> Json:
        task = shaped(**shape)
        (item,) = (one for one in task.items() if one.id == first.id)
        found: Json = task.kind(item).schema  # type: ignore[attr-defined]
        return found

    assert [list(schema(fields=many)["properties"]).index(ANSWER) for many in (1, 2, 4, 8, 16, 32)] == [0, 1, 2, 4, 8, 16]
    deep = schema(depth=3)["properties"]["journey"]["properties"]["leg"]["properties"]["stop"]
    assert list(deep["properties"]) == [ANSWER]
    labels = [schema(enum_size=many)["properties"][ANSWER]["enum"] for many in (8, 16, 64)]
    assert [len(set(one)) for one in labels] == [8, 16, 64]
    assert [one for one in labels[2] if one in labels[0]] == labels[0], "the same order"
    right = json.loads(first.gold)[ANSWER]
    assert [schema(enum_size=16, enum_place=at)["properties"][ANSWER]["enum"].index(right) for at in (1, 8, 16)] == [0, 7, 15]
    assert [len(schema(optional=share)["required"]) for share in (0, 0.25, 0.5, 1)] == [8, 6, 4, 0]
    described = schema(description_words=10)["properties"]["colour"]["description"]
    assert described == "the colour of this crate as the note tells it"
    assert schema(max_length=8)["properties"][ANSWER] == {"type": "string", "maxLength": 8}
    assert schema(list_length=4)["properties"]["first_4_items"]["maxItems"] == 4


def test_the_answer_is_optional_in_the_share_of_items_that_the_dose_says() -> None:
    task = shaped(size=400, optional=0.25)
    free = [ANSWER not in task.kind(item).schema["required"] for item in task.items()]  # type: ignore[attr-defined]
    assert np.mean(free) == pytest.approx(0.25, abs=3 * (0.25 * 0.75 / 400) ** 0.5)


@pytest.mark.parametrize(
    ("shape", "reason"),
    [
        ({"fields": 33}, "fields=33: give a number from 1 to 32"),
        ({"depth": 5}, "depth=5: give a number from 0 to 4"),
        ({"enum_size": 4}, "enum_size=4: give 0, or a number from 8 to 64"),
        ({"enum_place": 1}, "enum_place=1: give a number from 0 to 0"),
        ({"enum_size": 8, "max_length": 4}, "max_length=4 contradicts enum_size=8"),
        ({"fields": 1, "list_length": 1}, "list_length=1: give a number from 0 to 0"),
        ({"optional": 1.5}, "less than or equal to 1"),
    ],
)
def test_a_shape_that_cannot_be(shape: Json, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        shaped(**shape)


def test_every_dose_of_conf_is_built_and_is_a_curve() -> None:
    """By the command line, all in one run; each file's doses, with the base where it is one, differ in one thing."""
    tasks = make_job(composed("experiment=schema_shape", f"dose=[{','.join(DOSES)}]", "backend=scripted")).tasks
    assert all(isinstance(task, Shaped) for task in tasks.values())
    for axis in DOSES:
        found = curves({name: settings(**shape) for name, shape in of_yaml(axis).items()})
        assert max(len(curve.tasks) for curve in found) >= 4
        assert set(of_yaml(axis)) <= set(tasks)
    assert set(TITLES) == set(BASE)


# -- curves

WORLDS: dict[type[World], dict[tuple[str, float], float]] = {
    FailsBeyondEight: {("fields", 32): 0},
    Drops: {("optional", 0.5): 0.5},
    TakesTheFirst: {("enum_size", 16): 0, ("enum_place", 1): 1, ("enum_place", 16): 0},
    IsCut: {("max_length", 8): 0.25},
    LosesDepth: {("depth", 3): 0},
    LosesLists: {("list_length", 8): 0},
}
"""Where each fault is found, and about how much is right there."""


@pytest.fixture(scope="module")
def tables() -> dict[type[World], pd.DataFrame]:
    return {one: curves_of(one, SHAPES, SIZE) for one in (*WORLDS, World)}


@pytest.mark.parametrize("world", WORLDS, ids=lambda one: one.__name__)
def test_a_planted_fault_is_found_by_its_curve_and_by_no_other(
    tables: dict[type[World], pd.DataFrame], world: type[World]
) -> None:
    """The latent reader's differences, since a record that is too long breaks its schema whatever the model."""
    table = tables[world]
    off = table[(table["latent_low"] > 0) | (table["latent_high"] < 0)]
    expected = {(axis, dose) for axis, dose in WORLDS[world] if not (axis == "enum_place" and dose == 16)}
    assert set(off[["axis", "dose"]].itertuples(index=False, name=None)) == expected
    lines = table.set_index(["axis", "dose"])
    for place, right in WORLDS[world].items():
        assert lines.latent_accuracy[place] == pytest.approx(right, abs=0.25)


def test_without_a_fault_every_curve_is_flat(tables: dict[type[World], pd.DataFrame]) -> None:
    table = tables[World]
    assert (table["latent_accuracy"] == 1).all()
    assert (table["latent_difference"].dropna() == 0).all()
    assert (table["others"].dropna() == 1).all()
    strict = table.set_index(["axis", "dose"])
    short = strict.loc["max_length", 8]
    assert short.accuracy == pytest.approx(short.possible), "what does not fit cannot be right and keep the schema"
    assert (strict.drop(("max_length", 8))["accuracy"] == 1).all()


def test_what_the_schema_cuts_is_counted(tables: dict[type[World], pd.DataFrame]) -> None:
    short = tables[IsCut].set_index(["axis", "dose"]).loc["max_length", 8]
    assert short.cut == pytest.approx(1 - short.possible)
    assert short.cut > 0.5
    assert (tables[World]["cut"] == 0).all()


def test_the_first_dose_is_the_weakest_and_is_compared_with_nothing(tables: dict[type[World], pd.DataFrame]) -> None:
    table = tables[World]
    first = table.groupby("axis", sort=False).head(1)
    assert dict(zip(first["axis"], first["dose"])) == dict.fromkeys(BASE, 0) | {"fields": 1}
    assert first["latent_difference"].isna().all()
    assert (table["dose"] == table["baseline"]).sum() == len(first)


def test_a_limit_is_stronger_the_fewer_characters_it_leaves() -> None:
    (curve,) = curves({str(most): settings(max_length=most) for most in (4, 0, 24, 8)})
    assert curve == DoseCurve("max_length", {"0": 0, "24": 24, "8": 8, "4": 4})


def test_a_dose_that_does_nothing_is_told_from_the_first_as_often_as_an_interval_errs() -> None:
    """Errors are drawn anew for each schema: of 17 intervals at 95%, four or more miss zero in one world of a hundred."""
    shapes = {f"d{depth}": {"depth": depth} for depth in range(5)} | {f"l{many}": {"list_length": many} for many in range(1, 14)}
    table = curves_of(Errs, shapes, 30, draws=400)
    apart = table.dropna(subset=["latent_difference"])
    assert len(apart) == 17
    assert ((apart["latent_low"] > 0) | (apart["latent_high"] < 0)).sum() <= 3
    assert (apart["p_adjusted"] > 0.05).all()
    assert apart["latent_difference"].any()


# -- tables and figures


def test_rows_without_shapes_have_no_such_table() -> None:
    with pytest.raises(UserError, match="run experiment=schema_shape"):
        schema_shape_table(made_rows({"free_cot": [1, 0]}), {"t": {"_target_": "fmtbench.tasks.facts.Facts"}})


def test_the_figure_has_a_panel_for_each_backbone_and_axis(tables: dict[type[World], pd.DataFrame]) -> None:
    table = tables[IsCut]
    two = pd.concat([table, table.assign(backbone="c")])
    assert len(shape_curves(table).axes) == 2 * len(BASE)
    assert len(shape_curves(two).axes) == 4 * len(BASE)
    with pytest.raises(UserError, match="no lines"):
        shape_curves(table.head(0))


def test_notes_have_enough_words_and_no_name_twice() -> None:
    own = notes()
    assert not set(own["values"]) & set(own["others"])
    assert len(own["description"].split()) == 40
    assert len(own["facts"]) == 30
