"""Losses against arithmetic written out here, and against sentence-transformers where it has the same."""

from __future__ import annotations

import itertools
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from fmtbench.embed.training.objectives import DIRECTIONS, DistilAndRank, info_nce, ranking_loss, too_near

WAYS = [("query_to_doc", *more) for n in range(4) for more in itertools.combinations(DIRECTIONS[1:], n)]


def vectors(columns: int, rows: int = 6, seed: int = 0) -> list[Tensor]:
    random = torch.Generator().manual_seed(seed)
    return [torch.randn(rows, 5, generator=random) for _ in range(columns)]


def loss_of(embeddings: list[Tensor], tau: float, ways: Any, margin: float | None) -> Tensor:
    return ranking_loss(nn.Identity(), tau, ways, margin, None).compute_loss_from_embeddings(embeddings, None)


@pytest.mark.parametrize("tau", [0.01, 0.02, 0.5])
def test_a_temperature_is_what_the_cosines_are_divided_by(tau: float) -> None:
    anchors, positives, negatives = (one.double().numpy() for one in vectors(3))
    unit = [one / np.linalg.norm(one, axis=1, keepdims=True) for one in (anchors, positives, negatives)]
    logits = unit[0] @ np.concatenate(unit[1:]).T / tau
    shifted = logits - logits.max(1, keepdims=True)
    expected = -(shifted - np.log(np.exp(shifted).sum(1, keepdims=True)))[np.arange(6), np.arange(6)].mean()
    found = loss_of([torch.tensor(one) for one in (anchors, positives, negatives)], tau, ("query_to_doc",), None)
    assert float(found) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("ways", WAYS, ids="+".join)
@pytest.mark.parametrize("columns", [2, 3, 4])
def test_ours_is_the_librarys_where_nothing_is_dropped(ways: tuple[str, ...], columns: int) -> None:
    embeddings = vectors(columns)
    ours = info_nce(embeddings[0], embeddings[1:], 0.05, ways, None)
    assert float(ours) == pytest.approx(float(loss_of(embeddings, 0.05, ways, None)), rel=1e-5)
    assert float(loss_of(embeddings, 0.05, ways, 2.0)) == pytest.approx(float(ours), rel=1e-5), "no cosine exceeds another by 2"


@given(seed=st.integers(0, 999), margin=st.floats(0, 0.5), columns=st.integers(2, 4))
def test_masking_drops_exactly_what_is_nearer_than_the_positive_by_the_margin(seed: int, margin: float, columns: int) -> None:
    embeddings = [torch.nn.functional.normalize(one, dim=1).double() for one in vectors(columns, seed=seed)]
    anchors, documents = embeddings[0].numpy(), torch.cat(embeddings[1:]).numpy()
    total = 0.0
    for i, anchor in enumerate(anchors):
        positive = anchor @ documents[i]
        kept = [anchor @ one for j, one in enumerate(documents) if j == i or not anchor @ one > positive + margin]
        total += np.log(np.exp(np.array(kept) / 0.1).sum()) - positive / 0.1
    assert float(loss_of(embeddings, 0.1, ("query_to_doc",), margin)) == pytest.approx(total / len(anchors), rel=1e-6)


def test_a_copy_of_the_positive_is_a_false_negative() -> None:
    anchor = torch.tensor([[1.0, 0.0], [0.8, 0.6]])
    cosine, positive = anchor @ anchor.T, torch.tensor([0.5, 1.0])
    assert too_near(cosine, positive, 0.1).tolist() == [[True, True], [False, False]]
    assert too_near(cosine, positive, 0.4).tolist() == [[True, False], [False, False]]


class Table(nn.Module):
    """An encoder of six texts: its weights are their vectors."""

    def __init__(self, columns: int) -> None:
        super().__init__()
        self.rows = nn.Parameter(torch.cat(vectors(columns)))

    def forward(self, features: dict[str, Tensor]) -> dict[str, Tensor]:
        return {"sentence_embedding": torch.nn.functional.normalize(self.rows[features["input_ids"][:, 0]], dim=1)}

    def __getitem__(self, number: int) -> Any:
        return SimpleNamespace()


@pytest.mark.parametrize("margin", [None, 0.1])
def test_gradient_caching_changes_neither_loss_nor_gradient(margin: float | None) -> None:
    found = []
    for mini_batch in (None, 2):
        model = Table(3)
        ids = torch.arange(18).view(3, 6, 1)
        features = [{"input_ids": one, "attention_mask": torch.ones_like(one)} for one in ids]
        loss = ranking_loss(model, 0.05, DIRECTIONS, margin, mini_batch)(features, None)
        loss.backward()
        found.append((loss.item(), model.rows.grad))
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-5)
    assert torch.allclose(found[0][1], found[1][1], atol=1e-5)
    assert float(found[0][1].abs().max()) > 0


def test_distillation_is_least_where_the_encoder_agrees_with_the_teacher() -> None:
    model = Table(3)
    ids = torch.arange(18).view(3, 6, 1)
    features = [{"input_ids": one, "attention_mask": torch.ones_like(one)} for one in ids]
    rows = torch.nn.functional.normalize(model.rows.detach(), dim=1).view(3, 6, 5)
    agreeing = (rows[0] * rows[1:]).sum(2).T / 0.05
    loss = DistilAndRank(model, temperature=0.05, teacher_temperature=1.0, contrastive=0.2)
    found = loss(features, agreeing)
    assert set(found) == {"distil", "rank"}
    assert found["distil"].item() == pytest.approx(0, abs=1e-5)
    assert loss(features, agreeing.flip(1))["distil"].item() > 1
    assert found["rank"].item() == pytest.approx(
        0.2 * loss_of(list(model.rows.view(3, 6, 5)), 0.05, ("query_to_doc",), None).item()
    )
