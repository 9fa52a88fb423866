"""Decoding a batch that shrinks: a row leaves as soon as it is done, so that one long reply does not hold up the rest.

R rows in the batch, S slots that are still running, L tokens so far, V vocabulary.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import torch
from transformers import DynamicCache

from fmtbench.types import FinishReason

Choose = Callable[[Sequence[int], torch.Tensor], list[int]]
"""From the rows of S slots and their logits_SV to one token each."""


class Finished(NamedTuple):
    """One row's reply."""

    row: int
    ids: list[int]
    reason: FinishReason
    seconds: float
    """The row's share of the wall time: every step is shared out over the rows that were running."""


@torch.inference_mode()  # type: ignore[untyped-decorator]
def decode(
    model: Any, ids_RL: torch.Tensor, mask_RL: torch.Tensor, limits: Sequence[int], ends: frozenset[int], choose: Choose
) -> Iterator[Finished]:
    """Yield each row as it ends, by one of the `ends` tokens or at its limit of new tokens. Prompts are padded on the left."""
    cache = DynamicCache(config=model.config)
    rows = list(range(len(ids_RL)))
    written: list[list[int]] = [[] for _ in rows]
    seconds = [0.0 for _ in rows]
    done: set[int] = set()
    step_SL, mask_SL, positions_SL = ids_RL, mask_RL, (mask_RL.cumsum(-1) - 1).clamp(min=0)
    while len(done) < len(ids_RL):
        started = time.perf_counter()
        output = model(
            input_ids=step_SL,
            attention_mask=mask_SL,
            position_ids=positions_SL,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        tokens = choose(rows, output.logits[:, -1].float())
        running = [row for row in rows if row not in done]
        for row, token in zip(rows, tokens):
            if row not in done:
                written[row].append(token)
                seconds[row] += (time.perf_counter() - started) / len(running)
        for row in running:
            if written[row][-1] in ends or len(written[row]) == limits[row]:
                done.add(row)
                yield Finished(row, written[row], "stop" if written[row][-1] in ends else "length", seconds[row])
        step_SL = torch.tensor(tokens, device=ids_RL.device)[:, None]
        mask_SL = torch.cat([mask_SL, mask_SL.new_ones((len(rows), 1))], dim=-1)
        positions_SL = positions_SL[:, -1:] + 1
        # Leaving costs a copy of the cache, so rows leave together, an eighth of the batch at a time.
        keep = [slot for slot, row in enumerate(rows) if row not in done]
        if keep and len(rows) - len(keep) >= max(1, len(rows) // 8):
            kept_S = torch.tensor(keep, device=ids_RL.device)
            cache.batch_select_indices(kept_S)
            step_SL, mask_SL, positions_SL = step_SL[kept_S], mask_SL[kept_S], positions_SL[kept_S]
            rows = [rows[slot] for slot in keep]
