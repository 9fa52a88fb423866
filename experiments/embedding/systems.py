"""Retrieval systems in one table: each is trained if necessary, judged, and compared with the same system without one part.

    systems:
      bm25: {embed: [embedder=bm25]}                       arguments of experiments.embed
      e5: {train: [recipe=e5, train_data=scifact_noisy]}   arguments of experiments.train, for each seed
      m3: {train: [recipe=bge_m3, ...], heads: [dense, sparse, multi]}
      bm25_e5: {embed: [embedder=bm25], reranker: e5, candidates: 20}   the cross-encoder of a system above
    pairs:
      hard negatives: [e5, e5_without_negatives]           the row with a part, and the one without

    DIR/trained/e5/seed0/   as experiments.train writes it
    DIR/scores.jsonl        the journal
    DIR/candidates/         what searches found

Repeating the command keeps what has already been trained and judged.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from hydra import compose
from hydra.errors import HydraException
from omegaconf import DictConfig, open_dict

from fmtbench.embed.scores import Score
from fmtbench.errors import UserError

from ..reporting.systems_table import Judged, pairs_table, shown, shown_pairs, systems_table
from ..starting.build import build, build_group
from ..starting.explain import explain
from .parts import build_embed_backend, embed_tasks, load_data

logger = logging.getLogger(__name__)

KEYS = ("embed", "train", "heads", "reranker", "candidates")
"""The settings that a system may have."""
SIZES = ("limit", "seeds", "steps", "examples", "batch_size")
SHARED = ("data_root",)
"""Settings of this command that are passed on to the commands of its systems."""


def compare(config: DictConfig) -> None:
    """Train and judge all systems; write and print table.md, table.csv, pairs.md and pairs.csv. Raises `UserError`."""
    from fmtbench.analysis.showing.markdown import to_markdown
    from fmtbench.store.csv_text import csv_text
    from fmtbench.store.files import writable, write_text

    check_systems(config)
    size = config.sizes[config.size]
    if config.limit is None:
        config.limit = size.limit
    tasks, backend = embed_tasks(config), build_embed_backend(config)
    output = writable(Path(config.output))
    made = [one for name in config.systems for one in judged(config, str(name), tasks, backend, output)]
    table = systems_table(made)
    pairs = pairs_table(made, {str(what): list(rows) for what, rows in config.pairs.items()})
    for name, frame, text in (("table", table, shown(table)), ("pairs", pairs, shown_pairs(pairs))):
        write_text(output / f"{name}.csv", csv_text(frame))
        write_text(output / f"{name}.md", to_markdown(text))
        print(to_markdown(text))


def check_systems(config: DictConfig) -> None:
    """Check everything that can be known before training starts. Raises `UserError`."""
    if config.size not in config.sizes:
        raise UserError(f"size={config.size}: allowed are {', '.join(map(str, config.sizes))}")
    if unknown := [key for key in config.sizes[config.size] if key not in SIZES]:
        raise UserError(f"sizes.{config.size}.{unknown[0]}: no such setting: allowed are {', '.join(SIZES)}")
    if not config.embed_task:
        raise UserError("study=systems judges on embed_task=[...]: give at least one")
    for name, system in config.systems.items():
        _check_system(str(name), system, config)
    for pair, rows in config.pairs.items():
        for row in rows if len(rows) == 2 else [f"{len(rows)} rows"]:
            if str(row).split(" ")[0] not in config.systems:
                raise UserError(f"pairs.{pair}: {row} is no system: give two rows of {', '.join(map(str, config.systems))}")
    for name in config.systems:
        composed_of(config, str(name))


def _check_system(name: str, system: Any, config: DictConfig) -> None:
    if unknown := [key for key in system if key not in KEYS]:
        raise UserError(f"systems.{name}.{unknown[0]}: no such setting: allowed are {', '.join(KEYS)}")
    if ("embed" in system) == ("train" in system):
        raise UserError(f"systems.{name}: give either embed: or train:, each a list of words of that command")
    teacher = system.get("reranker")
    before = list(config.systems)[: list(config.systems).index(name)]
    if teacher is not None and (teacher not in before or "train" not in config.systems[teacher]):
        raise UserError(f"systems.{name}.reranker={teacher}: give a system above it that is trained")


def composed_of(config: DictConfig, name: str) -> DictConfig:
    """The config of a system's own command (train or embed), with this command's settings and size."""
    system = config.systems[name]
    root = "train" if "train" in system else "embed"
    try:
        made = compose(root, overrides=[str(word) for word in system[root]])
    except HydraException as error:
        raise UserError(f"systems.{name}: {explain(error, root)}") from error
    with open_dict(made):
        made.output = str(Path(config.output, "trained", name))
        for key in SHARED:
            made[key] = config[key]
    if root == "train":
        _shorten(made, config.sizes[config.size])
    return made


def _shorten(made: DictConfig, size: Any) -> None:
    """Give every stage the size's steps and batch size, where the size sets them."""
    for stage in made.recipe.stages.values():
        for key in ("steps", "batch_size"):
            if size.get(key) is not None and key in stage:
                stage[key] = size[key]


def judged(config: DictConfig, name: str, tasks: dict[str, Any], backend: Any, output: Path) -> Iterator[Judged]:
    """The rows of one system, for each seed and head on every task."""
    from fmtbench.embed.evaluation import evaluate
    from fmtbench.embed.reranking import rerank

    system = config.systems[name]
    journal, kept = output / "scores.jsonl", output / "candidates"
    for seed, embedder in encoders(config, name):
        rows = _with_heads(system, name, embedder, output / "index" / f"seed{seed}")
        scores = evaluate(rows, tasks, backend, journal, output / "mteb", kept)
        if not system.get("reranker"):
            yield from (_judged(one, seed, tasks, kept) for one in scores)
            continue
        for taught in seeds(config, system.reranker):
            reranker = _reranker(config, system.reranker, taught)
            found = rerank(scores, tasks, reranker, system.get("candidates", 100), journal, kept, output / "mteb")
            yield from (_judged(replace(one, embedder=name), taught, tasks, kept) for one in found)


def seeds(config: DictConfig, name: str) -> list[int]:
    """The seeds of a system; just 0 for one that is not trained."""
    return list(config.sizes[config.size].seeds) if "train" in config.systems[name] else [0]


def encoders(config: DictConfig, name: str) -> Iterator[tuple[int, Any]]:
    """A system's encoder for each seed, trained now if it has not been."""
    from fmtbench.embed.saved import SavedEncoder

    made = composed_of(config, name)
    if "embed" in config.systems[name]:
        ((_, embedder),) = build_group(made.embedder).items()
        yield 0, embedder
        return
    recipe, data = build(made.recipe, "recipe"), _some(load_data(made), config.sizes[config.size].get("examples"))
    recipe.check(data)
    untrained = recipe.rounded(made.judge_dtype or "auto")
    for seed in seeds(config, name):
        logger.info("%s, seed %d", name, seed)
        folder = recipe.train(data, Path(made.output) / f"seed{seed}", seed)
        yield seed, SavedEncoder(path=str(folder), backbone=untrained.backbone)


def _some(data: Any, count: int | None) -> Any:
    """At most `count` evenly spaced examples of each training set (neighbours share a document), and as many texts."""
    from fmtbench.embed.training.examples import by_source

    if count is None:
        return data
    examples = tuple(one for some in by_source(data.examples).values() for one in some[:: max(1, len(some) // count)][:count])
    return replace(data, examples=examples, texts=data.texts[: 2 * count], documents=data.documents[:count])


def _with_heads(system: Any, name: str, embedder: Any, index: Path) -> dict[str, Any]:
    from fmtbench.embed.head_rows import head_rows

    if not system.get("heads"):
        return {name: embedder}
    count = system.get("candidates", 100)
    return head_rows({name: embedder}, heads=list(system.heads), candidates=count, fusion="sum", index=index)


def _reranker(config: DictConfig, name: str, seed: int) -> Any:
    made = compose("embed", overrides=["reranker=local"]).reranker
    with open_dict(made):
        made.path, made.name = str(Path(config.output, "trained", name, f"seed{seed}")), name
    reranker = build(made, "reranker")
    reranker.check()
    return reranker


def _judged(score: Score, seed: int, tasks: dict[str, Any], kept: Path) -> Judged:
    from fmtbench.embed.candidates import is_search, place
    from fmtbench.embed.per_query import per_query

    task = tasks[score.task]
    measured = per_query(task, place(kept, score.key)) if is_search(task) and score.score is not None else None
    return Judged(row=score.embedder, seed=seed, score=score, queries=measured)
