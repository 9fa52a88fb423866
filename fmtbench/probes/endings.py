"""How likely a model finds each of several endings of one text. The text is read once: all endings share its KV cache.

    log_probabilities(reference, before, [[17], [17, 23]])       [-1.31, -4.02]

Each ending includes the token that ends a reply: without it `1` would also have the mass of `12`, which begins with it.
Shapes: C endings, E tokens of the longest, H width of the model, V its vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from fmtbench.backends.decode import cache_argument
from fmtbench.probes.replay import CHUNK, Reference


@torch.inference_mode()  # type: ignore[untyped-decorator]
def log_probabilities(reference: Reference, before: Sequence[int], endings: Sequence[Sequence[int]]) -> list[float]:
    """ln of the probability that the text `before`, of at least one token, continues with each ending and then ends."""
    from transformers import DynamicCache

    cache, body, device = DynamicCache(config=reference.model.config), reference.model.base_model, reference.model.device
    cached = {cache_argument(body): cache, "use_cache": True}
    ids_1L = torch.tensor([list(before)], device=device)
    last_1H = body(input_ids=ids_1L, **cached).last_hidden_state[0, -1:]
    cache.batch_repeat_interleave(len(endings))
    longest = max(map(len, endings))  # shorter ones are padded on the right, which a causal model never attends to
    ids_CE = torch.tensor([[*ending, *[0] * (longest - len(ending))] for ending in endings], device=device)
    hidden_CEH = body(input_ids=ids_CE, **cached).last_hidden_state
    ways = zip(hidden_CEH, endings)
    return [_sum(reference, torch.cat([last_1H, hidden_EH[: len(ending)]]), ending) for hidden_EH, ending in ways]


def _sum(reference: Reference, hidden_PH: torch.Tensor, ending: Sequence[int]) -> float:
    """The sum of the log-probabilities of an ending's tokens and of any token that ends a reply; position P predicts the next."""
    total = 0.0
    for start in range(0, len(hidden_PH), CHUNK):
        log_p_PV = reference.logits(hidden_PH[start : start + CHUNK]).double().log_softmax(-1)
        for log_p_V, place in zip(log_p_PV, range(start, len(hidden_PH))):
            said = reference.ends if place == len(ending) else [ending[place]]
            total += float(log_p_V[said].logsumexp(-1))
    return total
