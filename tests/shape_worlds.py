"""Models with one planted fault each, which the curve of one thing about a schema has to find, and no other.

Each answers from the schema that the decoder is given. What it leaves alone, it has right.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

import pandas as pd
import yaml

import fmtbench
from fmtbench.analysis.tables.schema_shape import schema_shape_table
from fmtbench.answers import Record
from fmtbench.presets import CONF
from fmtbench.readers.latent import read_latent
from fmtbench.running.verdicts import Located, verdicts
from fmtbench.tasks.shapes import Shaped
from fmtbench.types import Generation, Item
from tests.made_rows import made_rows

ANSWER = "place"
Json = dict[str, Any]
CONDITION = fmtbench.condition("own_schema")
BLANK: Json = made_rows({"own_schema": [0]}).iloc[0].to_dict()
"""What no reading decides."""


@cache
def notes() -> Json:
    node = yaml.safe_load((CONF / "dose" / "base.yaml").read_text(encoding="utf-8"))
    found: Json = node["shape_base"]["notes"]
    return found


def shaped(**shape: Any) -> Shaped:
    return Shaped(seed=0, notes=notes(), **shape)  # type: ignore[arg-type]


def settings(**shape: Any) -> Json:
    """As a cell's own config has them."""
    return {"_target_": "fmtbench.tasks.shapes.Shaped", "seed": 0, "notes": notes(), **shape}


def flat(record: Json) -> Json:
    """Every leaf by its own name."""
    found: Json = {}
    for name, value in record.items():
        found |= flat(value) if isinstance(value, dict) else {name: value}
    return found


def filled(schema: Json, values: Json) -> Json:
    """The record that a schema asks for."""
    properties = schema["properties"].items()
    return {name: filled(one, values) if "properties" in one else values[name] for name, one in properties}


class Asked(NamedTuple):
    """One item under one shape."""

    task: str
    item: Item
    kind: Record
    schema: str


@cache
def asked(shapes: str, size: int) -> tuple[Asked, ...]:
    """What all models are asked; `shapes` is JSON."""
    tasks = {name: shaped(size=size, **shape) for name, shape in json.loads(shapes).items()}
    kinds = [(name, item, task.kind(item)) for name, task in tasks.items() for item in task.items()]
    return tuple(Asked(name, item, kind, CONDITION.constraint(kind).source) for name, item, kind in kinds)  # type: ignore[union-attr,arg-type]


class World:
    """A model that knows what is right."""

    def __init__(self, asked: Sequence[Asked]) -> None:
        self.values: dict[str, Json] = {}
        for one in asked:
            self.values[one.item.question] = self.values.get(one.item.question, {}) | flat(json.loads(one.item.gold))

    def __call__(self, schema: Json, question: str) -> str:
        values = dict(self.values[question])
        self.spoil(values, schema, question)
        return json.dumps(self.kept(filled(schema, values), schema))

    def spoil(self, values: Json, schema: Json, question: str) -> None:
        """Changes what is told."""

    def kept(self, record: Json, schema: Json) -> Json:
        return record


def answer_of(schema: Json) -> Json:
    """The fragment of the answer's field."""
    while ANSWER not in schema["properties"]:
        schema = next(one for one in schema["properties"].values() if "properties" in one)
    found: Json = schema["properties"][ANSWER]
    return found


class FailsBeyondEight(World):
    def spoil(self, values: Json, schema: Json, question: str) -> None:
        values[ANSWER] = "Nowhere" if len(schema["properties"]) > 8 else values[ANSWER]


class Drops(World):
    """Leaves out what may be left out."""

    def kept(self, record: Json, schema: Json) -> Json:
        return {name: value for name, value in record.items() if name in schema["required"]}


class TakesTheFirst(World):
    """Answers by position where there is a list of labels."""

    def spoil(self, values: Json, schema: Json, question: str) -> None:
        values[ANSWER] = answer_of(schema).get("enum", [values[ANSWER]])[0]


class IsCut(World):
    """Ends where the grammar ends it."""

    def spoil(self, values: Json, schema: Json, question: str) -> None:
        values[ANSWER] = values[ANSWER][: answer_of(schema).get("maxLength")]


class LosesDepth(World):
    def spoil(self, values: Json, schema: Json, question: str) -> None:
        values[ANSWER] = values[ANSWER] if ANSWER in schema["properties"] else "Nowhere"


class LosesLists(World):
    def spoil(self, values: Json, schema: Json, question: str) -> None:
        long = any(one.get("minItems", 0) > 4 for one in schema["properties"].values())
        values[ANSWER] = "Nowhere" if long else values[ANSWER]


class Errs(World):
    """One answer in three is wrong, drawn anew for each schema: the dose does nothing."""

    def spoil(self, values: Json, schema: Json, question: str) -> None:
        seed = hashlib.sha256(f"{question}{json.dumps(schema)}".encode()).digest()
        if random.Random(seed).random() < 1 / 3:
            values[ANSWER] = "Nowhere"


def curves_of(world: type[World], shapes: dict[str, Json], size: int, draws: int = 300) -> pd.DataFrame:
    """The table of one model that was asked under these shapes."""
    own = asked(json.dumps(shapes), size)
    model = world(own)
    rows = pd.DataFrame([row_of(model, one) for one in own])
    return schema_shape_table(rows, {name: settings(**shape) for name, shape in shapes.items()}, draws=draws)


def row_of(model: World, one: Asked) -> Json:
    """As scoring makes it. The lenient readers, which take their time, read what the contract's reader does not."""
    text = model(json.loads(one.schema), one.item.question)
    found = CONDITION.read(Generation(key="", text=text), one.kind)
    latent = found if found.status == "ok" else read_latent(text, one.kind)
    return (
        BLANK
        | verdicts(Located(found, latent, latent), one.kind, [one.item.gold])._asdict()
        | {"task": one.task, "item_id": one.item.id, "question": one.item.question, "gold": one.item.gold, "text": text}
        | {"completion_tokens": len(text.split()), "prompt_tokens": len(one.schema.split())}
    )


def of_yaml(axis: str) -> dict[str, Json]:
    """The shapes of `conf/dose/<axis>.yaml`, and the base's."""
    nodes = yaml.safe_load((CONF / "dose" / f"{axis}.yaml").read_text(encoding="utf-8"))
    kept = {name: node for name, node in nodes.items() if isinstance(node, dict)}
    return {"shape_base": {}} | {
        name: {key: value for key, value in node.items() if key not in ("_target_", "seed", "notes")}
        for name, node in kept.items()
    }
