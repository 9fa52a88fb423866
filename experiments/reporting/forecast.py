"""What a plan says in advance about cells that cannot run, and about cost."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from fmtbench.errors import BarredError
from fmtbench.price import Prices, amount
from fmtbench.running.job import Cell, Job
from fmtbench.running.planning import Planner
from fmtbench.store.folder import Planned

CHARACTERS = 4
"""Characters of a prompt per token, roughly: a server's tokenizer is not at hand."""


def barred_cells(job: Job, planner: Planner) -> dict[Cell, str]:
    """The cells that cannot be asked, and those whose constraints the engine cannot express, each with the reason.

    Nothing is compiled.
    """
    found = ((cell, planner.barred(cell) or _why(job, cell, planner.plan(cell))) for cell in job.cells)
    return {cell: why for cell, why in found if why}


def _why(job: Job, cell: Cell, requests: Sequence[Planned]) -> str:
    condition, task = job.conditions[cell.condition], job.tasks[cell.task]
    constraints = {one.request.constraint for one in requests}
    if condition.passes > 1:
        constraints |= {condition.constraint(task.kind(one.item)) for one in requests}
    for constraint in filter(None, constraints):
        try:
            job.backend.express(constraint)
        except BarredError as error:
            return str(error)
    return ""


def barred_lines(barred: Mapping[Cell, str]) -> list[str]:
    """One line for each reason, with the cells that it bars."""
    cells: dict[str, list[str]] = defaultdict(list)
    for cell, why in barred.items():
        cells[why].append(f"{cell.task}/{cell.condition}")
    return [f"{', '.join(dict.fromkeys(names))}: does not run: {why}" for why, names in cells.items()]


def unread_tokens(job: Job, planned: Mapping[Cell, Sequence[Planned]], missing: Mapping[Cell, int]) -> float:
    """Prompt tokens of the requests that each cell is missing, roughly."""
    return sum(
        missing[cell] / (len(requests) * passes) * _prompt_tokens(requests, passes, job.sampling.max_tokens)
        for cell, requests in planned.items()
        if requests and (passes := job.conditions[cell.condition].passes)
    )


def _prompt_tokens(requests: Sequence[Planned], passes: int, most: int) -> float:
    """Prompt tokens of all requests of a cell; a second pass repeats the prompt and a first reply of `most` tokens."""
    first = sum(len(message.content) for one in requests for message in one.request.messages) / CHARACTERS
    return passes * first + (passes - 1) * len(requests) * most


def read_line(prompt: float, *, measured: bool) -> str:
    """The tokens of all prompts, measured by a pilot or estimated."""
    return f"About {prompt:,.0f} tokens of prompts" + ("" if measured else f"; a token is taken as {CHARACTERS} characters")


def hours(reply: float, speed: float) -> str:
    """The GPU hours for so many reply tokens, at a speed in tokens per second over all requests together."""
    return f"{reply / speed / 3600:,.1f} GPU hours at {speed:,g} tokens/s"


def money_lines(prices: Prices | None, prompt: float, reply: float, *, measured: bool) -> list[str]:
    """What so many tokens cost; nothing if no price is given."""
    if prices is None:
        return []
    money = amount(prices.of(prompt, reply), prices.currency)
    counts = f"{prompt:,.0f} prompt tokens and {reply:,.0f} of replies, at {prices.said()}"
    return [
        f"About {money}: {counts}"
        if measured
        else f"At most about {money}: {counts}; a token is taken as {CHARACTERS} characters"
    ]
