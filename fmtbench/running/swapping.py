"""The cells of a prefix swap (probes/swap.py): planned from the journals of two conditions, and then run as all others.

    results/<name>-swap/<backbone>/<task>/json_schema+free_cot+0.50/<prompt>-seed<k>/

Each has the plan, the journal, the rows and the config of an ordinary cell, whose condition is that which continues: so it is
resumed by the same command, scored again, audited and packed like any other. Its manifest counts what is left out.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from fmtbench.backbone import Backbone, load_tokenizer
from fmtbench.backends.base import Backend
from fmtbench.backends.special import special_tokens
from fmtbench.conditions.begun import why_not_begun
from fmtbench.conditions.condition import Condition
from fmtbench.errors import UserError
from fmtbench.probes.swap import FACTS, Side, Swap, Swapped, SwapSettings, Tokens, Uncut
from fmtbench.running.asking import swap_seed
from fmtbench.running.job import Cell, Job
from fmtbench.store.folder import Planned, RunFolder
from fmtbench.tasks.base import Task
from fmtbench.types import Constraint, Sampling


@dataclass(frozen=True, kw_only=True)
class Ran:
    """A cell that has run, and what its config builds."""

    cell: Cell
    folder: RunFolder
    task: Task
    condition: Condition
    config: Mapping[str, Any]

    @property
    def side(self) -> Side:
        return Side(
            condition=self.condition,
            planned=[one for one in self.folder.requests() if not one.after],
            said={one.key: one for one in self.folder.generations()},
        )


class SwapPlans:
    """What the swapped cells of a job ask."""

    def __init__(self, planned: Mapping[Cell, list[Planned]], facts: Mapping[Cell, dict[str, Any]]) -> None:
        self._planned, self._facts = planned, facts

    @property
    def cells(self) -> list[Cell]:
        return list(self._planned)

    def size(self, cell: Cell) -> int:
        return len(self._planned[cell])

    def plan(self, cell: Cell) -> list[Planned]:
        return self._planned[cell]

    def facts(self, cell: Cell) -> dict[str, Any]:
        return {FACTS: self._facts[cell]}


@dataclass(frozen=True, kw_only=True)
class SwapJob:
    job: Job
    plans: SwapPlans
    left_out: Counter[Uncut]
    """Units of all its cells' tasks, prompts and seeds that are in no arm, by the reason."""


@dataclass(frozen=True, kw_only=True)
class Engine:
    """What continues the replies."""

    backbone: Backbone
    backend: Backend
    tokens: Tokens
    config: Mapping[str, Any] | None = None
    """Its node, for the configs of the cells; None leaves those as the run had them."""


def tokens_of(backbone: Backbone) -> Tokens:
    tokenizer = load_tokenizer(backbone.resolve())
    return Tokens(
        count=lambda text: len(tokenizer(text, add_special_tokens=False)["input_ids"]), special=special_tokens(tokenizer)
    )


def check_conditions(ran: Sequence[Ran], settings: SwapSettings) -> None:
    """Raises `UserError` where a condition is not there or its rationale cannot be cut, or a reply was greedy."""
    there = {one.cell.condition: one.condition for one in ran}
    for role in ("free", "held"):
        name = getattr(settings, role)
        if name not in there:
            known = ", ".join(sorted(there))
            raise UserError(f"probe.{role}={name}: there is no cell of that condition; there are {known}")
        if why := why_not_begun(there[name]):
            raise UserError(f"probe.{role}={name} cannot be swapped: {why}")
    if there[settings.free].enforced != "no" or there[settings.held].enforced == "no":
        raise UserError(
            f"probe.free={settings.free} probe.held={settings.held}: the second must be held by a mask, the first not"
        )


def check_samples(side: Side, where: Path) -> None:
    """Raises `UserError` where there are no two halves of samples."""
    if any(one.request.temperature == 0 for one in side.planned):
        raise UserError(
            f"{where}: its replies are greedy, and a swap chooses items on one half of the samples and estimates on the other: "
            "run it with sampling.temperature=0.7 sampling.samples=8"
        )
    if not side.asked:
        raise UserError(f"{where} has one sample of an item, and prefix swap needs two halves: run it with sampling.samples=8")


def swap_jobs(ran: Sequence[Ran], settings: SwapSettings, engine: Engine, results: Path) -> Iterator[SwapJob]:
    """A job for each experiment and sampling, of one backbone. Raises `UserError` for everything that is wrong in it, before any
    weights are read."""
    check_conditions(ran, settings)
    if why := engine.backend.why_not_continued():
        raise UserError(why)
    engine.backend.check_template(engine.backbone)
    groups: dict[tuple[str, str], list[Ran]] = defaultdict(list)
    for one in ran:
        if one.cell.condition in (settings.free, settings.held):
            groups[one.cell.experiment, json.dumps(one.config["sampling"], sort_keys=True)].append(one)
    for group in groups.values():
        yield _job(group, settings, engine, results)


def _job(ran: Sequence[Ran], settings: SwapSettings, engine: Engine, results: Path) -> SwapJob:
    planned: dict[Cell, list[Planned]] = {}
    facts: dict[Cell, dict[str, Any]] = {}
    conditions: dict[str, Condition] = {}
    total = Counter[Uncut]()
    for pair in _pairs(ran, settings):
        made = _swapped(pair, settings, engine)
        total.update(made.left_out)
        for arm, requests in made.planned.items():
            if requests:
                cell = _cell(pair[arm.mode], settings.experiment(pair[arm.mode].cell.experiment), str(arm), engine)
                planned[cell] = requests
                facts[cell] = {"free": settings.free, "held": settings.held, "left_out": made.left_out}
                conditions[str(arm)] = pair[arm.mode].condition
    job = Job(
        cells=list(planned),
        tasks={one.cell.task: one.task for one in ran},
        conditions=conditions,
        prompts={},
        backbone=engine.backbone,
        backend=engine.backend,
        sampling=Sampling(**ran[0].config["sampling"]),
        results=results,
    )
    return SwapJob(job=job, plans=SwapPlans(planned, facts), left_out=total)


def _pairs(ran: Sequence[Ran], settings: SwapSettings) -> Iterator[dict[str, Ran]]:
    """The cells of both conditions that have task, prompt and seed in common."""
    found: dict[tuple[str, str, int], dict[str, Ran]] = defaultdict(dict)
    for one in ran:
        found[one.cell.task, one.cell.prompt, one.cell.seed][one.cell.condition] = one
    return (pair for pair in found.values() if {settings.free, settings.held} <= pair.keys())


def _swapped(pair: Mapping[str, Ran], settings: SwapSettings, engine: Engine) -> Swapped:
    sides = {name: one.side for name, one in pair.items()}
    for name, side in sides.items():
        check_samples(side, pair[name].folder.path)
    one = pair[settings.held]
    return Swap(
        sides=sides,
        arms=settings.arms,
        kind_of=one.task.kind,
        tokens=engine.tokens,
        identity=_identity(engine),
        seed_of=lambda planned: swap_seed(one.cell.seed, planned.item.id, planned.sample),
        words=settings.words,
    ).plan()


def _identity(engine: Engine) -> Any:
    """Once for each constraint, of which there are few."""

    @cache
    def identity(constraint: Constraint | None) -> str:
        return engine.backend.identity(engine.backbone, constraint)

    return identity


def _cell(mode: Ran, experiment: str, condition: str, engine: Engine) -> Cell:
    config = {**mode.config, "name": experiment, "condition": {condition: mode.config["condition"][mode.cell.condition]}}
    config |= {"backend": dict(engine.config)} if engine.config else {}
    text = yaml.safe_dump(config, sort_keys=False, allow_unicode=True)
    return replace(mode.cell, experiment=experiment, condition=condition, config=text)
