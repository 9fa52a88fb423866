"""Train an encoder from a backbone that also generates: a recipe of stages, resumed by running it again.

    python -m experiments.train recipe=e5_mistral train_data=stsb data_root=DATA output=DIR
    python -m experiments.train recipe=llm2vec train_data=[stsb,korsts] data_root=DATA output=DIR seeds=[0,1,2] embed_task=[stsb]
    python -m experiments.train recipe=gte train_data=jsonl train_data.jsonl.source.file=triples.jsonl output=DIR

jsonl takes JSON lines with "query" (or "anchor"), "positive", and optionally "negative", "scores" and "instruction".
DIR gets encoder/ (for embedder=saved, or trained=[DIR] of experiments.embed), manifest.json, loss.csv and stages/.
embed_task= judges the encoder before and after training, and prints the gain across seeds. Further settings:

    recipe.stages.contrastive.steps=200         also batch_size, learning_rate, temperature, lora.rank, ...
    recipe.stages.contrastive.mini_batch=32     gradient caching: batches larger than memory
    train_data.stsb.least=3.5                   lowest score of a pair that counts as a positive
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, get_args

from omegaconf import DictConfig

from fmtbench.backbone import Dtype
from fmtbench.errors import UserError

from .embedding.parts import build_embed_backend, embed_tasks, load_data, write_table
from .starting.build import build
from .starting.start import start

logger = logging.getLogger(__name__)


def main(config: DictConfig) -> None:
    if not config.seeds or len(set(config.seeds)) < len(config.seeds):
        raise UserError(f"seeds={list(config.seeds)}: give at least one seed, and each once")
    if config.judge_dtype not in (None, *get_args(Dtype)):
        raise UserError(f"judge_dtype={config.judge_dtype}: allowed are null, {', '.join(get_args(Dtype))}")
    output, recipe = Path(config.output), build(config.recipe, "recipe")
    data = load_data(config)
    recipe.check(data)
    backend = build_embed_backend(config)
    tasks = embed_tasks(config)
    made = {f"seed {seed}": recipe.train(data, seed_folder(output, config.seeds, seed), seed) for seed in config.seeds}
    for folder in made.values():
        print(f"{folder}: trained on {len(data.examples)} examples")
    if tasks:
        untrained = recipe.rounded(config.judge_dtype or "auto")
        judge(untrained, made, tasks, backend, output)


def seed_folder(output: Path, seeds: list[int], seed: int) -> Path:
    """The folder of a seed; a single seed uses the output folder itself."""
    return output if len(seeds) == 1 else output / f"seed{seed}"


def judge(untrained: Any, made: dict[str, Path], tasks: dict[str, Any], backend: Any, output: Path) -> None:
    """Judge the untrained and the trained encoders on held-out tasks: table.md, table.csv, and the gain across seeds."""
    from fmtbench.embed.evaluation import evaluate
    from fmtbench.embed.saved import SavedEncoder
    from fmtbench.embed.scores import gains

    trained = {name: SavedEncoder(path=str(folder), backbone=untrained.backbone) for name, folder in made.items()}
    scores = evaluate({"untrained": untrained, **trained}, tasks, backend, output / "scores.jsonl", output / "mteb")
    write_table(scores, output)
    for line in gains(scores, "untrained"):
        print(line)


if __name__ == "__main__":
    start("train", main)
