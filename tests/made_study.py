"""A made-up study with replies of real length, for the page and for exports: every verdict, and texts that try to be HTML."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tests.made_rows import made_rows

WORDS = ["so", "the", "answer", "is", "of", "we", "have", "two", "sum", "first", "number", "left", "apples", "give", "three"]
HOSTILE = (
    """</script><script>window.hit = 1</script><img src=x onerror="window.hit = 2"><b>bold</b> {{7*7}} ${7*7} &lt; \u2028 😀"""
)
STATUSES = np.array(["truncated", "no_mark", "loop", "no_answer"])


def made_study(root: Path, items: int, conditions: list[str], prompts: int = 1, words: int = 120) -> pd.DataFrame:
    """Writes one folder a condition with `items` of two tasks, and returns all rows."""
    frames = [_condition(k, name, items, prompts, words) for k, name in enumerate(conditions)]
    for name, rows in zip(conditions, frames):
        (root / name).mkdir(parents=True)
        rows.to_parquet(root / name / "rows.parquet")
    return pd.concat(frames, ignore_index=True)


def _condition(k: int, name: str, items: int, prompts: int, words: int) -> pd.DataFrame:
    rng = np.random.default_rng(k)
    shape = (items, prompts)
    right = rng.random(shape) < 0.5
    numbers = np.arange(items).repeat(prompts)
    columns: dict[str, Any] = {
        "status": np.where(right | (rng.random(shape) < 0.6), "ok", STATUSES[rng.integers(0, len(STATUSES), shape)]),
        "marked_correct": right,
        "latent_correct": right | (rng.random(shape) < 0.2),
        "text": [" ".join(rng.choice(WORDS, words)) + f" {name} {i}" for i in range(right.size)],
        "question": [f"Question {i}: " + " ".join(np.random.default_rng(i).choice(WORDS, 30)) for i in numbers],
        "task": np.where(numbers % 2, "riddles", "sums"),
        "item_id": [f"{'riddles' if i % 2 else 'sums'}/{i}" for i in numbers],
        "answer": np.where(right.ravel(), "1", None),
    }
    return made_rows({name: right}, **{column: {name: values} for column, values in columns.items()})
