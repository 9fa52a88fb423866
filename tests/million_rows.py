"""A made-up study of a million rows, to see what the tables cost in time and memory.

python -m tests.million_rows FOLDER && /usr/bin/time -v python -m experiments.tables results=FOLDER
"""

from __future__ import annotations

import sys
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from tests.made_rows import made_rows

BACKBONES, TASKS, ITEMS, PROMPTS = ("small", "large"), ("sums", "labels", "riddles", "recall"), 868, 6
REASONING = {
    "free": {},
    "direct": {"reasoning": "none", "order": "answer_only"},
    "words_25": {"reasoning": "budget", "words": 25},
    "staged": {"reasoning": "staged"},
}
FORMATS = {
    "text": {},
    "json": {"asked": "json"},
    "schema": {"asked": "json", "enforced": "schema"},
    "unasked": {"enforced": "schema"},
    "sham": {"enforced": "sham"},
    "json_first": {"asked": "json", "order": "answer_first"},
}


def conditions() -> dict[str, dict[str, Any]]:
    """24 of them; `free_cot` is the first."""
    cells = {f"{a}_{b}": REASONING[a] | FORMATS[b] for a, b in product(REASONING, FORMATS)}
    return {"free_cot" if name == "free_text" else name: cell for name, cell in cells.items()}


def write(root: Path) -> int:
    """One folder a cell with its rows and its config; returns the number of rows."""
    rows = 0
    for k, (backbone, task, (condition, settings)) in enumerate(product(BACKBONES, TASKS, conditions().items())):
        table = cell(backbone, task, condition, np.random.default_rng(k))
        for prompt, group in table.groupby("prompt"):
            folder = root / backbone / task / condition / f"{prompt}-seed0"
            folder.mkdir(parents=True)
            group.to_parquet(folder / "rows.parquet")
            (folder / "config.yaml").write_text(yaml.safe_dump({"condition": {condition: settings}, "planned": ["free_schema"]}))
        rows += len(table)
    return rows


def cell(backbone: str, task: str, condition: str, rng: np.random.Generator) -> pd.DataFrame:
    """Items differ in how often they are solved, so that an item's prompts are alike."""
    solve = np.random.default_rng(len(task)).beta(2, 2, size=(ITEMS, 1))
    right = rng.random((ITEMS, PROMPTS)) < solve
    gold = np.random.default_rng(len(task)).choice(["joy", "fear", "anger"], size=(ITEMS, 1)).repeat(PROMPTS, axis=1)
    return made_rows(
        {condition: right},
        **{"backbone": backbone, "task": task, "gold": {condition: gold} if task == "labels" else "1"},
        answer={condition: np.where(right, gold, "joy")},
        status={condition: np.where(right | (rng.random(right.shape) < 0.7), "ok", "truncated")},
        latent_correct={condition: right | (rng.random(right.shape) < 0.1)},
        completion_tokens={condition: rng.integers(5, 300, right.shape)},
        reasoning_words={condition: rng.integers(0, 200, right.shape)},
        text={condition: np.full(right.shape, "a rationale of some length, as real replies have one " * 6)},
    )


if __name__ == "__main__":
    print(f"{write(Path(sys.argv[1])):,} rows in {sys.argv[1]}")
