"""The cells of a prefix swap (probes/swap.py): planned from the journals of two conditions, and then run as all others.

    results/<name>-swap/<backbone>/<task>/json_schema+free_cot+0.50/<prompt>-seed<k>/

Each has the plan, the journal, the rows and the config of an ordinary cell, whose condition is that which continues: so it is
resumed by the same command, scored again, audited and packed like any other. Its manifest counts what is left out.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
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
from fmtbench.probes.swap import FACTS, GREEDY, Arm, PrefixTokens, Side, Swap, Swapped, SwapSettings, Uncut
from fmtbench.running.asking import swap_seed
from fmtbench.running.job import Cell, Job
from fmtbench.store.folder import Planned, RunFolder
from fmtbench.tasks.base import Task
from fmtbench.types import Sampling


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

    def barred(self, cell: Cell) -> str:
        return ""

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
    tokens: PrefixTokens
    config: Mapping[str, Any] | None = None
    """Its node, for the configs of the cells; None leaves those as the run had them."""


def tokens_of(backbone: Backbone) -> PrefixTokens:
    tokenizer = load_tokenizer(backbone.resolve())
    return PrefixTokens(
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
    for pairs in _groups(ran, settings):
        grid = SwapCells(settings=settings, engine=engine, results=results)
        for pair in pairs:
            for name, one in pair.items():
                check_samples(pair[name].side, one.folder.path)
            grid.put(pair, _swap(pair, settings.arms, settings, engine).plan())
        yield grid.job()


def greedy_jobs(ran: Sequence[Ran], settings: SwapSettings, engine: Engine, results: Path) -> Iterator[SwapJob]:
    """The null: a job for greedy replies under both conditions, and, to be asked for once that has run, one in which each goes on
    from prefixes of its own."""
    for pairs in _groups(ran, settings):
        first, second = (SwapCells(settings=settings, engine=engine, results=results, greedy=True) for _ in range(2))
        whole = [(name, one, first.add(one, name, greedy(one.side.planned), {})) for pair in pairs for name, one in pair.items()]
        yield first.job()
        for name, one, cell in whole:
            said = {name: replace(one, folder=cell.folder(results))}
            second.put(said, _swap(said, settings.own_arms(name), settings, engine).plan())
        yield second.job()


def greedy(planned: Sequence[Planned]) -> list[Planned]:
    """One greedy request for each item."""
    first = {one.item.id: one for one in reversed(planned)}
    return [replace(one, sample=0, request=replace(one.request, temperature=0.0, seed=None)) for one in reversed(first.values())]


@dataclass(kw_only=True)
class SwapCells:
    """The cells of one job, as they are planned."""

    settings: SwapSettings
    engine: Engine
    results: Path
    greedy: bool = False
    modes: dict[Cell, Ran] = field(default_factory=dict)
    """The cells that were run, under whose conditions each goes on."""
    planned: dict[Cell, list[Planned]] = field(default_factory=dict)
    facts: dict[Cell, dict[str, Any]] = field(default_factory=dict)
    left_out: Counter[Uncut] = field(default_factory=Counter)

    def put(self, pair: Mapping[str, Ran], made: Swapped) -> None:
        """A cell for each arm that has requests."""
        self.left_out.update(made.left_out)
        for arm, requests in made.planned.items():
            if requests:
                self.add(pair[arm.mode], str(arm), requests, made.left_out)

    def add(self, mode: Ran, condition: str, requests: list[Planned], left_out: Mapping[Uncut, int]) -> Cell:
        cell = self._cell(mode, condition)
        named = {"free": self.settings.free, "held": self.settings.held, "greedy": self.greedy}
        self.modes[cell], self.planned[cell], self.facts[cell] = mode, requests, named | {"left_out": dict(left_out)}
        return cell

    def job(self) -> SwapJob:
        modes = self.modes
        job = Job(
            cells=list(modes),
            tasks={cell.task: mode.task for cell, mode in modes.items()},
            conditions={cell.condition: mode.condition for cell, mode in modes.items()},
            prompts={},
            backbone=self.engine.backbone,
            backend=self.engine.backend,
            sampling=Sampling(**self._sampling(next(iter(modes.values())))) if modes else Sampling(),
            results=self.results,
        )
        return SwapJob(job=job, plans=SwapPlans(self.planned, self.facts), left_out=self.left_out)

    def _sampling(self, mode: Ran) -> dict[str, Any]:
        return mode.config["sampling"] | ({"temperature": 0.0, "samples": 1} if self.greedy else {})

    def _cell(self, mode: Ran, condition: str) -> Cell:
        experiment = self.settings.experiment(mode.cell.experiment) + GREEDY * self.greedy
        config = {**mode.config, "name": experiment, "sampling": self._sampling(mode)}
        config |= {"condition": {condition: mode.config["condition"][mode.cell.condition]}}
        config |= {"backend": dict(self.engine.config)} if self.engine.config else {}
        text = yaml.safe_dump(config, sort_keys=False, allow_unicode=True)
        return replace(mode.cell, experiment=experiment, condition=condition, config=text)


def _groups(ran: Sequence[Ran], settings: SwapSettings) -> list[list[dict[str, Ran]]]:
    """By experiment and sampling, the cells of both conditions that have task, prompt and seed in common."""
    groups: dict[tuple[str, str], dict[tuple[str, str, int], dict[str, Ran]]] = defaultdict(lambda: defaultdict(dict))
    for one in ran:
        cell = one.cell
        group = groups[cell.experiment, json.dumps(one.config["sampling"], sort_keys=True)]
        group[cell.task, cell.prompt, cell.seed][cell.condition] = one
    both = (settings.free, settings.held)
    pairs = [[pair for pair in group.values() if all(name in pair for name in both)] for group in groups.values()]
    return [[{name: pair[name] for name in both} for pair in group] for group in pairs if group]


def _swap(pair: Mapping[str, Ran], arms: Sequence[Arm], settings: SwapSettings, engine: Engine) -> Swap:
    one = next(iter(pair.values()))
    return Swap(
        sides={name: ran.side for name, ran in pair.items()},
        arms=arms,
        kind_of=one.task.kind,
        tokens=engine.tokens,
        identity=cache(lambda constraint: engine.backend.identity(engine.backbone, constraint)),
        seed_of=lambda planned: swap_seed(one.cell.seed, planned.item.id, planned.sample),
        words=settings.words,
    )
