"""Stages on a backbone of random weights; each known trap has its test."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fmtbench.backbone import Backbone
from fmtbench.embed.attention import attending, set_attention
from fmtbench.embed.encoder import Encoder
from fmtbench.embed.saved import SavedEncoder
from fmtbench.embed.st import STEmbedBackend, STEmbedder
from fmtbench.embed.templates import Template
from fmtbench.embed.training.adapters import Lora, attach, attention_dropout, merge, prepare_weights
from fmtbench.embed.training.consistency import Consistency
from fmtbench.embed.training.contrastive import Contrastive
from fmtbench.embed.training.distill import Distill
from fmtbench.embed.training.examples import Example, TrainSet
from fmtbench.embed.training.fitting import ColumnCollator, EncoderTrainer, arguments, as_rows, rounded, trainable
from fmtbench.embed.training.merge import Merge
from fmtbench.embed.training.mine import Finder, Mine, mine
from fmtbench.embed.training.mntp import MNTP, masking, with_head
from fmtbench.embed.training.recipe import TrainingRecipe
from fmtbench.embed.training.retromae import RetroMAE
from fmtbench.embed.training.simcse import SimCSE
from fmtbench.embed.training.teacher import CrossEncoder, scored
from fmtbench.embed.training.work import Work
from fmtbench.embed.vllm import VLLMEmbedBackend
from fmtbench.errors import UserError
from tests.tiny_backbone import sentences, write_backbone

LORA = Lora(rank=4, alpha=8)
TEXTS = ["the dog runs", "a cat", "the river shines and the house waits for the train " * 9]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Backbone:
    return Backbone(**write_backbone(tmp_path_factory.mktemp("tiny")))


@pytest.fixture(scope="module")
def data() -> TrainSet:
    examples = tuple(Example(anchor=a, positive=b, negatives=(c,), instruction="Find it.") for a, b, c in sentences())
    return TrainSet(examples=examples, texts=tuple(dict.fromkeys(text for row in sentences() for text in row)))


@pytest.fixture
def work(tiny: Backbone, data: TrainSet, tmp_path: Path) -> Work:
    encoder = Encoder(backbone=replace(tiny, dtype="float32"), max_tokens=24)
    return Work(backbone=tiny, loaded=encoder.load(), data=data, seed=0, folder=tmp_path)


def recipe(backbone: Backbone, stages: dict[str, Any], **encoder: Any) -> TrainingRecipe:
    return TrainingRecipe(encoder=Encoder(backbone=backbone, max_tokens=24, **encoder), stages=stages)


def vectors(encoder: Any, texts: list[str] = TEXTS) -> np.ndarray:
    with STEmbedBackend().open(encoder) as embedder:
        return embedder.encode(texts, "query", "Find it.").vectors


def lowest(one: np.ndarray, other: np.ndarray) -> float:
    return float((one * other).sum(1).min())


# -- what training sees


@pytest.mark.parametrize(("pooling", "include"), [("last_token", True), ("mean", False)])
def test_training_sees_the_vectors_that_encoding_gives(tiny: Backbone, pooling: Any, include: bool) -> None:
    """With template, EOS and truncation; pooled and normalised as an engine does."""
    template = Template(query='{instruction} "{text}" is:', document="{text}")
    encoder = Encoder(backbone=tiny, template=template, pooling=pooling, include_prompt=include, max_tokens=24)
    loaded = encoder.load()
    rows = [{"anchor": text, "positive": text, "instruction": "Find it.", "role": "document"} for text in TEXTS]
    batch = ColumnCollator(loaded.model.tokenizer, loaded.spec)(rows)
    model = trainable(loaded.model, loaded.spec).eval()
    with torch.inference_mode():
        features = {name: batch[f"anchor_{name}"] for name in ("input_ids", "attention_mask", "start")}
        seen = model(features)["sentence_embedding"].numpy()
        features = {name: batch[f"positive_{name}"] for name in ("input_ids", "attention_mask", "start")}
        documents = model(features)["sentence_embedding"].numpy()
    embedder = STEmbedder(loaded, STEmbedBackend())
    assert lowest(seen, embedder.encode(TEXTS, "query", "Find it.").vectors) > 1 - 1e-6
    assert lowest(documents, embedder.encode(TEXTS, "document", "").vectors) > 1 - 1e-6
    assert lowest(seen, documents) < 0.999


class AsTheyAre(ColumnCollator):
    """The rows of a batch instead of their tokens."""

    def __call__(self, rows: list[dict[str, Any]]) -> Any:
        return rows


def test_no_text_is_twice_in_a_batch(work: Work, tmp_path: Path) -> None:
    """Else it would be its own negative; the instruction, the same in every row, is no text."""
    examples = [Example(anchor=f"a{i % 5}", positive=f"p{i}", instruction="Find it.", symmetric=True) for i in range(40)]
    model = trainable(work.loaded.model, work.loaded.spec)
    fit = Contrastive(batch_size=4)
    trainer = EncoderTrainer(
        model=model,
        args=arguments(EncoderTrainer, tmp_path, 0, fit),
        train_dataset=as_rows(examples),
        loss=torch.nn.Identity(),
        data_collator=AsTheyAre(model.tokenizer, work.loaded.spec),
    )
    batches = [[(row["anchor"], row["positive"]) for row in batch] for batch in trainer.get_train_dataloader()]
    assert len(batches) >= 8
    for batch in batches:
        texts = [text for row in batch for text in row]
        assert len(texts) == len(set(texts)) == 8


# -- LoRA


def test_an_adapter_off_is_the_base_and_merged_is_the_adapter(work: Work, tiny: Backbone) -> None:
    lm = with_head(work.weights, tiny)
    ids = torch.tensor([work.loaded.model.tokenizer("the dog").input_ids[:-1]])

    def generated() -> list[int]:
        return lm.eval().generate(ids, max_new_tokens=12, do_sample=False, pad_token_id=0)[0].tolist()

    def states() -> torch.Tensor:
        with torch.inference_mode():
            return work.weights.eval()(ids).last_hidden_state

    base, base_states = generated(), states()
    torch.manual_seed(0)
    work.adapter = attach(work.weights, LORA)
    for name, weight in work.weights.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight.data, std=0.5)
    with_adapter, adapted = generated(), states()
    assert with_adapter != base, "the shared weights have it too"
    with work.adapter.disable_adapter():
        assert generated() == base
        assert torch.equal(states(), base_states)
        set_attention(work.weights, "bidirectional")  # as LLM2Vec trains
        assert not torch.equal(states(), base_states)
        with attending(work.weights, "causal"):
            assert generated() == base
        assert work.weights.config.is_causal is False
        set_attention(work.weights, "causal")
    merge(work)
    assert work.adapter is None
    assert torch.allclose(states(), adapted, atol=1e-4)
    assert generated() == with_adapter
    assert not any("lora" in name for name, _ in work.weights.named_parameters())


def test_only_the_adapter_is_trained_or_all_weights(work: Work) -> None:
    prepare_weights(work, LORA)
    assert {"lora_A" in name or "lora_B" in name for name, one in work.weights.named_parameters() if one.requires_grad} == {True}
    prepare_weights(work, None)
    assert all(one.requires_grad for one in work.weights.parameters())


# -- the objectives in the model


def test_simcse_has_two_views_in_training_only_and_the_dropout_is_taken_back(work: Work) -> None:
    batch = work.loaded.model.tokenizer(["the dog runs by the river"], return_tensors="pt")
    work.weights.config.is_causal = False

    def twice() -> float:
        with torch.no_grad():
            one, other = (work.weights(**batch).last_hidden_state for _ in range(2))
        return float((one - other).abs().max())

    work.weights.train()
    assert twice() == 0, "no dropout in the config of a decoder"
    with attention_dropout(work.weights, 0.3):
        assert all(layer.self_attn.attention_dropout == 0.3 for layer in work.weights.layers)
        assert twice() > 1e-3
        work.weights.eval()
        assert twice() == 0
        work.weights.train()
    assert twice() == 0


def test_the_gradient_of_a_masked_token_sits_on_the_position_before_it(work: Work, tiny: Backbone) -> None:
    lm = with_head(work.weights, tiny)
    ids = torch.arange(10, 18).unsqueeze(0)
    for i in (1, 4, 7):
        labels = torch.full_like(ids, -100)
        labels[0, i] = ids[0, i]
        out = lm(input_ids=ids, labels=labels)
        out.logits.retain_grad()
        out.loss.backward()
        moved = out.logits.grad[0].abs().sum(1) > 0
        assert moved.nonzero().flatten().tolist() == [i - 1]


def test_masks_are_what_the_collator_puts_and_the_tokenizer_of_the_encoder_stays(work: Work) -> None:
    from transformers import DataCollatorForLanguageModeling

    tokenizer = masking(work.loaded.model.tokenizer, "_")
    assert tokenizer.decode([tokenizer.mask_token_id]) == "_"
    assert work.loaded.model.tokenizer.mask_token is None
    torch.manual_seed(0)
    batch = DataCollatorForLanguageModeling(tokenizer, mlm=True, mlm_probability=0.5)([{"input_ids": list(range(20, 60))}])
    masked = batch["labels"] != -100
    assert (batch["input_ids"][masked] == tokenizer.mask_token_id).float().mean() > 0.5
    with pytest.raises(UserError, match="is no token of this backbone"):
        masking(work.loaded.model.tokenizer, "<mask>")


def test_rounding_stays_inside_the_model(work: Work) -> None:
    batch = work.loaded.model.tokenizer(["the dog runs by the river"], return_tensors="pt")
    exact = work.weights(**batch).last_hidden_state.detach()
    with rounded(work.weights, "bfloat16"):
        rough = work.weights(**batch).last_hidden_state.detach()
        assert (exact @ exact.mT).dtype == torch.float32
    assert 0 < float((exact - rough).abs().max()) < 0.1
    assert torch.equal(work.weights(**batch).last_hidden_state, exact)


def test_targets_that_are_not_there_are_refused(work: Work) -> None:
    with pytest.raises(UserError, match=r"lora\.targets=\['up'\] are no layers of this backbone"):
        attach(work.weights, Lora(targets=("up",)))


# -- whole recipes


def test_a_recipe_learns_and_its_folder_is_an_encoder(tiny: Backbone, data: TrainSet, tmp_path: Path) -> None:
    stage = Contrastive(steps=40, batch_size=16, learning_rate=1e-2, temperature=0.05, lora=LORA, matryoshka=(8,))
    made = recipe(tiny, {"contrastive": stage}, pooling="mean")
    folder = made.train(data, tmp_path / "out", 0)
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    facts = manifest["stages"]["contrastive"]
    assert facts["last_loss"] < 0.7 * facts["first_loss"]
    curve = (tmp_path / "out" / "loss.csv").read_text().splitlines()
    assert len(curve) == 41
    assert curve[1].startswith("contrastive,1,")
    assert {"commit", "dirty"} <= set(manifest["code"] or {"commit", "dirty"})
    assert manifest["packages"]["peft"]
    assert (manifest["seed"], len(manifest["data_sha256"])) == (0, 64)
    trained = vectors(SavedEncoder(path=str(tmp_path / "out"), backbone=tiny))
    assert lowest(trained, vectors(made.exact())) < 0.99
    adapter = next((tmp_path / "out" / "stages").glob("1-contrastive-*")) / "adapter"
    assert lowest(trained, vectors(replace(made.exact(), adapter=str(adapter)))) > 1 - 1e-5
    assert json.loads((folder / "config.json").read_text())["matryoshka_dimensions"] == [8]
    assert not list((tmp_path / "out").rglob("checkpoints"))
    short = vectors(SavedEncoder(path=str(folder), dimensions=8))
    assert np.allclose(short, trained[:, :8] / np.linalg.norm(trained[:, :8], axis=1, keepdims=True), atol=1e-5)
    with pytest.raises(UserError, match="dimensions=33: the vectors have 32"):
        vectors(SavedEncoder(path=str(folder), dimensions=33))
    anchors, positives = ([getattr(one, name) for one in data.examples[:20]] for name in ("anchor", "positive"))

    def found(encoder: Any) -> float:
        near = vectors(encoder, anchors) @ vectors(encoder, positives).T
        return float((near.argmax(1) == np.arange(len(anchors))).mean())

    assert found(SavedEncoder(path=str(folder))) > found(made.exact()) + 0.1


def test_stages_of_llm2vec_each_with_an_adapter_of_its_own(tiny: Backbone, data: TrainSet, tmp_path: Path) -> None:
    fit: dict[str, Any] = {"steps": 6, "batch_size": 8, "learning_rate": 1e-3, "lora": LORA}
    stages = {"mntp": MNTP(**fit), "merge": Merge(), "simcse": SimCSE(**fit), "contrastive": Contrastive(**fit)}
    made = recipe(tiny, stages, pooling="mean", attention="bidirectional", append_eos=False)
    made.train(data, tmp_path / "whole", 0)
    whole = vectors(SavedEncoder(path=str(tmp_path / "whole"), backbone=tiny))
    shorter = {name: stage for name, stage in stages.items() if name != "contrastive"}
    replace(made, stages=shorter).train(data, tmp_path / "short", 0)
    (tmp_path / "short" / "manifest.json").unlink()
    stamps = {path: path.stat().st_mtime_ns for path in (tmp_path / "short" / "stages").rglob("stage.json")}
    made.train(data, tmp_path / "short", 0)
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in stamps.items()), "finished stages are not run again"
    assert lowest(whole, vectors(SavedEncoder(path=str(tmp_path / "short")))) > 1 - 1e-6, "and leave the same behind"


def test_all_weights_can_be_trained_and_are_restored(tiny: Backbone, data: TrainSet, tmp_path: Path) -> None:
    fit: dict[str, Any] = {"steps": 4, "batch_size": 8, "learning_rate": 1e-3}
    one, both = {"first": Contrastive(**fit)}, {"first": Contrastive(**fit), "then": SimCSE(**fit)}
    recipe(tiny, one).train(data, tmp_path / "resumed", 0)
    (tmp_path / "resumed" / "manifest.json").unlink()
    for name in ("resumed", "whole"):
        recipe(tiny, both).train(data, tmp_path / name, 0)
    found = [vectors(SavedEncoder(path=str(tmp_path / name))) for name in ("resumed", "whole")]
    assert lowest(*found) > 1 - 1e-6


def test_mined_negatives_keep_the_margin_and_are_never_the_positive(work: Work) -> None:
    examples = tuple(replace(one, negatives=()) for one in work.data.examples)
    work.data = replace(work.data, examples=examples)
    finder = Finder(work, examples)
    found = mine(finder, examples, Mine(negatives=2, relative_margin=0.05))
    assert 0 < len(found) <= len(examples)
    assert {len(one.negatives) for one in found} == {2}
    assert all(one.instruction == "Find it." for one in found)
    texts = [text for one in found for text in (one.positive, *one.negatives)]
    document = dict(zip(texts, finder.encode_document(texts)))
    query = dict(zip([one.anchor for one in found], finder.encode_query([one.anchor for one in found])))
    for one in found:
        positive = float(query[one.anchor] @ document[one.positive])
        for text in one.negatives:
            assert text != one.positive
            assert float(query[one.anchor] @ document[text]) <= 0.95 * positive + 1e-6


def test_a_teacher_on_the_same_backbone_and_its_scores(tiny: Backbone, data: TrainSet, tmp_path: Path) -> None:
    """What does not belong ends in another word here, so that a tiny model can learn it."""
    told = [replace(one, negatives=(one.negatives[0].replace("now", "never"),)) for one in data.examples]
    data = replace(data, examples=tuple(told))
    fit: dict[str, Any] = {"batch_size": 8, "learning_rate": 1e-2, "lora": LORA}
    stages = {"cross_encoder": CrossEncoder(steps=60, **fit), "distill": Distill(steps=8, **fit)}
    recipe(tiny, stages).train(data, tmp_path / "out", 0)
    facts = json.loads((tmp_path / "out" / "manifest.json").read_text())["stages"]
    assert facts["cross_encoder"]["last_loss"] < 0.5 * facts["cross_encoder"]["first_loss"]
    teacher = next((tmp_path / "out" / "stages").glob("1-cross_encoder-*")) / "teacher"
    judged = scored(teacher, data.examples[:30], 8)
    assert np.mean([one.scores[0] > one.scores[1] for one in judged]) > 0.9
    alone = recipe(tiny, {"distill": Distill(steps=8, teacher=str(teacher), **fit)})
    alone.train(data, tmp_path / "alone", 0)
    found = [vectors(SavedEncoder(path=str(tmp_path / name))) for name in ("out", "alone")]
    assert lowest(*found) > 1 - 1e-5, "a teacher's folder does what the stage before does"


def test_names_that_are_part_of_keys_stay() -> None:
    """Those of 0.1: another name would train finished stages again, and measure scores again."""
    stages = [MNTP(), Merge(), SimCSE(), Contrastive(), Mine(), CrossEncoder(), Distill(), RetroMAE(), Consistency()]
    kinds = ["MNTP", "Merge", "SimCSE", "Contrastive", "Mine", "CrossEncoder", "Distill", "RetroMAE", "Consistency"]
    assert [stage.settings()["kind"] for stage in stages] == kinds
    assert (STEmbedBackend.score_key, VLLMEmbedBackend.score_key) == ("STEngine", "VLLMEngine")


# -- mistakes

NO_NEGATIVES = TrainSet(examples=tuple(Example(anchor=f"a{i}", positive=f"b{i}") for i in range(40)), texts=("a", "b"))


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        ({"c": Contrastive(batch_size=41)}, r"c: batch_size=41 is larger than the data \(40 examples\): lower it"),
        ({"m": MNTP(batch_size=4)}, r"m: batch_size=4 is larger than the data \(2 texts\)"),
        (
            {"c": Contrastive(directions=("doc_to_doc",))},
            r"c: directions lacks query_to_doc: allowed are query_to_doc, query_to_query",
        ),
        ({"c": Contrastive(directions=("query_to_doc", "up"))}, r"c: directions has up"),
        ({"merge": Merge()}, r"merge: there is no adapter to merge"),
        ({"c": Contrastive(), "merge": Merge()}, r"merge: there is no adapter to merge"),
        ({"d": Distill()}, r"d: examples without negatives have nothing to distil"),
        ({"x": CrossEncoder()}, r"x: the examples have no negatives"),
        ({"mine": Mine(), "d": Distill()}, r"d: no teacher: set teacher=FOLDER"),
        ({"mine": Mine(), "d": Distill(teacher="/no/such")}, r"d: teacher=/no/such holds no config\.json"),
        ({"mine": Mine(negatives=40)}, r"mine: 40 examples are too few"),
    ],
)
def test_what_cannot_work_is_refused_before_weights_are_loaded(tmp_path: Path, stages: Any, message: str) -> None:
    nowhere = Backbone(name="nowhere", path="/no/such/model")
    with pytest.raises(UserError, match=message):
        recipe(nowhere, stages).train(NO_NEGATIVES, tmp_path / "out", 0)


def test_a_template_without_its_instruction_is_refused() -> None:
    made = recipe(Backbone(name="x", path="/no"), {}, template=Template(query="{instruction} {text}"))
    with pytest.raises(UserError, match=r"needs an instruction, 40 examples have none: set instruction in train_data"):
        made.check(NO_NEGATIVES)


def test_another_backbone_or_pooling_than_the_saved_ones_is_refused(tiny: Backbone, data: TrainSet, tmp_path: Path) -> None:
    folder = recipe(tiny, {}).train(data, tmp_path / "out", 0)
    other = Backbone(**write_backbone(tmp_path / "other", layers=1) | {"name": "other"})
    with pytest.raises(UserError, match=r"was trained on backbone 'tiny' .* asked for is 'other'"):
        SavedEncoder(path=str(folder), backbone=other).load()
    with pytest.raises(UserError, match=r"pools by last_token, asked for is mean"):
        SavedEncoder(path=str(folder), pooling="mean").load()
    with pytest.raises(UserError, match=r"holds an encoder that was trained differently .*: give another output, or delete it"):
        recipe(tiny, {"c": Contrastive()}).train(data, tmp_path / "out", 0)
    with pytest.raises(UserError, match=r"trained differently"):
        recipe(tiny, {}).train(data, tmp_path / "out", 1)
