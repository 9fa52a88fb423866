"""What would run, what it would cost, and what it could see. Loads no model and writes nothing.

    python -m experiments.plan experiment=quickstart
    python -m experiments.plan experiment=quickstart limit=500 sampling.max_tokens=256
    python -m experiments.plan experiment=quickstart limit=500 pilot=results/first

Takes the arguments of experiments.run. Speed, length and disagreement are those measured in `pilot`, the results of a smaller
or earlier run, by default results/<name> if there are any; each condition has its own. Without a pilot, replies of the full
length and disagreements of 10, 20 and 30% are assumed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from omegaconf import DictConfig, OmegaConf

from fmtbench.errors import UserError

from .run import make_job
from .starting.start import start


class Measured(NamedTuple):
    """What the journals of a pilot tell of the cost of a reply, summed."""

    replies: int = 0
    tokens: int = 0
    seconds: float = 0.0
    bytes: int = 0

    def plus(self, other: Measured) -> Measured:
        a, b = self, other
        return Measured(a.replies + b.replies, a.tokens + b.tokens, a.seconds + b.seconds, a.bytes + b.bytes)


Cost = dict[tuple[str, str], Measured]
"""By task and condition; what the pilot lacks is looked up under the mean of all, ("", "")."""


def main(config: DictConfig) -> None:
    from fmtbench.running.planning import plan

    job = make_job(config)
    planned = plan(job)
    pilot = pilot_folder(config)
    print_cost(config, job, planned, survey(pilot), pilot)
    print_power(config, planned, pilot)


def pilot_folder(config: DictConfig) -> Path:
    """Where this backbone's pilot lies. Raises `UserError` where one was named and is not there."""
    given = config.pilot
    root = Path(given or Path(config.results) / config.name)
    inside = root / config.backbone.name
    if given and not (inside.is_dir() or any(root.rglob("rows.parquet"))):
        raise UserError(f"pilot={given} holds no results: give a results folder, such as results/quickstart")
    return inside if inside.is_dir() or not given else root


def survey(folder: Path) -> Cost:
    """Cost of the replies that are journalled under a folder, <task>/<condition>/<variant> deep."""
    from fmtbench.store.folder import RunFolder

    cost: Cost = {}
    for journal in sorted(folder.rglob("generations.jsonl")):
        task, condition = journal.parts[-4:-2]
        generations = list(RunFolder(journal.parent).generations())
        tokens, seconds = sum(one.completion_tokens for one in generations), sum(one.seconds for one in generations)
        found = Measured(len(generations), tokens, seconds, journal.stat().st_size)
        for key in ((task, condition), ("", "")):
            cost[key] = cost.get(key, Measured()).plus(found)
    return cost


def to_generate(job: Any, cell: Any, planned: Any) -> int:
    """Requests of a cell, second passes among them, that it has no answer for."""
    from fmtbench.running.cell_work import CellWork

    work = CellWork(job=job, cell=cell, folder=cell.folder(job.results), first=planned)
    work.follow()
    return len(planned) * work.condition.passes - len({one.request.key for one in work.planned} & work.done)


def print_cost(config: DictConfig, job: Any, planned: Any, cost: Cost, pilot: Path) -> None:
    total = sum(len(requests) * job.conditions[cell.condition].passes for cell, requests in planned.items())
    missing = {cell: to_generate(job, cell, requests) for cell, requests in planned.items()}
    left = sum(missing.values())
    print(f"{config.name}: {len(planned)} cells, {total} requests, {total - left} journalled, {left} to generate")
    whole = cost.get(("", ""), Measured())
    if not whole.replies or not whole.tokens or not whole.seconds:
        most = left * config.sampling.max_tokens
        print(f"At most {most:,} tokens to generate; {pilot} shows no speed: run a small limit= first, or give pilot=")
        return
    tokens = seconds = size = 0.0
    for cell, many in missing.items():
        own = cost.get((cell.task, cell.condition), whole)
        own = own if own.replies and own.tokens else whole
        tokens, size = tokens + many * own.tokens / own.replies, size + many * own.bytes / own.replies
        seconds += many * own.seconds / own.replies
    speed = whole.tokens / whole.seconds
    print(f"About {tokens:,.0f} tokens to generate, {_duration(seconds)}; {pilot} ran at {speed:.0f} tokens/s")
    print(f"About {_size(size)} of journal to come")
    if lacking := sorted({f"{cell.task}/{cell.condition}" for cell in planned} - {f"{a}/{b}" for a, b in cost}):
        print(f"Not in the pilot, taken as its mean: {', '.join(lacking[:6])}{' ...' if len(lacking) > 6 else ''}")


def _size(count: float) -> str:
    return f"{count / 1e3:.0f} kB" if count < 1e6 else f"{count / 1e6:.1f} MB" if count < 1e9 else f"{count / 1e9:.1f} GB"


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def print_power(config: DictConfig, planned: Any, pilot: Path) -> None:
    from fmtbench.analysis.statistics.pairs import planned_pairs

    pairs = planned_pairs(OmegaConf.to_container(config.planned, resolve=True))
    if not pairs:
        print("No contrast is planned: add planned: [{condition: json_schema, reference: free_cot}] to the experiment")
        return
    print("Smallest difference that 80% of such studies would find (two-sided 5%, before Holm), in points:")
    observed = _observed(pilot, pairs)
    for task in config.task:
        items = len({one.item.id for cell, requests in planned.items() if cell.task == task for one in requests})
        for pair in pairs:
            print(f"  {task}: {pair.condition} - {pair.reference}, {items} items: {_power(config, task, pair, items, observed)}")


def _power(config: DictConfig, task: str, pair: Any, items: int, observed: dict[tuple[str, str, str], tuple[float, int]]) -> str:
    from fmtbench.analysis.statistics.exact import detectable
    from fmtbench.analysis.statistics.power import assumed_power

    if lacking := {*pair} - set(config.condition):
        return f"not in this run (condition= lacks {', '.join(sorted(lacking))})"
    if (task, *pair) not in observed:
        return ", ".join(f"{100 * mde:.1f} at {100 * rate:.0f}%" for rate, mde in assumed_power(items).items())
    share, asked = observed[task, *pair]
    if share == 0:
        bound = min(1.0, 3 / asked)
        most = 100 * detectable(bound * items, items)
        return f"at most {most:.1f} (none of {asked} pilot items disagreed: fewer than {100 * bound:.0f}% do)"
    return (
        f"{100 * detectable(share * items, items):.1f} at the observed disagreement of {100 * share:.0f}% ({asked} pilot items)"
    )


def _observed(pilot: Path, pairs: Any) -> dict[tuple[str, str, str], tuple[float, int]]:
    """Disagreement and number of items in the rows of the pilot, if any."""
    from fmtbench.analysis.rows.frame import load_rows
    from fmtbench.analysis.statistics.power import observed_discordance

    try:
        rows = load_rows(pilot, mixed=True)
    except UserError:
        return {}
    table = observed_discordance(rows, pairs)
    return {(line.task, line.condition, line.reference): (line.discordance, line.n) for line in table.itertuples()}


if __name__ == "__main__":
    start("plan", main)
