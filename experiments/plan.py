"""What would run, what it would cost, and what it could see. Loads no model and writes nothing.

    python -m experiments.plan experiment=quickstart
    python -m experiments.plan experiment=quickstart limit=500 sampling.max_tokens=256

Takes the arguments of experiments.run. Speed, length and disagreement are those measured in results/<name> where an
earlier or a smaller run lies there; without one the longest replies and disagreements of 10, 20 and 30% are assumed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from omegaconf import DictConfig, OmegaConf

from experiments.cli import start
from experiments.run import make_job
from fmtbench.errors import UserError


class Measured(NamedTuple):
    """What the journals of an experiment tell of its cost."""

    replies: int
    tokens: int
    seconds: float
    bytes: int


def main(config: DictConfig) -> None:
    from fmtbench.pipeline import plan

    job = make_job(config)
    planned = plan(job)
    measured = survey(Path(config.results) / config.name / config.backbone.name)
    print_cost(config, sum(map(len, planned.values())), len(planned), journalled(job, planned), measured)
    print_power(config, job, planned)


def survey(folder: Path) -> Measured:
    """Cost of every reply that is journalled under a folder."""
    from fmtbench.store import RunFolder

    replies = tokens = size = 0
    seconds = 0.0
    for journal in sorted(folder.rglob("generations.jsonl")):
        size += journal.stat().st_size
        for generation in RunFolder(journal.parent).generations():
            replies, tokens, seconds = replies + 1, tokens + len(generation.token_ids), seconds + generation.seconds
    return Measured(replies, tokens, seconds, size)


def journalled(job: Any, planned: Any) -> int:
    """How many of the planned requests their cells have answers for."""
    return sum(
        len({generation.key for generation in cell.folder(job.results).generations()} & {one.request.key for one in requests})
        for cell, requests in planned.items()
    )


def print_cost(config: DictConfig, requests: int, cells: int, done: int, measured: Measured) -> None:
    missing = requests - done
    print(f"{config.name}: {cells} cells, {requests} requests, {done} journalled, {missing} to generate")
    if not measured.replies or not measured.tokens or not measured.seconds:
        most = missing * config.sampling.max_tokens
        print(f"At most {most:,} tokens to generate; {config.results}/{config.name} shows no speed: run a small limit= first")
        return
    tokens = missing * measured.tokens / measured.replies
    speed = measured.tokens / measured.seconds
    print(f"About {tokens:,.0f} tokens to generate, {_duration(tokens / speed)} at the measured {speed:.0f} tokens/s")
    print(f"About {missing * measured.bytes / measured.replies / 1e6:.1f} MB of journal to come")


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def print_power(config: DictConfig, job: Any, planned: Any) -> None:
    from fmtbench.analysis.contrasts import planned_pairs
    from fmtbench.analysis.exact import detectable
    from fmtbench.analysis.power import assumed_power

    pairs = planned_pairs(OmegaConf.to_container(config.planned, resolve=True))
    if not pairs:
        print("No contrast is planned: add planned: [{condition: json_schema, reference: free_cot}] to the experiment")
        return
    print("Smallest difference that 80% of such studies would find (two-sided 5%, before Holm), in points:")
    observed = _observed(config, job, pairs)
    for task in config.task:
        items = len({one.item.id for cell, requests in planned.items() if cell.task == task for one in requests})
        for pair in pairs:
            name = f"  {task}: {pair.condition} - {pair.reference}, {items} items:"
            share = observed.get((task, *pair))
            if {*pair} - set(config.condition):
                print(f"{name} not in this run (condition= lacks {', '.join(sorted({*pair} - set(config.condition)))})")
            elif share is not None:
                print(f"{name} {100 * detectable(share * items, items):.1f} at the observed disagreement of {100 * share:.0f}%")
            else:
                print(name, ", ".join(f"{100 * mde:.1f} at {100 * rate:.0f}%" for rate, mde in assumed_power(items).items()))


def _observed(config: DictConfig, job: Any, pairs: Any) -> dict[tuple[str, str, str], float]:
    """Disagreement in the rows that this backbone has in the experiment's folder, if any."""
    from fmtbench.analysis.frame import load_rows
    from fmtbench.analysis.power import observed_discordance

    try:
        rows = load_rows(Path(config.results) / config.name / config.backbone.name, mixed=True)
    except UserError:
        return {}
    table = observed_discordance(rows, pairs)
    return {(line.task, line.condition, line.reference): line.discordance for line in table.itertuples()}


if __name__ == "__main__":
    start("run", main)
