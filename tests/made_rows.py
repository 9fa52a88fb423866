"""Rows with known verdicts, for the tests of the analysis."""

from typing import Any

import numpy as np
import pandas as pd


def made_rows(verdicts: dict[str, Any], **columns: Any) -> pd.DataFrame:
    """`verdicts`: for each condition an array items, or items x prompts, or items x prompts x samples of 0 and 1.

    A keyword gives a column: one value, or a dictionary of arrays of the same shape by condition.
    """
    frames = []
    for condition, values in verdicts.items():
        right = np.asarray(values)
        right = right.reshape(right.shape + (1,) * (3 - right.ndim)).astype(bool)
        item, prompt, sample = (index.ravel() for index in np.indices(right.shape))
        whole: dict[str, Any] = {
            **{"experiment": "e", "backbone": "b", "task": "t", "condition": condition, "prompt": prompt.astype(str), "seed": 0},
            **{"sample": sample, "item_id": item.astype(str), "question": "q", "gold": "1", "answer": "1", "status": "ok"},
            **{
                "correct": right.ravel(),
                "marked_answer": "1",
                "marked_correct": right.ravel(),
                "latent_answer": "1",
                "latent_correct": right.ravel(),
                "finish_reason": "stop",
            },
            **{"prompt_tokens": 9, "completion_tokens": 10, "reasoning_tokens": 5, "reasoning_words": 4, "text": "1"},
            **{"request_key": "k", "seconds": 0.1},
        }
        for name, value in columns.items():
            if not isinstance(value, dict):
                whole[name] = value
            elif condition in value:
                whole[name] = np.asarray(value[condition]).ravel()
        frames.append(pd.DataFrame(whole))
    return pd.concat(frames, ignore_index=True)


def coins(seed: int, *shape: int, p: float = 0.5) -> Any:
    return np.random.default_rng(seed).random(shape) < p
