"""Several training sets: of different shapes, each in batches of its own, as often as asked."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from torch.utils.data import ConcatDataset

from fmtbench.backbone import Backbone
from fmtbench.embed.encoder import Encoder
from fmtbench.embed.training import fitting
from fmtbench.embed.training.contrastive import Contrastive
from fmtbench.embed.training.examples import Example, TrainSet, by_source, distinct, joined
from fmtbench.embed.training.mine import Mine
from fmtbench.embed.training.recipe import TrainingRecipe
from fmtbench.embed.training.sampling import PowerSampler
from fmtbench.errors import UserError
from tests.conftest import CONF
from tests.tiny_backbone import sentences, write_backbone


def made(name: str, count: int, negatives: bool, **fields: Any) -> TrainSet:
    examples = [
        Example(anchor=f"{name} {a}", positive=f"{name} {b}", negatives=(f"{name} {c}",) if negatives else (), **fields)
        for a, b, c in sentences()[:count]
    ]
    return TrainSet(examples=tuple(examples), texts=distinct(text for one in examples for text in (one.anchor, one.positive)))


def recipe(folder: Path, **stages: Any) -> TrainingRecipe:
    backbone = Backbone(**write_backbone(folder), dtype="float32")
    return TrainingRecipe(encoder=Encoder(backbone=backbone, max_tokens=32), stages=stages)


@pytest.mark.parametrize("alpha", [1.0, 0.5])
def test_sets_of_different_shapes_train_together_and_no_batch_mixes_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, alpha: float
) -> None:
    """They were refused, or mixed, which makes negatives that are easy to tell by their topic."""
    batches: list[tuple[set[str], set[str]]] = []
    collate = fitting.ColumnCollator.__call__

    def watched(self: Any, rows: list[dict[str, Any]]) -> dict[str, Any]:
        batches.append(({row["anchor"].split()[0] for row in rows}, set(rows[0])))
        return collate(self, rows)

    monkeypatch.setattr(fitting.ColumnCollator, "__call__", watched)
    data = joined({"pairs": made("one", 48, False), "triples": made("two", 24, True, symmetric=True)})
    whole = recipe(tmp_path / "tiny", train=Contrastive(batch_size=8, epochs=1, temperature=0.05, alpha=alpha))
    whole.train(data, tmp_path / "out", 0)
    assert all(len(names) == 1 for names, _ in batches)
    assert all(("negative_1" in columns) == (names == {"two"}) for names, columns in batches)
    counts = Counter(name for names, _ in batches for name in names)
    assert sum(counts.values()) == 9
    if alpha == 1:
        assert counts == {"one": 6, "two": 3}, "in proportion, and every example once"


class Batches:
    """A sampler of one set, whose order is that of its epoch."""

    batch_size, drop_last = 10, True

    def __init__(self, rows: int) -> None:
        self.rows, self.epoch = rows, 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return self.rows // 10

    def __iter__(self) -> Any:
        order = [(i + self.epoch) % len(self) for i in range(len(self))]
        return iter([list(range(10 * i, 10 * i + 10)) for i in order])


@pytest.mark.parametrize(("alpha", "share"), [(1.0, 0.9), (0.5, 0.75), (0.0, 0.5)])
def test_a_set_comes_as_often_as_a_power_of_its_size(alpha: float, share: float) -> None:
    """Sizes 9000 and 1000; of 1000 batches a share of the larger one, within four standard errors."""
    sampler = PowerSampler(
        alpha, ConcatDataset([range(9000), range(1000)]), batch_samplers=[Batches(9000), Batches(1000)], seed=3
    )  # type: ignore[list-item]
    batches = list(sampler)
    assert len(batches) == len(sampler) == 1000
    assert {len({row >= 9000 for row in batch}) for batch in batches} == {1}
    assert abs(sum(batch[0] < 9000 for batch in batches) / 1000 - share) < 4 * (share * (1 - share) / 1000) ** 0.5
    assert list(sampler) == batches, "the same order when a killed run continues"
    sampler.set_epoch(1)
    assert list(sampler) != batches


def test_negatives_are_mined_within_a_set(tmp_path: Path) -> None:
    data = joined({"pairs": made("one", 30, False), "others": made("two", 30, False, symmetric=True)})
    whole = recipe(tmp_path / "tiny", mine=Mine(negatives=2, relative_margin=None), train=Contrastive(batch_size=2, steps=1))
    whole.train(data, tmp_path / "out", 0)
    from fmtbench.embed.training.examples import read_examples

    (path,) = tmp_path.glob("out/stages/*/examples.jsonl")
    mined = read_examples(path)
    assert set(by_source(mined)) == {"pairs", "others"}
    assert all(text.split()[0] == one.anchor.split()[0] for one in mined for text in one.negatives)


def test_a_set_that_fills_no_batch_is_named_before_weights_are_loaded(tmp_path: Path) -> None:
    data = joined({"pairs": made("one", 40, False), "few": made("two", 5, False)})
    whole = TrainingRecipe(
        encoder=Encoder(backbone=Backbone(name="x", path=str(tmp_path / "none"))), stages={"train": Contrastive(batch_size=8)}
    )
    with pytest.raises(
        UserError, match=r"train: batch_size=8 is larger than the data \(5 examples in the smallest training set\)"
    ):
        whole.check(data)


def test_one_set_has_the_keys_that_it_had(tmp_path: Path) -> None:
    """A folder that was trained before stays what it is: neither the set's name nor the new setting is in its hash."""
    one = made("one", 10, True)
    assert joined({"x": one}).content() == one.content()
    assert "source" not in one.content()[0][0]
    assert "alpha" not in Contrastive().settings()
    assert Contrastive(alpha=0.5).settings()["alpha"] == 0.5
    assert joined({"x": one, "y": replace(one)}).content() != joined({"y": one, "x": replace(one)}).content()


def test_every_recipe_says_which_layers_its_paper_trains() -> None:
    for path in sorted((CONF / "recipe").glob("*.yaml")):
        head = path.read_text().split("_target_")[0]
        said = " ".join(head.replace("#", "").split())
        assert "q_proj and v_proj" in said or "All weights are trained" in said, path.name
        assert "targets: all-linear" in head or "lora: null" in head, path.name
