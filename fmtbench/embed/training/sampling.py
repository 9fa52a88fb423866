"""Which training set gives the next batch: each in proportion to a power of its size (GTE, Li et al. 2023, arXiv 2308.03281).

sentence-transformers has the powers 1 (proportional) and 0 (round robin, until the smallest is used up). With a power below 1
small sets come up more than once per epoch, so a set that is used up starts again in another order.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from sentence_transformers.base.sampler import MultiDatasetDefaultBatchSampler

from fmtbench.errors import UserError


class PowerSampler(MultiDatasetDefaultBatchSampler):
    """As many batches per epoch as all sets have together. Seed and epoch determine the order."""

    def __init__(self, alpha: float, dataset: Any, **others: Any) -> None:
        super().__init__(dataset, **others)
        self.alpha = alpha

    def __len__(self) -> int:
        return sum(map(len, self.batch_samplers))

    def __iter__(self) -> Iterator[list[int]]:
        sizes = torch.tensor([float(len(one)) for one in self.dataset.datasets])
        own = torch.Generator().manual_seed(self.seed + self.epoch)  # its own, since the sets' samplers share and reset theirs
        order = torch.multinomial(sizes**self.alpha, len(self), replacement=True, generator=own).tolist()
        starts = [0, *self.dataset.cumulative_sizes]
        batches = [self._endless(one) for one in self.batch_samplers]
        return ([starts[i] + row for row in next(batches[i])] for i in order)

    def _endless(self, sampler: Any) -> Iterator[list[int]]:
        number = self.epoch
        while True:
            sampler.set_epoch(number)
            found = list(sampler)
            if not found:
                raise UserError(
                    f"a training set has no batch of {self.batch_size} that is free of repeated texts: lower batch_size"
                )
            yield from found
            number += 1
