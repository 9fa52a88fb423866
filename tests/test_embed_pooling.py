"""Pooling against a plain loop over the tokens of one text at a time."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as some

from fmtbench.embed.pooling import POOLINGS, pool


def looped(states: list[torch.Tensor], pooling: str) -> torch.Tensor:
    weights = {"mean": [1.0] * len(states), "weighted_mean": [i + 1.0 for i in range(len(states))]}
    if pooling in weights:
        vector = sum(weight * state.double() for weight, state in zip(weights[pooling], states))
    else:
        vector = states[-1 if pooling == "last_token" else 0].double()
    return vector / vector.norm()


@given(
    lengths=some.lists(some.integers(1, 7), min_size=1, max_size=5),
    side=some.sampled_from(["left", "right"]),
    seed=some.integers(0, 10_000),
)
@pytest.mark.parametrize("pooling", list(POOLINGS))
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_the_same_as_a_loop_wherever_the_padding_stands(pooling, dtype, lengths, side, seed) -> None:
    hidden_BLD = torch.randn(len(lengths), 7, 4, generator=torch.Generator().manual_seed(seed)).to(dtype)
    mask_BL = torch.zeros(len(lengths), 7, dtype=torch.int64)
    for row, length in enumerate(lengths):
        mask_BL[row, slice(7 - length, 7) if side == "left" else slice(0, length)] = 1
    hidden_BLD[mask_BL == 0] = float("nan")  # what stands under the padding must not matter
    vectors_BD = pool(hidden_BLD, mask_BL, pooling)
    assert vectors_BD.dtype == torch.float32
    assert torch.allclose(vectors_BD.norm(dim=1), torch.ones(len(lengths)), atol=1e-6), "unit length whatever the dtype"
    for row in range(len(lengths)):
        expected = looped(list(hidden_BLD[row][mask_BL[row] == 1]), pooling)
        assert torch.allclose(vectors_BD[row].double(), expected, atol=1e-5)


def test_a_text_without_a_position_is_our_mistake() -> None:
    with pytest.raises(AssertionError):
        pool(torch.ones(1, 2, 3), torch.zeros(1, 2), "mean")
