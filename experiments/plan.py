"""Show what would run, what it would cost, and what it could detect. Loads no model and writes nothing.

    python -m experiments.plan experiment=quickstart
    python -m experiments.plan experiment=quickstart limit=500 sampling.max_tokens=256
    python -m experiments.plan experiment=quickstart limit=500 pilot=results/first
    python -m experiments.plan experiment=quickstart pilot=results/first detect=3      the size that shows 3 points, and its cost
    python -m experiments.plan backend=server backend.price_in='2.50 USD/1M' backend.price_out='10 USD/1M'      in money
    python -m experiments.plan experiment=quickstart limit=500 look=2/4      halfway through: may it stop?
    python -m experiments.plan experiment=crane data_root=FOLDER tokens_per_second=2000      hours of a GPU of that speed

Takes the arguments of experiments.run. Speed, length and disagreement are measured for each condition in `pilot`, the results of
a smaller or earlier run; the default is results/<name>, if it exists. Without a pilot, replies are assumed to have the full
length, and disagreements to be 10, 20 and 30%. Where the decomposition of this run could not separate some axes, the conditions
that would are named.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from omegaconf import DictConfig, OmegaConf

from fmtbench.errors import UserError

from .run import make_job
from .starting.build import check_fields
from .starting.start import start


class Measured(NamedTuple):
    """Totals over replies: those in a pilot's journals, or those still to come."""

    replies: float = 0
    tokens: float = 0
    seconds: float = 0
    bytes: float = 0
    prompt_tokens: float = 0

    def plus(self, other: Measured) -> Measured:
        a, b = self, other
        seconds, prompts = a.seconds + b.seconds, a.prompt_tokens + b.prompt_tokens
        return Measured(a.replies + b.replies, a.tokens + b.tokens, seconds, a.bytes + b.bytes, prompts)

    def of(self, replies: int) -> Measured:
        """The totals of this many replies at the same rate."""
        return Measured(*(replies * one / self.replies for one in self))


Cost = dict[tuple[str, str], Measured]
"""By task and condition; what the pilot lacks falls back to the mean of all, under ("", "")."""
Missing = Mapping[Any, int]
"""The number of requests still to generate, by cell."""


def main(config: DictConfig) -> None:
    from fmtbench.running.planning import Planner

    from .reporting.forecast import barred_cells, barred_lines
    from .reporting.repeated import study_lines

    check(config)
    check_fields(config.tracker, "tracker")
    job = make_job(config)
    planner = Planner(job, whole=True)
    barred = barred_cells(job, planner)
    planned = {cell: planner.plan(cell) for cell in job.cells if cell not in barred}
    pilot = pilot_folder(config)
    answers = [*sizes(config, job, pilot), *looks(config, planned, pilot)]  # first, since they may raise
    for line in [*study_lines(config), *barred_lines(barred)]:
        print(line)
    print_cost(config, job, planned, survey(pilot), pilot)
    print_power(config, planned, pilot)
    print_separations(config)
    print(*answers, sep="\n", end="\n" if answers else "")


def check(config: DictConfig) -> None:
    """Raises `UserError` for mistakes that Hydra's types cannot catch, before anything is loaded."""
    if config.detect is not None and not 0 < config.detect < 100:
        raise UserError(f"detect={config.detect:g}: give a difference in points, above 0 and below 100, such as detect=3")
    if config.most_prompts < 1:
        raise UserError(f"most_prompts={config.most_prompts}: give a number of prompts above 0")
    if config.tokens_per_second is not None and not config.tokens_per_second > 0:
        raise UserError(f"tokens_per_second={config.tokens_per_second:g}: give a speed above 0, or leave it out for the pilot's")
    if config.look is not None:
        from fmtbench.analysis.statistics.sequential import which_look

        which_look(config.look)


def pilot_folder(config: DictConfig) -> Path:
    """The folder of this backbone's pilot. Raises `UserError` if one was named but holds no results."""
    given = config.pilot
    root = Path(given or Path(config.results) / config.name)
    inside = root / config.backbone.name
    if given and not (inside.is_dir() or any(root.rglob("rows.parquet"))):
        raise UserError(f"pilot={given} holds no results: give a results folder, such as results/quickstart")
    return inside if inside.is_dir() or not given else root


def survey(folder: Path) -> Cost:
    """The cost of the replies journalled under a folder, at <task>/<condition>/<variant>."""
    from fmtbench.store.folder import RunFolder

    cost: Cost = {}
    for journal in sorted(folder.rglob("generations.jsonl")):
        task, condition = journal.parts[-4:-2]
        generations = list(RunFolder(journal.parent).generations())
        tokens, seconds = sum(one.completion_tokens for one in generations), sum(one.seconds for one in generations)
        prompts = sum(one.prompt_tokens for one in generations)
        found = Measured(len(generations), tokens, seconds, journal.stat().st_size, prompts)
        for key in ((task, condition), ("", "")):
            cost[key] = cost.get(key, Measured()).plus(found)
    return cost


def to_generate(job: Any, cell: Any, planned: Any) -> int:
    """A cell's unanswered requests, later passes included; for retries, the most there can be."""
    from fmtbench.running.cell_work import CellWork

    work = CellWork(job=job, cell=cell, folder=cell.folder(job.results), first=planned)
    if not work.done:  # hashing the keys takes as long as building the requests
        return len(planned) * work.condition.passes
    work.follow()
    return work.most_left()


def print_cost(config: DictConfig, job: Any, planned: Any, cost: Cost, pilot: Path) -> None:
    missing = {cell: to_generate(job, cell, requests) for cell, requests in planned.items()}
    total = sum(len(requests) * job.conditions[cell.condition].passes for cell, requests in planned.items())
    left = sum(missing.values())
    print(f"{config.name}: {len(planned)} cells, {total} requests, {total - left} journalled, {left} to generate")
    whole = cost.get(("", ""), Measured())
    if whole.replies and whole.tokens and whole.seconds:
        print_estimate(config, job, planned, missing, cost, pilot)
    else:
        print_bound(config, job, planned, missing, pilot)


def print_bound(config: DictConfig, job: Any, planned: Any, missing: Missing, pilot: Path) -> None:
    """Print an upper bound on what there is to generate, when no pilot tells how long replies are."""
    from .reporting.forecast import hours, money_lines, read_line, unread_tokens

    speed = config.tokens_per_second
    most, unread = sum(missing.values()) * job.sampling.max_tokens, unread_tokens(job, planned, missing)
    wanted = "run a small limit= first, or give pilot= or tokens_per_second="
    time = f", {hours(most, speed)}" if speed else f"; {pilot} shows no speed: {wanted}"
    print(f"At most {most:,} tokens to generate{time}")
    for line in [read_line(unread, measured=False), *money_lines(job.backend.prices, unread, most, measured=False)]:
        print(line)


def print_estimate(config: DictConfig, job: Any, planned: Any, missing: Missing, cost: Cost, pilot: Path) -> None:
    """Print an estimate of what there is to generate, from the replies of the pilot."""
    from .reporting.forecast import hours, money_lines, read_line, unread_tokens

    speed, whole, due = config.tokens_per_second, cost["", ""], expected(missing, cost)
    rate = whole.tokens / whole.seconds
    print(f"About {due.tokens:,.0f} tokens to generate, {_duration(due.seconds)}; {pilot} ran at {rate:.0f} tokens/s")
    print(f"About {_size(due.bytes)} of journal to come")
    if speed:
        print(f"On the machine of the study: {hours(due.tokens, speed)}")
    known = due.prompt_tokens > 0
    read = due.prompt_tokens or unread_tokens(job, planned, missing)
    for line in [read_line(read, measured=known), *money_lines(job.backend.prices, read, due.tokens, measured=known)]:
        print(line)
    if lacking := sorted({f"{cell.task}/{cell.condition}" for cell in planned} - {f"{a}/{b}" for a, b in cost}):
        print(f"Not in the pilot, taken as its mean: {', '.join(lacking[:6])}{' ...' if len(lacking) > 6 else ''}")


def expected(missing: Missing, cost: Cost) -> Measured:
    """What the missing replies will take: each as much as the pilot's mean for its task and condition, or else for all."""
    due = Measured()
    for cell, many in missing.items():
        own = cost.get((cell.task, cell.condition), Measured())
        due = due.plus((own if own.replies and own.tokens else cost["", ""]).of(many))
    return due


def _size(count: float) -> str:
    return f"{count / 1e3:.0f} kB" if count < 1e6 else f"{count / 1e6:.1f} MB" if count < 1e9 else f"{count / 1e9:.1f} GB"


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def print_power(config: DictConfig, planned: Any, pilot: Path) -> None:
    pairs = planned_contrasts(config)
    if not pairs:
        print("No contrast is planned: add planned: [{condition: json_schema, reference: free_cot}] to the experiment")
        return
    print("Smallest difference that 80% of such studies would find (two-sided 5%, before Holm), in points:")
    rows = pilot_rows(config, pilot)
    for task in config.task:
        items = len({one.item.id for cell, requests in planned.items() if cell.task == task for one in requests})
        for pair in pairs:
            print(f"  {task}: {pair.condition} - {pair.reference}, {items} items: {_power(config, task, pair, items, rows)}")


def planned_contrasts(config: DictConfig) -> list[Any]:
    from fmtbench.analysis.statistics.pairs import planned_pairs

    return planned_pairs(OmegaConf.to_container(config.planned, resolve=True))


def pilot_rows(config: DictConfig, pilot: Path, needed_by: str = "") -> Any:
    """The pilot's rows of this backbone, or of the only backbone it has; None if there is no pilot and nothing needs one."""
    from fmtbench.analysis.rows.frame import load_rows

    try:
        rows = load_rows(pilot, mixed=True)
    except UserError as error:
        if needed_by:
            raise UserError(f"{needed_by} needs results to go by: {error}; or give pilot=") from error
        return None
    names = sorted(rows["backbone"].unique())
    if len(names) > 1 and config.backbone.name not in names:
        raise UserError(f"pilot={pilot} has the backbones {', '.join(names)} and not {config.backbone.name}: give one of them")
    return rows[rows["backbone"] == config.backbone.name] if len(names) > 1 else rows


def _power(config: DictConfig, task: str, pair: Any, items: int, rows: Any) -> str:
    from fmtbench.analysis.statistics.components import components
    from fmtbench.analysis.statistics.cube import cube
    from fmtbench.analysis.statistics.power import assumed_power

    if lacking := {*pair} - set(config.condition):
        return f"not in this run (condition= lacks {', '.join(sorted(lacking))})"
    own = None if rows is None else rows[rows["task"] == task]
    there = own is not None and set(pair) <= set(own["condition"])
    known = components(cube(own, config.backbone.name, task), pair) if there else None
    if known is None:
        return ", ".join(f"{100 * mde:.1f} at {100 * rate:.0f}%" for rate, mde in assumed_power(items).items())
    return _detectable(config, items, known)


def _detectable(config: DictConfig, items: int, known: Any) -> str:
    """The smallest detectable difference with the items, prompts and samples of this run."""
    from fmtbench.analysis.statistics.sizes import Size, smallest

    size = Size(items, len(config.prompt), config.sampling.samples)
    these, general = (100 * smallest(known, size, many) for many in (None, len(config.condition)))
    if not known.disagreed:
        most = 100 * known.mean_square(known.prompts)
        return f"at most {these:.1f} (none of {known.items} pilot items disagreed: fewer than {most:.0f}% do)"
    share = 100 * known.mean_square(size.prompts, size.samples)
    found = f"{these:.1f} at the observed disagreement of {share:.0f}% ({known.items} pilot items)"
    return found if size.prompts < 2 else f"{found}, {general:.1f} for prompts like these"


def print_separations(config: DictConfig) -> None:
    """Print what the decomposition of this run could not separate, and the conditions that would."""
    from fmtbench.analysis.statistics.separating import separations
    from fmtbench.conditions.axes import REFERENCE

    from .reporting.presets import condition_presets

    settings: Any = OmegaConf.to_container(config.condition, resolve=True)
    if REFERENCE not in settings:
        return
    for one in separations(settings, condition_presets()):
        print(
            f"{one.condition}: {' + '.join(one.axes)} stay together in its decomposition; to separate them run {_or(one.cells)}"
        )


def _or(names: Any) -> str:
    return " or ".join(name if "=" not in name else f"a condition with {name}" for name in names)


def sizes(config: DictConfig, job: Any, pilot: Path) -> list[str]:
    """The answer to `detect=`; nothing without it."""
    from fmtbench.running.planning import select_items

    from .reporting.sizes import StudyLimits, size_lines

    if config.detect is None:
        return []
    rows = pilot_rows(config, pilot, f"detect={config.detect:g}")
    items = {task: len(select_items(task, job.tasks[task], None, job.skip)) for task in config.task}
    limits = StudyLimits(items, config.most_prompts, len(config.condition), samples=config.sampling.temperature > 0)
    return size_lines(rows, contrasts(config), config.detect, limits, config.tokens_per_second, _duration)


def looks(config: DictConfig, planned: Any, pilot: Path) -> list[str]:
    """The answer to `look=`; nothing without it."""
    from .reporting.looks import look_lines

    if config.look is None:
        return []
    rows = pilot_rows(config, pilot, f"look={config.look}")
    items = {cell.task: len({one.item.id for one in requests}) for cell, requests in planned.items()}
    return look_lines(rows, contrasts(config), items, config.look)


def contrasts(config: DictConfig) -> dict[str, list[Any]]:
    """The contrasts of each task: the planned ones, or every condition against free_cot if none is planned."""
    from fmtbench.analysis.statistics.pairs import Pair
    from fmtbench.conditions.axes import REFERENCE

    pairs = planned_contrasts(config) or [Pair(name, REFERENCE) for name in config.condition if name != REFERENCE]
    return dict.fromkeys(config.task, pairs)


if __name__ == "__main__":
    start("plan", main)
