"""Decoding a shrinking batch: a row leaves as soon as it is done, so that one long reply does not hold up the rest.

R rows in the batch, S slots that are still running, L tokens so far, V vocabulary.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from inspect import signature
from typing import Any, NamedTuple

import torch
from transformers import DynamicCache

from fmtbench.types import FinishReason

Choose = Callable[[Sequence[int], torch.Tensor], list[int]]
"""From the rows in S slots and their logits_SV to one token each; masks logits_SV in place."""


class Finished(NamedTuple):
    """One row's reply."""

    row: int
    ids: list[int]
    reason: FinishReason
    seconds: float
    """The row's share of the wall time: every step is divided among the rows that were running."""
    logprobs: list[float]
    """One for each token, after the mask and before temperature; empty if nobody asked for them."""


@torch.inference_mode()  # type: ignore[untyped-decorator]
def decode(
    model: Any,
    ids_RL: torch.Tensor,
    mask_RL: torch.Tensor,
    limits: Sequence[int],
    ends: frozenset[int],
    choose: Choose,
    *,
    with_logprobs: bool = False,
) -> Iterator[Finished]:
    """Yield each row as it ends: at one of the `ends` tokens, at its limit of new tokens, or with an error if a logit is
    NaN. Prompts are padded on the left.
    """
    cache, named = DynamicCache(config=model.config), cache_argument(model)
    rows = list(range(len(ids_RL)))
    written: list[list[int]] = [[] for _ in rows]
    seconds = [0.0 for _ in rows]
    logprobs: list[list[float]] = [[] for _ in rows]
    done: set[int] = set()
    step_SL, mask_SL, positions_SL = ids_RL, mask_RL, (mask_RL.cumsum(-1) - 1).clamp(min=0)
    while len(done) < len(ids_RL):
        started = time.perf_counter()
        output = model(
            input_ids=step_SL,
            attention_mask=mask_SL,
            position_ids=positions_SL,
            use_cache=True,
            logits_to_keep=1,
            **{named: cache},
        )
        logits_SV = output.logits[:, -1].float()
        broken = logits_SV.isnan().any(-1).tolist()
        tokens = choose(rows, logits_SV)
        chosen = log_probabilities(logits_SV, tokens) if with_logprobs else []
        running = [(slot, row) for slot, row in enumerate(rows) if row not in done]
        share = (time.perf_counter() - started) / len(running)
        for slot, row in running:
            written[row].append(tokens[slot])
            logprobs[row] += chosen[slot : slot + 1]
            seconds[row] += share
            if reason := _reason(written[row], limits[row], ends, broken[slot]):
                done.add(row)
                yield Finished(row, written[row], reason, seconds[row], logprobs[row])
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


def cache_argument(model: Any) -> str:
    """What the forward pass calls the cache: transformers 5.24 has renamed it since 5.19, and warns of the old name."""
    return "cache" if "cache" in signature(model.forward).parameters else "past_key_values"


def log_probabilities(logits_SV: torch.Tensor, tokens: Sequence[int]) -> list[float]:
    """The log-probability of one token for each slot."""
    picked_S1 = torch.tensor(tokens, device=logits_SV.device)[:, None]
    return logits_SV.log_softmax(-1).gather(-1, picked_S1)[:, 0].tolist()


def _reason(written: Sequence[int], limit: int, ends: frozenset[int], broken: bool) -> FinishReason | None:
    """Why a row is done; None if it is not."""
    if broken:
        return "error"
    if written[-1] in ends:
        return "stop"
    return "length" if len(written) == limit else None
