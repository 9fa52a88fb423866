"""Show what each condition's grammar forbids, and what it costs to compile. Loads a tokenizer but no weights; writes nothing.

    python -m experiments.lint                                    every condition and every task
    python -m experiments.lint task=[gsm8k,capitals] condition=[json_schema] data_root=FOLDER
    python -m experiments.lint decoder=xgrammar backbone=qwen2_5_7b

A task whose data cannot be reached is named below the table.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any, NamedTuple

from omegaconf import DictConfig
from rich import box
from rich.console import Console
from rich.table import Table

from fmtbench.errors import BarredError, UserError

from .run import check
from .starting.build import build, build_group
from .starting.start import start

LEGEND = """\
never: what free text under this grammar cannot hold at all. only escaped: what it holds as \\n, \\" and the like.
states: of the automaton over the backbone's tokens. seconds: processor time of the compilation, kept from when it was made.
"""


class Grammars(NamedTuple):
    """The grammars of one task under one condition."""

    states: list[int | None]
    seconds: float
    forbidden: dict[str, set[str]]
    refused: str


def main(config: DictConfig) -> None:
    check(config)
    conditions, tasks = build_group(config.condition), build_group(config.task)
    backend, backbone = build(config.backend, "backend"), build(config.backbone, "backbone")
    kinds, missing = reachable(tasks, config.limit)
    lines: dict[tuple[str, ...], list[str]] = defaultdict(list)
    free = [name for name, condition in conditions.items() if not constrains(condition)]
    for name in sorted(set(conditions) - set(free)):
        for task, found in kinds.items():
            lines[(name, *cells(compiled(conditions[name], found, backend, backbone)))].append(task)
    show(lines)
    console = Console(width=None if Console().is_terminal else 150)
    for (name, never, *_, reason), named in lines.items():
        if never == "refused":
            console.print(f"Refused: {name} of {' '.join(named)}: {reason}", highlight=False, soft_wrap=True)
    console.print(LEGEND, style="dim", highlight=False)
    if free:
        console.print(f"No grammar: {', '.join(sorted(free))}", highlight=False)
    for task, reason in missing.items():
        console.print(f"Not checked: {task}: {reason}", highlight=False, soft_wrap=True)


def reachable(tasks: dict[str, Any], limit: int | None) -> tuple[dict[str, list[Any]], dict[str, str]]:
    """The distinct answer kinds of each task's items; and for each task whose data cannot be reached, why."""
    kinds: dict[str, list[Any]] = {}
    missing: dict[str, str] = {}
    for name, task in tasks.items():
        try:
            kinds[name] = list({repr(kind): kind for kind in map(task.kind, task.items()[:limit])}.values())
        except UserError as error:
            missing[name] = str(error)
    if not kinds:
        raise UserError("; ".join(f"{name}: {reason}" for name, reason in missing.items()))
    return kinds, missing


def constrains(condition: Any) -> bool:
    return any(one.enforced != "no" or one.budget == "hard" for one in (condition.opening, condition.closing))


def constraints(condition: Any, kinds: list[Any]) -> list[Any]:
    """The constraints of both passes. Raises `UserError` for an answer kind that the condition cannot ask for."""
    found = dict.fromkeys(one.constraint(kind) for one in (condition.opening, condition.closing) for kind in kinds)
    return [constraint for constraint in found if constraint]


def compiled(condition: Any, kinds: list[Any], backend: Any, backbone: Any) -> Grammars:
    from fmtbench.probes.alphabet import alphabet

    states: list[int | None] = []
    seconds, refused = 0.0, ""
    forbidden: dict[str, set[str]] = {"never": set(), "escaped": set(), "raw": set()}
    try:
        allowed = constraints(condition, kinds)
    except UserError as error:
        return Grammars(states, seconds, forbidden, str(error))
    for constraint in allowed:
        try:
            facts = backend.admit(backbone, constraint)
        except BarredError as error:
            refused = str(error)
            continue
        states, seconds = [*states, facts.get("states")], seconds + facts.get("cpu_seconds", 0)
        for name, how in alphabet(constraint).items():
            forbidden[how].add(name)
    return Grammars(states, seconds, forbidden, refused)


def cells(grammars: Grammars) -> tuple[str, ...]:
    """A line's cells in the table; tasks that agree in all of them share a line."""
    if grammars.refused:
        return "refused", "", str(len(grammars.states)), "-", grammars.refused
    counts = sorted(count for count in grammars.states if count is not None)
    span = f"{counts[0]}" if counts and counts[0] == counts[-1] else f"{counts[0]}-{counts[-1]}" if counts else "-"
    prose = any(grammars.forbidden.values())
    never = (" ".join(sorted(grammars.forbidden["never"])) or "nothing") if prose else "no free text"
    escaped = " ".join(sorted(grammars.forbidden["escaped"])) or "-"
    return never, escaped, str(len(grammars.states)), span, f"{grammars.seconds / max(1, len(grammars.states)):.2f}"


def show(lines: dict[tuple[str, ...], list[str]]) -> None:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
    for name, width in (("condition", 24), ("tasks", 44), ("never", 14), ("only escaped", 25)):
        table.add_column(name, overflow="fold", max_width=width)
    for name in ("grammars", "states", "seconds"):
        table.add_column(name, justify="right", no_wrap=True)
    previous = None
    for (name, never, escaped, grammars, states, seconds), tasks in sorted(lines.items()):
        if previous not in (None, name):
            table.add_section()
        shown = "-" if never == "refused" else seconds
        table.add_row("" if previous == name else name, " ".join(sorted(tasks)), never, escaped, grammars, states, shown)
        previous = name
    Console(width=None if Console().is_terminal else 150).print(table)


if __name__ == "__main__":
    start("lint", main)
