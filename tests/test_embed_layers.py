"""The first so many layers, and a mean without the first token: on random weights, against transformers alone."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from experiments.starting.build import build_group
from fmtbench.backbone import Backbone
from fmtbench.embed.encoder import Encoder
from fmtbench.embed.layers import EveryLayer, layer_lines, layer_states, variants
from fmtbench.embed.loading import keep_layers, save
from fmtbench.embed.pooling import taking_part
from fmtbench.embed.saved import SavedEncoder
from fmtbench.embed.scores import Score
from fmtbench.embed.spec import EncoderSpec
from fmtbench.embed.st import STEmbedBackend
from fmtbench.embed.templates import Template
from fmtbench.embed.training.fitting import ColumnCollator, trainable
from fmtbench.embed.vllm import VLLMEmbedBackend
from fmtbench.errors import UserError
from tests.commanding import command
from tests.conftest import composed
from tests.tiny_backbone import sentences, write_backbone

pytestmark = pytest.mark.model

TEXTS = ["the dog runs", "a", "the river shines and the house waits for the train " * 9]
DEPTH = 4
CLOSE = 1e-5


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Backbone:
    return Backbone(**write_backbone(tmp_path_factory.mktemp("tiny"), layers=DEPTH), dtype="float32")


def vectors(encoder: Any, texts: list[str] = TEXTS) -> np.ndarray:
    with STEmbedBackend().open(encoder) as embedder:
        return embedder.encode(texts).vectors


def lowest(one: np.ndarray, other: np.ndarray) -> float:
    return float((one * other).sum(1).min())


@torch.inference_mode()
def by_hand(backbone: Backbone, layers: int, texts: list[str], skip_first: bool) -> np.ndarray:
    """transformers' own hidden states, which stand before the final norm but for those of the last layer."""
    from transformers import AutoModel, AutoTokenizer

    tokenizer, model = AutoTokenizer.from_pretrained(backbone.path), AutoModel.from_pretrained(backbone.path).eval()
    found = []
    for text in texts:
        ids = tokenizer(text).input_ids[:24]
        states = model(input_ids=torch.tensor([ids]), output_hidden_states=True).hidden_states[layers][0]
        states = states if layers == DEPTH else model.norm(states)
        found.append(states[skip_first and len(ids) > 1 :].mean(0).double().numpy())
    return np.array([one / np.linalg.norm(one) for one in found])


def mean(backbone: Backbone, **more: Any) -> Encoder:
    return Encoder(backbone=backbone, pooling="mean", append_eos=False, max_tokens=24, **more)


@pytest.mark.parametrize("layers", [1, 3, DEPTH])
@pytest.mark.parametrize("skip_first", [False, True])
def test_the_first_layers_and_the_final_norm(tiny: Backbone, layers: int, skip_first: bool) -> None:
    """ "a" is one token, which stays where nothing else would."""
    found = vectors(mean(tiny, layers=layers, skip_first=skip_first))
    assert lowest(found, by_hand(tiny, layers, TEXTS, skip_first)) > 1 - CLOSE
    assert lowest(found, by_hand(tiny, layers % DEPTH + 1, TEXTS, skip_first)) < 1 - 10 * CLOSE
    other = vectors(mean(tiny, layers=layers, skip_first=not skip_first))
    assert lowest(found[:1], other[:1]) < 1 - 10 * CLOSE
    assert lowest(found[1:2], other[1:2]) > 1 - CLOSE


def test_both_are_part_of_an_encoders_identity_and_older_ones_stay(tiny: Backbone) -> None:
    ways = [mean(tiny), mean(tiny, layers=3), mean(tiny, layers=2), mean(tiny, skip_first=True)]
    assert len({one.identity() for one in ways}) == 4
    assert not {"layers", "skip_first"} & mean(tiny).spec().said().keys()
    assert mean(tiny, layers=3, skip_first=True).spec().said().items() >= {"layers": 3, "skip_first": True}.items()


def test_a_folder_has_these_layers_alone(tiny: Backbone, tmp_path: Path) -> None:
    """sentence-transformers by itself, too, and after saving once more."""
    from safetensors.numpy import load_file
    from sentence_transformers import SentenceTransformer

    encoder = mean(tiny, layers=3)
    save(encoder.load(), tmp_path / "saved")
    assert json.loads((tmp_path / "saved" / "config.json").read_text())["num_hidden_layers"] == 3
    assert not [name for name in load_file(tmp_path / "saved" / "model.safetensors") if "layers.3." in name]
    expected = vectors(encoder)
    assert lowest(SentenceTransformer(str(tmp_path / "saved")).encode(TEXTS, normalize_embeddings=True), expected) > 1 - CLOSE
    save(SavedEncoder(path=str(tmp_path / "saved")).load(), tmp_path / "again")
    again = SavedEncoder(path=str(tmp_path / "again"), backbone=tiny)
    assert again.load().spec == encoder.spec()
    assert lowest(vectors(again), expected) > 1 - CLOSE


def test_a_folder_remembers_to_skip_the_first_token(tiny: Backbone, tmp_path: Path) -> None:
    encoder = mean(tiny, skip_first=True)
    save(encoder.load(), tmp_path / "saved")
    saved = SavedEncoder(path=str(tmp_path / "saved"))
    assert lowest(vectors(saved), vectors(encoder)) > 1 - CLOSE
    with pytest.raises(UserError, match=r"vllm cannot leave the first token out of a mean \(skip_first=true\)"):
        VLLMEmbedBackend().open(encoder)
    with pytest.raises(UserError, match="skip_first=true"):
        VLLMEmbedBackend().open(saved)


def test_kinds_of_layers_are_dropped_with_them() -> None:
    from transformers import Qwen2Config, Qwen2Model

    shape = {"hidden_size": 16, "intermediate_size": 16, "num_attention_heads": 2, "num_key_value_heads": 2, "vocab_size": 11}
    model = Qwen2Model(Qwen2Config(**shape, num_hidden_layers=3))
    keep_layers(model, 2)
    assert len(model.config.layer_types) == len(model.layers) == 2
    model(input_ids=torch.tensor([[1, 2]]))


def test_training_sees_what_encoding_gives(tiny: Backbone) -> None:
    loaded = mean(tiny, layers=2, skip_first=True).load()
    rows = [{"anchor": text, "instruction": "", "role": "query"} for text in TEXTS]
    batch = ColumnCollator(loaded.model.tokenizer, loaded.spec)(rows)
    with torch.inference_mode():
        model = trainable(loaded.model, loaded.spec).eval()
        seen = model({name: batch[f"anchor_{name}"] for name in ("input_ids", "attention_mask", "start")})["sentence_embedding"]
    assert lowest(seen.numpy(), vectors(mean(tiny, layers=2, skip_first=True))) > 1 - CLOSE


def test_an_adapter_of_all_layers_fits_the_first_ones(tiny: Backbone, tmp_path: Path) -> None:
    from fmtbench.embed.training.adapters import Lora, attach

    adapted = attach(mean(tiny).load().model[0].model, Lora(rank=2))
    for name, weight in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight.data, std=0.5)
    adapted.save_pretrained(str(tmp_path / "adapter"))
    encoder = mean(tiny, adapter=str(tmp_path / "adapter"))
    second = replace(encoder, layers=2)
    with EveryLayer(encoder, [second], STEmbedBackend()).open(second) as embedder:
        found = embedder.encode(TEXTS).vectors
    assert lowest(found, vectors(second)) > 1 - CLOSE
    assert lowest(found, vectors(mean(tiny, layers=2))) < 0.999, "the adapter does something"


@pytest.mark.parametrize("side", ["left", "right"])
def test_the_positions_that_are_pooled(side: str) -> None:
    """By a loop over each text: without the template's words, without the first token of all, one token at least."""
    lengths, starts = [1, 2, 5, 4], [0, 1, 2, 0]
    mask_BL = torch.zeros(4, 6, dtype=torch.int64)
    for row, length in enumerate(lengths):
        mask_BL[row, slice(6 - length, 6) if side == "left" else slice(0, length)] = 1
    for include_prompt in (True, False):
        for skip_first in (True, False):
            spec = EncoderSpec(pooling="mean", include_prompt=include_prompt, skip_first=skip_first)
            part_BL = taking_part(mask_BL, torch.tensor(starts), spec)
            for row, (length, start) in enumerate(zip(lengths, starts)):
                kept = list(range(0 if include_prompt else start, length))
                kept = [i for i in kept if i or not skip_first] or kept
                padding = 6 - length if side == "left" else 0
                assert part_BL[row].nonzero().flatten().tolist() == [padding + i for i in kept]


# -- study=layers


@pytest.mark.parametrize("attention", ["causal", "bidirectional"])
def test_one_pass_gives_what_each_encoder_gives_alone(tiny: Backbone, attention: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    passes: list[int] = []

    def watched(embedder: Any, batch: Any) -> Any:
        passes.append(len(batch))
        return layer_states(embedder, batch)

    monkeypatch.setattr("fmtbench.embed.layers.layer_states", watched)
    template = Template(query="Find: {text}", document="{text}")
    asked = variants(Encoder(backbone=tiny, template=template, attention=attention, max_tokens=24), [])
    assert {layer for layer, _ in asked} == {1, 2, 3, 4}
    every = EveryLayer(asked[DEPTH, "last token"], list(asked.values()), STEmbedBackend())
    for one in asked.values():
        with every.open(one) as embedder, STEmbedBackend().open(one) as alone:
            for role in ("query", "document"):
                found, expected = embedder.encode(TEXTS[::-1], role), alone.encode(TEXTS[::-1], role)
                assert lowest(found.vectors, expected.vectors) > 1 - CLOSE
                assert found[1:] == expected[1:], "tokens, and texts that were cut"
    assert sum(passes) == 2 * len(TEXTS), "each text once in each role, for all layers and poolings"


def test_the_whole_backbone_has_the_key_that_it_has_without_a_study(tiny: Backbone) -> None:
    asked = variants(mean(tiny), [2, DEPTH])
    assert asked[DEPTH, "mean"] == mean(tiny)
    assert asked[2, "mean without the first"] == mean(tiny, layers=2, skip_first=True)
    assert {layer for layer, _ in variants(mean(tiny, layers=3), [])} == {1, 2, 3}
    with pytest.raises(UserError, match=r"layers=\[2, 5\]: 5 is no layer; the encoder has 1 to 4"):
        variants(mean(tiny), [2, 5])


def test_a_line_is_a_layer_of_a_task(tiny: Backbone) -> None:
    asked = variants(mean(tiny), [1, 2])
    scores = [
        Score(key="", embedder="x", task=task, metric="ndcg_at_10", score=layer / 10 + number / 100 + (task == "b") / 2)
        for (layer, _), number in zip(asked, [0, 1, 2, 3] * 2)
        for task in ("a", "b")
    ]
    lines = layer_lines("x", asked, scores)
    assert [(line["task"], line["layer"]) for line in lines] == [(f"{task} (nDCG@10)", n) for task in "ab" for n in (1, 2)]
    assert lines[3]["mean"] == pytest.approx(20 + 1 + 50)
    assert list(lines[0])[3:] == ["last token", "mean", "mean without the first", "weighted mean"]


def test_the_command(tmp_path: Path) -> None:
    write_backbone(tmp_path / "tiny", layers=2)
    (tmp_path / "stsb_en").mkdir()
    pairs = [f"{a},{b},{5 * i / 84:.2f}" for i, (a, b, _) in enumerate(sentences())]
    (tmp_path / "stsb_en" / "stsb-en-dev.csv").write_text("\n".join(pairs))
    backbone = ["backbone=local", "backbone.name=tiny", f"backbone.path={tmp_path / 'tiny'}", "backbone.context=128"]
    words = [*backbone, "embed_task=[stsb]", f"data_root={tmp_path}", "limit=20", f"output={tmp_path / 'out'}"]
    done = command("embed", "study=layers", "embedder=[mean,last_token]", *words)
    assert done.code == 0, done.err
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in done.out.splitlines()]
    assert lines[0] == ["embedder", "task", "layer", "last token", "mean", "mean without the first", "weighted mean"]
    assert [line[:3] for line in lines[2:]] == [
        [name, "stsb (Spearman)", layer] for name in ("mean", "last_token") for layer in ("1", "2")
    ]
    journal = (tmp_path / "out" / "scores.jsonl").read_text()
    judged = command("embed", "embedder=[mean]", *words)
    assert judged.code == 0, judged.err
    assert (tmp_path / "out" / "scores.jsonl").read_text() == journal, "the encoder's own score is known from its line"
    assert f"{float(lines[3][4]):.1f}" in judged.out
    refused = command("embed", "study=layers", "embedder=[mean]", "embedder.mean.layers=3", *words)
    assert (refused.code, refused.error) == (2, "error: layers=3: the backbone has 2; give at most as many, or null for all")
    refused = command("embed", "study=layers", "embedder=[minilm]", *words)
    assert refused.code == 2
    assert "embedder=minilm is a saved folder" in refused.error


def test_presets_use_both() -> None:
    (encoder,) = build_group(composed("embedder=inner_mean", "output=x", root="embed").embedder).values()
    assert (encoder.layers, encoder.skip_first, encoder.pooling) == (24, True, "mean")
    with pytest.raises(ValueError, match="skip_first=true is for"):
        replace(encoder, pooling="first")
