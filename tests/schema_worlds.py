"""Models with one planted fault each, which the doctor has to find by its part, and by no other.

Each is a backend, so that a command can be given it: `plugins=[tests.schema_worlds] backend._target_=tests.schema_worlds.Drops`.
Asked in free text they are perfect. They know a schema from the grammar, or else from the prompt that shows it.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from typing import Any

import fmtbench
from fmtbench.backbone import Backbone
from fmtbench.backends.scripted import Scripted
from fmtbench.conditions.condition import Condition
from fmtbench.errors import BarredError
from fmtbench.tasks.facts import Facts
from fmtbench.types import Constraint, Request

SIZE = 24
Record = dict[str, Any]


def invoices(**properties: Any) -> Facts:
    """The task, with other properties, of which all those with a null among their types are required."""
    as_it_is: Facts = fmtbench.task("invoices", size=SIZE)  # type: ignore[assignment]
    schema = deepcopy(as_it_is.schema)
    schema["properties"] |= properties
    schema["required"] = [*schema["required"], *(name for name in properties if "anyOf" in schema["properties"][name])]
    return fmtbench.task("invoices", size=SIZE, schema=schema)  # type: ignore[return-value]


@cache
def plain() -> Facts:
    return invoices()


@cache
def golds() -> dict[str, Record]:
    return {item.question: json.loads(item.gold) for item in plain().items()}


@cache
def free_text() -> Condition:
    return fmtbench.condition("free_cot")


def schema_of(request: Request) -> Record | None:
    """None where fields are asked for in free text."""
    if request.constraint:
        return json.loads(request.constraint.source)
    prompt = request.messages[0].content
    if "JSON schema" not in prompt:
        return None
    return json.JSONDecoder().raw_decode(prompt[prompt.index("{") :])[0]


def told(request: Request) -> Record:
    gold = golds()[request.messages[0].content.partition("\n\n")[2]]
    return {name: value for name, value in gold.items() if value is not None}


Fault = Callable[[Request, Record, Record], None]
"""Changes what is told, given the request and its schema."""


def written(request: Request, fault: Fault) -> str:
    record, schema = told(request), schema_of(request)
    if schema is None:
        return free_text().example(plain().record, "So it is.", json.dumps(record))
    fault(request, record, schema)
    stages = {name: "So it is." for name in schema["properties"] if name == "reasoning"}
    nulls = {name: None for name in schema["required"] if "anyOf" in schema["properties"][name]}
    whole = stages | nulls | record
    return json.dumps({name: whole[name] for name in schema["properties"] if name in whole})


def drops(request: Request, record: Record, schema: Record) -> None:
    """Leaves out what may be left out."""
    for name in set(record) - set(schema["required"]):
        del record[name]


def invents(request: Request, record: Record, schema: Record) -> None:
    """Makes up a date where one is required, though it may be null."""
    if "due_date" in schema["required"]:
        record.setdefault("due_date", "2026-01-31")


def takes_the_first(request: Request, record: Record, schema: Record) -> None:
    """Answers by position where there is a list of values."""
    values = schema["properties"]["currency"].get("enum")
    record["currency"] = values[0] if values else record["currency"]


def must_think(request: Request, record: Record, schema: Record) -> None:
    if "reasoning" not in schema["properties"]:
        record["total"] = 1


def needs_the_vendor_last(request: Request, record: Record, schema: Record) -> None:
    names = list(schema["properties"])
    if names.index("total") > names.index("vendor"):
        record["total"] = 1


def reads_fields_only(request: Request, record: Record, schema: Record) -> None:
    if '"description"' not in request.messages[0].content:
        record["total"] = 1


def reads_typescript_only(request: Request, record: Record, schema: Record) -> None:
    if "TypeScript" not in request.messages[0].content:
        record["total"] = 1


def errs_at_random(request: Request, record: Record, schema: Record) -> None:
    """No fault of the schema's: one total in three is wrong, whatever the arm."""
    if random.Random(hashlib.sha256(request.messages[0].content.encode()).digest()).random() < 1 / 3:
        record["total"] = 1


@dataclass(frozen=True, kw_only=True)
class Drops(Scripted):
    reply: Callable[[Request], str] = lambda request: written(request, drops)


@dataclass(frozen=True, kw_only=True)
class Errs(Scripted):
    reply: Callable[[Request], str] = lambda request: written(request, errs_at_random)


class BarsNulls(Drops):
    """Has no grammar for what may be null."""

    def admit(self, backbone: Backbone, constraint: Constraint) -> dict[str, Any]:
        if "anyOf" in constraint.source:
            raise BarredError("no nulls here")
        return {}


class BarsAll(Drops):
    def admit(self, backbone: Backbone, constraint: Constraint) -> dict[str, Any]:
        raise BarredError("nothing here")
