"""Let a backbone write training triples for embedders: brainstorm tasks, then a JSON triple for each task and its attributes.

    python -m experiments.synthesize tasks=20 triples=100 seed=1 output=DIR
    python -m experiments.synthesize backbone=qwen2_5_7b backend=vllm tasks=2000 triples=50000 output=DIR
    python -m experiments.synthesize languages=[English,Korean,German] output=DIR

Writes triples.jsonl (query, positive, negative and where they come from), tasks.jsonl, rejected.jsonl (with the reason) and
manifest.json. The same command writes to the same place, so run it again to resume. Further settings:

    synthesis.triple.max_tokens=1536 synthesis.triple.attributes.num_words=[100,300,500]   longer texts
    synthesis.temperature=0.8              1 by default, with top_p=1
    synthesis.similarity=0.5               stricter on near duplicates
    languages=[English,English,Korean]     two thirds English
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from fmtbench.errors import FmtbenchError, UserError
from fmtbench.store.files import write_text

from .reporting.progress import progress
from .starting.build import build
from .starting.start import start


def main(config: DictConfig) -> None:
    import pandas as pd

    from fmtbench.analysis.showing.markdown import to_markdown
    from fmtbench.synthesis.run import synthesize

    this = make_synthesis(config)
    made = synthesize(this, progress)
    text = to_markdown(pd.DataFrame(table(made.counts)))
    write_text(this.output / "table.md", text)
    print(f"{text}\n{this.output / 'triples.jsonl'}: {len(made.triples)} triples for {len(made.tasks)} tasks")
    if not made.triples:
        raise FmtbenchError(f"nothing was kept: {this.output / 'rejected.jsonl'} has every text with the reason")


def make_synthesis(config: DictConfig) -> Any:
    """The synthesis that a config describes. Loads no weights. Raises `UserError` for any mistake in the config."""
    for name in ("tasks", "triples", "attempts"):
        if config[name] < 1:
            raise UserError(f"{name}={config[name]}: give a number above 0")
    from fmtbench.synthesis.run import Synthesis

    return Synthesis(
        recipe=build(config.synthesis, "synthesis"),
        backbone=build(config.backbone, "backbone"),
        backend=build(config.backend, "backend"),
        tasks=config.tasks,
        triples=config.triples,
        attempts=config.attempts,
        seed=config.seed,
        output=Path(config.output),
        config=OmegaConf.to_yaml(config, resolve=True),
    )


def table(counts: dict[str, dict[str, int]]) -> list[dict[str, Any]]:
    """One line for each outcome that occurred, with its count in each step."""
    names = [name for name in counts["tasks"] if any(count[name] for count in counts.values())]
    return [{"": name, **{step: count[name] for step, count in counts.items()}} for name in names]


if __name__ == "__main__":
    start("synthesize", main)
