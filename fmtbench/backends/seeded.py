"""Sampling with one seed a request, by the Gumbel-max trick: the argmax of logits plus Gumbel noise is a sample.

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
        uniform_BV = torch.stack([torch.rand(scores.shape[-1], generator=generator) for generator in self.generators])
        noise_BV = -torch.log(-torch.log(uniform_BV.clamp(min=1e-20)).clamp(min=1e-20))
        return logits_BV + noise_BV.to(scores.device)
