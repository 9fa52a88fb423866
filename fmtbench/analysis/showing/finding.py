"""The largest effects of a study in one sentence, for the top of a page.

Against free_cot, the largest loss of what the lenient reader finds is direct on gsm8k (qwen): 14.2 points [8.2, 19.4];
the largest gain is json_schema on task280 (smollm2): 36.8 points [27.8, 44.6].
"""

from __future__ import annotations

from typing import Any

import pandas as pd


def finding(contrasts: pd.DataFrame) -> str:
    """Takes a table of contrasts; reads the latent columns, so that a broken contract is not called a loss of knowledge.

    Only differences whose interval for these prompts excludes 0 count as effects; empty where there are no contrasts.
    """
    if contrasts.empty:
        return ""
    reference = contrasts["reference"].mode()[0]
    own = contrasts[(contrasts["reference"] == reference) & ~contrasts["latent_floor"]]
    losses = own[own["latent_high"] < 0].sort_values("latent_difference", kind="stable")
    gains = own[own["latent_low"] > 0].sort_values("latent_difference", ascending=False, kind="stable")
    said = [f"the largest {word} is {_effect(some.iloc[0])}" for word, some in (("loss", losses), ("gain", gains)) if len(some)]
    if not said:
        return f"Against {reference}, no condition changes what the lenient reader finds by more than chance could."
    return f"Against {reference}, in what the lenient reader finds, {'; '.join(said)}."


def _effect(line: Any) -> str:
    ends = sorted(abs(100 * line[end]) for end in ("latent_low", "latent_high"))
    points = f"{abs(100 * line['latent_difference']):.1f} points [{ends[0]:.1f}, {ends[1]:.1f}]"
    return f"{line['condition']} on {line['task']} ({line['backbone']}): {points}"
