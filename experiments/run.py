"""Ask a backbone the same items under every condition, and print what each format costs.

    python -m experiments.run                                            the quickstart: a real model, a few minutes on a laptop
    python -m experiments.run task=[gsm8k,last_letter] condition=[free_cot,json_schema] limit=20 name=first
    python -m experiments.run -m backbone=smollm2_135m,qwen2_5_coder_0_5b
    python -m experiments.run rerun_truncated=4                           rerun truncated replies with four times the tokens
    python -m experiments.run task=file task.file.path=qa.csv task.file.answer=number      questions of your own
    python -m experiments.run condition=[free_cot,nl_to_json_formatter] formatter=smollm2_135m    another model writes JSON
    python -m experiments.run backend=scripted                           try a config without a model
    python -m experiments.run tracker=mlflow                              report live to MLflow (or wandb, trackio)
    python -m experiments.run backbone=local backbone.path=FOLDER_OR_GGUF backbone.name=mine
    python -m experiments.run -m task=[gsm8k] sampling.max_tokens=1024 shards=8 'shard=range(8)' hydra/launcher=submitit_slurm

The same command writes to the same folder, so run it again to resume.
"""

from __future__ import annotations

import hashlib
import logging
import math
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from fmtbench.errors import ServerError, UserError
from fmtbench.presets import nearest
from fmtbench.types import Sampling

from .reporting.progress import progress
from .starting.build import build, build_group
from .starting.conf import options
from .starting.environment import naming_the_environment
from .starting.start import start

SAMPLING: dict[str, tuple[Callable[[Any], bool], str]] = {
    "samples": (lambda count: 1 <= count <= 10_000, "give a number from 1 to 10000"),
    "max_tokens": (lambda count: 1 <= count < 2**31, "give a number above 0 and below 2**31"),
    "temperature": (lambda value: 0 <= value < math.inf, "give a number that is at least 0"),
    "top_p": (lambda value: 0 < value <= 1, "give a number above 0 and at most 1"),
}

logger = logging.getLogger(__name__)


def main(config: DictConfig) -> None:
    job = make_job(config)
    if not job.cells:
        logger.info("shard %d of %d has no cell: there are fewer cells than shards", config.shard, config.shards)
        return
    # Imported late, so that --cfg, --help and a mistake in the config do not wait for pandas and scipy.
    from fmtbench.running.rerunning import rerun_of
    from fmtbench.trackers.live import live

    from .reporting.accuracy import report
    from .reporting.own_items import announce
    from .reporting.repeated import beside_lines, study_lines

    announce(job)
    for line in study_lines(config):
        logger.info("%s", line)
    with live(build(config.tracker, "tracker"), config.name, config.backbone.name, settings(config), progress) as watch:
        cut = [row for rows in scored(job, watch) for row in rows if row.status == "truncated"]
        again = rerun_of(job, cut, config.rerun_truncated) if config.rerun_truncated else None
        for _ in scored(again, watch) if again else ():
            pass
    report(Path(config.results) / config.name)
    for line in beside_lines(config):
        print(line)
    for each in filter(None, (job, again)):
        check_answered(each)


def scored(job: Any, watch: Any) -> Iterator[list[Any]]:
    """The rows of each cell of a job, as soon as it is scored."""
    from fmtbench.running.pipeline import finished

    for cell, rows in finished(job, watch=watch):
        watch.scores(rows)
        log_cell(cell, rows)
        yield rows


def check_answered(job: Any) -> None:
    """Raises `ServerError` if requests got no answer, so that a script that checks the exit code stops."""
    unanswered = sum(cell.folder(job.results).manifest().get("transient", 0) for cell in job.cells)
    if unanswered:
        raise ServerError(
            f"{unanswered} requests got no answer, and their cells are incomplete: the same command asks them again"
        )


def make_job(config: DictConfig) -> Any:
    """The job that a config describes. Loads no weights. Raises `UserError` for any mistake in the config."""
    from fmtbench.running.job import Job

    check(config)
    text = cell_configs(config)
    cells = [
        make_cell(config, task, condition, prompt, text(task, condition, prompt))
        for task in config.task
        for condition in config.condition
        for prompt in config.prompt
    ]
    return Job(
        cells=in_shard(cells, config.shard, config.shards),
        tasks=build_group(config.task),
        conditions=build_group(config.condition),
        prompts=build_group(config.prompt),
        backbone=build(config.backbone, "backbone"),
        backend=build(config.backend, "backend"),
        sampling=Sampling(**config.sampling),
        results=Path(config.results),
        limit=config.limit,
        skip=config.skip,
        limit_of={str(name): count for name, count in config.limit_of.items()},
        samples_of={str(name): count for name, count in config.samples_of.items()},
        retry_errors=config.retry_errors,
        formatter=build(config.formatter, "formatter") if config.get("formatter") else None,
    )


def in_shard(cells: list[Any], shard: int, shards: int) -> list[Any]:
    """Every `shards`-th cell, in an order by hash, so that no shard gets all cells of one expensive condition."""
    shuffled = sorted(cells, key=lambda cell: hashlib.sha256(str(cell.folder(Path()).path).encode()).digest())
    mine = set(shuffled[shard::shards])
    return [cell for cell in cells if cell in mine]


def make_cell(config: DictConfig, task: str, condition: str, prompt: str, text: str) -> Any:
    """The cell of these names; `text` is its own resolved config."""
    from fmtbench.running.job import Cell

    return Cell(
        experiment=config.name,
        backbone=config.backbone.name,
        task=task,
        condition=condition,
        prompt=prompt,
        seed=config.seed,
        config=text,
    )


def check(config: DictConfig) -> None:
    """Raises `UserError` for mistakes that Hydra's types cannot catch."""
    if config.limit is not None and config.limit < 1:
        raise UserError(f"limit={config.limit}: give a number above 0, or leave limit out to use all items")
    if not 0 <= config.shard < config.shards:
        raise UserError(f"shard={config.shard} of shards={config.shards}: give a shard from 0 to {config.shards - 1}")
    times, tokens = config.get("rerun_truncated"), config.sampling.max_tokens
    if times is not None and not (times >= 2 and times * tokens < 2**31):
        raise UserError(
            f"rerun_truncated={times}: give how many times sampling.max_tokens={tokens} the replies may have, 2 or more"
        )
    if not abs(config.seed) < 2**63:
        raise UserError(f"seed={config.seed}: give a number of at most 63 bits, which a table can hold")
    for name, (fits, allowed) in SAMPLING.items():
        if not fits(config.sampling[name]):  # NaN fails every bound
            raise UserError(f"sampling.{name}={config.sampling[name]}: {allowed}")
    _check_names(config)
    for group in ("task", "condition", "prompt"):
        if not config[group]:
            raise UserError(f"no {group} is chosen: give {group}=[...] with names from conf/{group}")


def _check_names(config: DictConfig) -> None:
    """Check that contrasts, limits and samples name existing conditions and tasks. Raises `UserError`."""
    for contrast in config.get("planned") or ():
        for name in contrast.values() if OmegaConf.is_dict(contrast) else [contrast]:
            if not isinstance(name, str) or name not in {*options("condition"), *config.condition}:
                known = options("condition")
                raise UserError(f"planned={name}: it is no condition: {nearest(str(name), known)}allowed are {', '.join(known)}")
    for name, count in config.limit_of.items():
        if name not in {*options("task"), *config.task} or count < 1:
            raise UserError(f"limit_of.{name}={count}: give one of the tasks ({', '.join(config.task)}) a number above 0")
    for name, count in config.samples_of.items():
        if name not in config.condition or count < 1:
            chosen = ", ".join(config.condition)
            raise UserError(f"samples_of.{name}={count}: give one of the conditions ({chosen}) a number above 0")


def cell_configs(config: DictConfig) -> Callable[[str, str, str], str]:
    """A function of task, condition and prompt: the resolved config of their cell as YAML, which is enough to score it again.

    References to environment variables stay references. Each section is written once, since a study may have a thousand cells.
    """
    with naming_the_environment():
        resolved: Any = OmegaConf.to_container(config, resolve=True)
    resolved |= {"name": config.name, "backbone": resolved["backbone"] | {"name": config.backbone.name}}

    @cache
    def section(key: str, option: str | None) -> str:
        value = resolved[key] if option is None else {option: resolved[key][option]}
        return OmegaConf.to_yaml(OmegaConf.create({key: value}))

    def text(task: str, condition: str, prompt: str) -> str:
        chosen = {"task": task, "condition": condition, "prompt": prompt}
        return "".join(section(key, chosen.get(key)) for key in resolved)

    return text


def settings(config: DictConfig) -> dict[str, Any]:
    """The settings that tell this run from others, as a flat dict for a tracker."""
    chosen: dict[str, Any] = {group: ", ".join(config[group]) for group in ("task", "condition", "prompt")}
    chosen |= {name: config[name] for name in ("seed", "limit", "shard", "shards", "decoder")}
    return chosen | {f"sampling.{name}": value for name, value in config.sampling.items()}


def log_cell(cell: Any, rows: list[Any]) -> None:
    """Log one line for a cell that has rows."""
    if rows:
        statuses = ", ".join(f"{status} {n}" for status, n in Counter(row.status for row in rows).most_common())
        name = f"{cell.task}/{cell.condition}/{cell.prompt}"
        logger.info("%s: %d of %d right (%s)", name, sum(row.correct for row in rows), len(rows), statuses)


if __name__ == "__main__":
    start("run", main)
