"""E5's filter: ranks by plain loops, noise of which the truth is known, and a stage that hands on what it keeps."""

from __future__ import annotations

import gzip
import json
import logging
import math
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from experiments.starting.build import build_group
from fmtbench.backbone import Backbone
from fmtbench.embed.encoder import Encoder
from fmtbench.embed.saved import SavedEncoder
from fmtbench.embed.st import STEmbedBackend
from fmtbench.embed.training.adapters import Lora
from fmtbench.embed.training.consistency import Consistency
from fmtbench.embed.training.contrastive import Contrastive
from fmtbench.embed.training.examples import Example, TrainSet, distinct, joined, read_examples
from fmtbench.embed.training.noise import Noisy
from fmtbench.embed.training.ranks import as_sparse, filtered, ranks
from fmtbench.embed.training.recipe import TrainingRecipe
from fmtbench.embed.training.simcse import SimCSE
from fmtbench.errors import UserError
from tests.commanding import command
from tests.conftest import composed
from tests.test_train_data import write_scifact
from tests.tiny_backbone import sentences, write_backbone

LORA = Lora(rank=4, alpha=8)


# -- ranks


@pytest.mark.parametrize("sparse", [False, True])
def test_a_rank_counts_what_is_at_least_as_near_as_the_own_document(sparse: bool) -> None:
    """By plain loops; the own document in the pool or not, some twice near, some that share nothing with their query."""
    from scipy.sparse import csr_matrix

    draws = np.random.default_rng(0)
    queries, pool = (np.abs(draws.normal(size=(n, 6))) * (draws.random((n, 6)) < 0.4) for n in (30, 40))
    lengths = [np.linalg.norm(one, axis=1, keepdims=True) for one in (queries, pool)]
    queries, pool = (np.divide(one, size, where=size > 0, out=one) for one, size in zip((queries, pool), lengths))
    own = np.concatenate([pool[:15], pool[:15][::-1]])
    names = [f"document {i}" for i in range(40)]
    mine = names[:15] + [f"elsewhere {i}" for i in range(15)]
    expected = [
        min(20, sum(query @ other >= query @ document - 1e-6 for name, other in zip(names, pool) if name != text))
        for query, document, text in zip(queries, own, mine)
    ]
    made = [as_sparse(csr_matrix(one)) if sparse else torch.from_numpy(one) for one in (queries, own, pool)]
    assert ranks(*made, mine, names, 20) == expected
    assert len(set(expected)) > 5
    without = [rank for rank, query, document in zip(expected, queries, own) if query @ document == 0]
    assert without
    assert set(without) == {20}


def test_precision_and_recall_of_a_filter() -> None:
    ranked, wrong = [0, 1, 2, 0, 5, 1], [False, False, False, True, True, True]
    assert filtered(ranked, wrong, 1) == {"kept": 2 / 6, "precision": 1 / 2, "recall": 1 / 3}
    assert filtered(ranked, wrong, 2) == {"kept": 4 / 6, "precision": 2 / 4, "recall": 2 / 3}
    assert filtered(ranked, [False] * 6, 2) == {"kept": 4 / 6, "precision": None, "recall": None}
    assert filtered([5, 6], [False, True], 2) == {"kept": 0.0, "precision": None, "recall": 0.0}
    draws = np.random.default_rng(1)
    blind = filtered(draws.integers(0, 4, 20_000).tolist(), (draws.random(20_000) < 0.3).tolist(), 2)
    assert blind["precision"] == pytest.approx(0.7, abs=0.02), "a filter that knows nothing keeps the share that there is"


# -- noise


@dataclass
class Given:
    """A training set that is there already."""

    examples: tuple[Example, ...]

    def load(self) -> TrainSet:
        return TrainSet(
            examples=self.examples, texts=distinct(text for one in self.examples for text in (one.anchor, one.positive))
        )


PAIRS = tuple(Example(anchor=a, positive=b, instruction="Find it.") for a, b, _ in sentences())


@pytest.mark.parametrize("hard", [True, False])
def test_a_known_share_is_wrong_and_the_right_documents_stay_in_the_pool(hard: bool) -> None:
    found = Noisy(data=Given(PAIRS), noise=0.3, hard=hard).load()  # type: ignore[arg-type]
    wrong = [(one, right) for one, right in zip(found.examples, PAIRS) if one.wrong]
    assert len(wrong) == round(0.3 * len(PAIRS))
    assert all(one == right for one, right in zip(found.examples, PAIRS) if not one.wrong)
    assert all(one.positive != right.positive and one.anchor == right.anchor for one, right in wrong)
    assert {one.positive for one, _ in wrong} <= {one.positive for one in PAIRS}
    assert set(found.documents) == {right.positive for _, right in wrong}
    words = [len(set(one.positive.split()) & set(right.positive.split())) for one, right in wrong]
    assert np.mean(words) > 2.9 if hard else np.mean(words) < 2.7
    again, other = (Noisy(data=Given(PAIRS), noise=0.3, hard=hard, seed=seed).load() for seed in (0, 1))  # type: ignore[arg-type]
    assert again == found
    assert other.examples != found.examples


def test_the_hard_one_is_the_nearest_by_tfidf() -> None:
    from sklearn.feature_extraction.text import TfidfVectorizer

    documents = [one.positive for one in PAIRS]
    matrix = TfidfVectorizer(sublinear_tf=True).fit_transform(documents).toarray()
    near = dict(zip(documents, matrix @ matrix.T))
    found = Noisy(data=Given(PAIRS), noise=0.3).load()  # type: ignore[arg-type]
    for one, right in zip(found.examples, PAIRS):
        if one.wrong:
            others = [score for text, score in zip(documents, near[right.positive]) if text != right.positive]
            assert near[right.positive][documents.index(one.positive)] == pytest.approx(max(others), abs=1e-6)


def test_a_document_of_the_same_query_is_not_wrong() -> None:
    texts = (("a", "red dog here"), ("a", "red dog"), ("b", "red cat over there"))
    two = tuple(Example(anchor=anchor, positive=positive) for anchor, positive in texts)
    for seed in range(6):
        for one in Noisy(data=Given(two), noise=0.4, seed=seed).load().examples:  # type: ignore[arg-type]
            assert not one.wrong or (one.anchor == "a") == (one.positive == "red cat over there")
    with pytest.raises(UserError, match=r"noise=0\.9: there is no document that does not belong to 'a'"):
        Noisy(data=Given(two[:2]), noise=0.9).load()  # type: ignore[arg-type]


def test_sets_without_noise_have_the_hash_that_they_had() -> None:
    plain = Given(PAIRS).load()
    assert len(plain.content()) == 2
    assert "wrong" not in plain.content()[0][0]
    noisy = Noisy(data=Given(PAIRS), noise=0.3).load()  # type: ignore[arg-type]
    assert joined({"x": noisy}).content() == noisy.content() != plain.content()


def test_the_preset_has_titles_with_wrong_abstracts(tmp_path: Path) -> None:
    write_scifact(tmp_path)
    config = composed("train_data=scifact_noisy", "output=x", f"data_root={tmp_path}", root="train")
    (data,) = build_group(config.train_data).values()
    found = data.load()
    assert [one.anchor for one in found.examples] == ["Title 0", "Title 2", "Title 5"]
    assert [one.positive.removeprefix("Abstract ") != f"{one.anchor[-1]}." for one in found.examples] == [
        one.wrong for one in found.examples
    ]
    assert sum(one.wrong for one in found.examples) == 1


# -- the stage


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Backbone:
    return Backbone(**write_backbone(tmp_path_factory.mktemp("tiny")), dtype="float32")


def recipe(backbone: Backbone, stages: dict[str, Any]) -> TrainingRecipe:
    encoder = Encoder(backbone=backbone, pooling="mean", attention="bidirectional", append_eos=False, max_tokens=24)
    return TrainingRecipe(encoder=encoder, stages=stages)


@pytest.mark.model
def test_a_filter_that_was_trained_on_noise_finds_it(tiny: Backbone, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Wrong at random, on a tiny backbone; what it keeps is handed on, and after a kill it is what it was."""
    data = Noisy(data=Given(PAIRS), noise=0.3, hard=False).load()  # type: ignore[arg-type]
    fit: dict[str, Any] = {"batch_size": 16, "learning_rate": 1e-2, "temperature": 0.05, "lora": LORA}
    stages = {"noisy": Contrastive(steps=40, **fit), "filter": Consistency(k=2)}
    with caplog.at_level(logging.INFO, logger="fmtbench"):
        recipe(tiny, stages).train(data, tmp_path / "out", 0)
    (place,) = (tmp_path / "out" / "stages").glob("2-filter-*")
    kept, dropped = (read_examples(place / f"{name}.jsonl") for name in ("examples", "dropped"))
    assert sorted(map(str, kept + dropped)) == sorted(map(str, data.examples))
    table = pd.read_csv(place / "filter.csv").set_index(["filter", "k"])
    line = table.loc[("encoder", 2)]
    assert line.precision == pytest.approx(np.mean([not one.wrong for one in kept]))
    assert line.recall == pytest.approx(sum(not one.wrong for one in kept) / sum(not one.wrong for one in data.examples))
    assert line.precision > 0.85, "0.7 of the pairs are right"
    assert line.recall > 0.5
    assert table.loc[("tfidf", 2)].precision > 0.9
    assert list(table.loc["encoder"].index) == [1, 2, 3, 5, 10, 20]
    assert table.loc["encoder"].kept.is_monotonic_increasing
    assert f"of {len(PAIRS)} pairs, k=2 keeps by encoder" in caplog.text
    facts = next((tmp_path / "out" / "manifest.json").parent.glob("manifest.json")).read_text()
    assert '"tfidf"' in facts


@pytest.mark.model
def test_a_restart_goes_on_from_the_backbone_with_the_kept_pairs(tiny: Backbone, tmp_path: Path) -> None:
    data = Noisy(data=Given(PAIRS), noise=0.3, hard=False).load()  # type: ignore[arg-type]
    fit: dict[str, Any] = {"batch_size": 8, "learning_rate": 1e-2, "lora": LORA, "steps": 4}
    stages = {"noisy": Contrastive(**fit), "filter": Consistency(k=3, restart=True)}
    folder = recipe(tiny, stages).train(data, tmp_path / "out", 0)
    recipe(tiny, {}).train(data, tmp_path / "untrained", 0)
    texts = [one.anchor for one in PAIRS[:5]]

    def vectors(place: Path) -> np.ndarray:
        with STEmbedBackend().open(SavedEncoder(path=str(place))) as embedder:
            return embedder.encode(texts).vectors

    assert (vectors(folder) * vectors(tmp_path / "untrained")).sum(1).min() > 1 - 1e-6
    (place,) = (tmp_path / "out" / "stages").glob("2-filter-*")
    kept = read_examples(place / "examples.jsonl")
    whole = stages | {"clean": Contrastive(**fit)}
    recipe(tiny, whole).train(data, tmp_path / "whole", 0)
    (tmp_path / "out" / "manifest.json").unlink()
    recipe(tiny, whole).train(data, tmp_path / "out", 0)
    assert (vectors(tmp_path / "out") * vectors(tmp_path / "whole")).sum(1).min() > 1 - 1e-6, "as if it had not stopped"
    alone = recipe(tiny, {"clean": Contrastive(**fit)}).train(replace(data, examples=tuple(kept)), tmp_path / "alone", 0)
    assert (vectors(tmp_path / "whole") * vectors(alone)).sum(1).min() > 1 - 1e-6, "nothing else of the filter is left"


@pytest.mark.model
@pytest.mark.slow
def test_the_recipe_of_e5_from_noisy_pairs_to_a_distilled_encoder(tmp_path: Path) -> None:
    write_backbone(tmp_path / "tiny")
    (tmp_path / "scifact" / "qrels").mkdir(parents=True)
    corpus = [{"_id": str(i), "title": a, "text": b} for i, (a, b, _) in enumerate(sentences())]
    with gzip.open(tmp_path / "scifact" / "corpus.jsonl.gz", "wt") as lines:
        lines.writelines(json.dumps(row) + "\n" for row in corpus)
    (tmp_path / "scifact" / "qrels" / "train.tsv").write_text("query-id\tcorpus-id\tscore\n7\t1\t1\n")
    backbone = ["backbone=local", "backbone.name=tiny", f"backbone.path={tmp_path / 'tiny'}", "backbone.context=128"]
    sizes = {"noisy": 16, "contrastive": 16, "cross_encoder": 8, "distill": 2}  # few texts, of which none is twice in a batch
    short = [f"recipe.stages.{name}.{one}" for name, size in sizes.items() for one in ("steps=10", f"batch_size={size}")]
    words = ["recipe=e5", "train_data=scifact_noisy", f"data_root={tmp_path}", f"output={tmp_path / 'out'}", *backbone, *short]
    done = command("train", *words)
    assert done.code == 0, done.err
    assert re.search(
        r"2-consistency-\w+: of 83 pairs, k=2 keeps by encoder \d+% \(precision \d\.\d\d, recall \d\.\d\d\); tfidf", done.err
    )
    stages = json.loads((tmp_path / "out" / "manifest.json").read_text())["stages"]
    assert list(stages) == ["noisy", "consistency", "contrastive", "mine", "cross_encoder", "distill"]
    assert stages["consistency"]["examples"] + stages["consistency"]["left_out"] == 83
    assert stages["mine"]["settings"]["negatives"] == 7


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        ({"filter": Consistency(k=84)}, r"filter: the 84 nearest of 84 documents are all of them: lower k"),
        ({"filter": Consistency(k=5, pool=4)}, r"filter: the 5 nearest of 4 documents are all of them"),
        ({"filter": Consistency(restart=True)}, r"filter: restart=true drops an adapter, and there is none"),
        ({"a": Contrastive(batch_size=8), "filter": Consistency(restart=True)}, r"filter: restart=true drops an adapter"),
    ],
)
def test_what_cannot_work_is_refused_before_weights_are_loaded(stages: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        recipe(Backbone(name="nowhere", path="/no/such/model"), stages).check(Given(PAIRS).load())


# -- chance


@pytest.mark.parametrize("more", [{}, {"directions": ("query_to_doc", "query_to_query", "doc_to_query", "doc_to_doc")}])
@pytest.mark.parametrize("negatives", [0, 2])
def test_chance_is_the_loss_of_vectors_that_are_all_alike(more: Any, negatives: int) -> None:
    from fmtbench.embed.training.objectives import ranking_loss

    stage = Contrastive(batch_size=6, **more)
    alike = [torch.ones(6, 4) for _ in range(2 + negatives)]
    loss = ranking_loss(torch.nn.Identity(), 0.05, stage.directions, None, None).compute_loss_from_embeddings(alike, None)
    assert stage.chance(negatives) == pytest.approx(float(loss), rel=1e-5)
    assert SimCSE(batch_size=6).chance(0) == pytest.approx(math.log(6))


@pytest.mark.model
@pytest.mark.parametrize(("temperature", "lines"), [(0.05, 0), (50.0, 1)])
def test_a_recipe_that_has_learnt_nothing_says_so_in_one_line(
    tiny: Backbone, tmp_path: Path, caplog: pytest.LogCaptureFixture, temperature: float, lines: int
) -> None:
    """At a temperature at which the nearest text weighs as much as the farthest, nothing can be learnt."""
    stage = Contrastive(steps=20, batch_size=16, learning_rate=1e-2, temperature=temperature, lora=LORA)
    recipe(tiny, {"train": stage}).train(Given(PAIRS).load(), tmp_path / "out", 0)
    said = [one.getMessage() for one in caplog.records if "at chance" in one.getMessage()]
    assert len(said) == lines
    if said:
        assert "the loss is still at chance (2." in said[0]
        assert "chance is 2.77): it has learnt nothing" in said[0]
