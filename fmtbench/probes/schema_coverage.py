"""How much of a collection of JSON schemas a decoder can handle: coverage, not accuracy (Geng et al. 2025, arXiv 2501.10868).

A schema is *declared* if a grammar can be made from it, *compiled* if that grammar compiles within the limits, and *valid* if the
complete output of a model under it validates. A decoder that ignores a keyword compiles the schema, but its output then fails to
validate; the broken keyword is recorded. The denominator is always all schemas.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Literal

import jsonschema
import pandas as pd
from pydantic import ConfigDict
from pydantic.dataclasses import dataclass
from referencing.exceptions import Unresolvable

from fmtbench.backbone import Backbone
from fmtbench.backends.base import Backend
from fmtbench.errors import BarredError, UserError
from fmtbench.tasks.source import Source
from fmtbench.types import Constraint, Generation, Message, Request, Watch

PROMPT = "Write one JSON value that keeps to this JSON schema. Reply with the JSON alone.\n\n"
Outcome = Literal["undeclared", "barred", "compiled", "unfinished", "error", "invalid", "valid"]
"""The last four need a model; without one, `compiled` is final."""


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class SchemaSet:
    """A collection of schemas in several subsets: rows with `json_schema`, as text, and `unique_id`."""

    name: str
    hub_id: str
    split: str
    revision: str | None = None
    licence: str
    citation: str
    subsets: tuple[str, ...]
    data_root: str | None = None

    def schemas(self, subset: str) -> list[tuple[str, str]]:
        """Id and schema of each row. Raises `UserError` if the data cannot be reached, or a row has no schema."""
        source = Source(
            name=self.name,
            hub_id=self.hub_id,
            config=subset,
            split=self.split,
            revision=self.revision,
            licence=self.licence,
            citation=self.citation,
            data_root=self.data_root,
            file=f"{self.name}/{subset}.jsonl.gz",
        )
        rows = [record.row for record in source.rows()]
        for number, row in enumerate(rows):
            if not isinstance(row.get("json_schema"), str):
                raise UserError(f"{source.place}, row {number}: field 'json_schema' is no text")
        return [(str(row.get("unique_id", number)), row["json_schema"]) for number, row in enumerate(rows)]


@dataclass(kw_only=True)
class Verdict:
    """How far one schema got."""

    subset: str
    id: str
    schema: str
    outcome: Outcome
    why: str = ""
    """Why it is barred, the error, or the keyword that the output breaks."""
    states: int | None = None
    cpu_seconds: float | None = None
    text: str = ""

    @property
    def constraint(self) -> Constraint:
        return Constraint(kind="json_schema", source=self.schema)


def compile_schema(backend: Backend, backbone: Backbone, subset: str, name: str, schema: str) -> Verdict:
    """Compile one schema in the sandbox."""
    verdict = Verdict(subset=subset, id=name, schema=schema, outcome="compiled")
    try:
        facts = backend.admit(backbone, verdict.constraint)
    except BarredError as error:
        verdict.outcome, verdict.why = "barred" if error.declared else "undeclared", str(error)
    else:
        verdict.states, verdict.cpu_seconds = facts["states"], facts["cpu_seconds"]
    return verdict


def generate(backend: Backend, backbone: Backbone, verdicts: Sequence[Verdict], max_tokens: int, watch: Watch) -> None:
    """Let the model write one reply under each schema that compiled, and validate it."""
    asked = {
        request.key: verdict
        for verdict in verdicts
        if verdict.outcome == "compiled"
        for request in [_request(verdict, max_tokens)]
    }
    with backend.open(backbone) as session:
        stream = session.generate([_request(verdict, max_tokens) for verdict in asked.values()])
        for generation in watch(len(asked), stream):
            _judge(asked[generation.key], generation)


def _request(verdict: Verdict, max_tokens: int) -> Request:
    words = (Message(role="user", content=PROMPT + verdict.schema),)
    return Request(
        messages=words, constraint=verdict.constraint, max_tokens=max_tokens, identity=f"{verdict.subset}/{verdict.id}"
    )


def _judge(verdict: Verdict, generation: Generation) -> None:
    verdict.text = generation.text
    if generation.finish_reason != "stop":
        verdict.outcome = "unfinished" if generation.finish_reason == "length" else "error"
        verdict.why = generation.error
        return
    broken = broken_keyword(verdict.schema, generation.text)
    verdict.outcome, verdict.why = ("invalid", broken) if broken else ("valid", "")


def broken_keyword(schema: str, text: str) -> str:
    """The schema's keyword that a finished text breaks; empty if it validates."""
    try:
        value, parsed = json.loads(text), json.loads(schema)
        errors = jsonschema.validators.validator_for(parsed)(parsed).iter_errors(value)
        worst = jsonschema.exceptions.best_match(errors)
        return "" if worst is None else str(worst.validator)
    except ValueError:
        return "not JSON"
    except Unresolvable:
        return "$ref"


def table(verdicts: Sequence[Verdict]) -> pd.DataFrame:
    """One line per subset and one for all: how many schemas there are, and how far they got."""
    frame = pd.DataFrame([(one.subset, one.outcome, one.why) for one in verdicts], columns=["subset", "outcome", "why"])
    groups = [*frame.groupby("subset", sort=False), *([("all", frame)] if frame.subset.nunique() > 1 else [])]
    return pd.DataFrame([_line(str(name), group) for name, group in groups])


def _line(name: str, group: pd.DataFrame) -> dict[str, Any]:
    count = group.outcome.value_counts()
    broken = group.why[group.outcome == "invalid"].value_counts()
    undeclared = int(count.get("undeclared", 0))
    return {
        "subset": name,
        "schemas": len(group),
        "declared": len(group) - undeclared,
        "compiled": len(group) - undeclared - int(count.get("barred", 0)),
        "valid": int(count.get("valid", 0)),
        "invalid": int(count.get("invalid", 0)),
        "unfinished": int(count.get("unfinished", 0)),
        "error": int(count.get("error", 0)),
        "broken keywords": ", ".join(f"{keyword} {times}" for keyword, times in broken.items()),
    }
