"""Sampling with one seed a request, by the Gumbel-max trick: the argmax of logits plus Gumbel noise is a sample.

Minus the logarithm of an exponential waiting time is Gumbel noise.

B rows, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from transformers import LogitsProcessor, TopPLogitsWarper


class SeededSampling(LogitsProcessor):
    """Turns greedy decoding into sampling; the noise of a row depends on its own seed and step alone."""

    def __init__(self, *, seeds: Sequence[int], temperature: float, top_p: float) -> None:
        self.temperature = temperature
        self.nucleus = TopPLogitsWarper(top_p) if top_p < 1 else None
        self.generators = [torch.Generator().manual_seed(seed) for seed in seeds]

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:
        logits_BV = scores.float() / self.temperature
        if self.nucleus is not None:
            logits_BV = self.nucleus(input_ids, logits_BV)
        waits_BV = torch.stack([torch.empty(scores.shape[-1]).exponential_(generator=generator) for generator in self.generators])
        return logits_BV - waits_BV.log().to(scores.device)
