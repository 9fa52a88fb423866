"""RetroMAE on random weights: what each place sees, against arithmetic written out here, and what the stage leaves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from experiments.starting.build import build
from fmtbench.backbone import Backbone
from fmtbench.embed.encoder import Encoder
from fmtbench.embed.saved import SavedEncoder
from fmtbench.embed.st import STEmbedBackend
from fmtbench.embed.training.adapters import Lora
from fmtbench.embed.training.contrastive import Contrastive
from fmtbench.embed.training.examples import Example, TrainSet
from fmtbench.embed.training.fitting import Curve
from fmtbench.embed.training.merge import Merge
from fmtbench.embed.training.mntp import causal_lm
from fmtbench.embed.training.rebuilding import HiddenTokens, Rebuilding, decoder_of, visible_places
from fmtbench.embed.training.recipe import TrainingRecipe
from fmtbench.embed.training.retromae import RetroMAE
from fmtbench.errors import UserError
from tests.conftest import composed
from tests.tiny_backbone import sentences, write_backbone

pytestmark = pytest.mark.model

TEXTS = tuple(dict.fromkeys(text for row in sentences() for text in row))


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Backbone:
    """With embeddings, and so a head, that are large enough to name a token."""
    from transformers import LlamaForCausalLM

    made = Backbone(**write_backbone(tmp_path_factory.mktemp("tiny"), layers=2), dtype="float32")
    model = LlamaForCausalLM.from_pretrained(made.path)
    model.get_input_embeddings().weight.data.mul_(20)
    model.save_pretrained(made.path)
    return made


def encoder(backbone: Backbone, **more: Any) -> Encoder:
    return Encoder(
        backbone=backbone, **{"pooling": "mean", "attention": "bidirectional", "append_eos": False, "max_tokens": 24, **more}
    )


def rebuilding(backbone: Backbone, **more: Any) -> tuple[Rebuilding, Any]:
    loaded = encoder(backbone, **more).load()
    lm = causal_lm(loaded.model[0].model, backbone)
    return Rebuilding(
        loaded.model[0].model, lm.get_output_embeddings(), decoder_of(lm), loaded.spec, HiddenTokens(0.4, 0.5, 4, [0, 9])
    ), loaded


def batch() -> tuple[Tensor, Tensor]:
    """Random tokens of texts of 7, 4 and 2, and their mask."""
    mask_BL = (torch.arange(7) < torch.tensor([7, 4, 2]).unsqueeze(1)).long()
    return torch.randint(5, 200, (3, 7), generator=torch.Generator().manual_seed(3)), mask_BL


# -- what a place sees


def test_the_mask_row_by_row() -> None:
    lengths = [40, 25, 1]
    mask_BL = (torch.arange(40) < torch.tensor(lengths).unsqueeze(1)).long()
    visible = visible_places(mask_BL, 0.5, torch.Generator().manual_seed(0))
    assert visible.shape == (3, 40, 41)
    shares = []
    for text, length in enumerate(lengths):
        for token in range(length):
            row = visible[text, token].tolist()
            assert row[0], "the vector"
            assert not row[token + 1], "never itself"
            assert not any(row[length + 1 :]), "no padding"
            shares += [seen for place, seen in enumerate(row[1 : length + 1]) if place != token]
    assert abs(np.mean(shares) - 0.5) < 4 * (0.25 / len(shares)) ** 0.5
    rows = {tuple(visible[0, token, 1:].tolist()) for token in range(40)}
    assert len(rows) == 40, "each its own subset"
    assert not torch.equal(visible, visible_places(mask_BL, 0.5, torch.Generator().manual_seed(1)))
    few = visible_places(mask_BL, 0.9, torch.Generator().manual_seed(0))[0, :, 1:].float().mean()
    assert 0.05 < float(few) < 0.15


def test_a_place_depends_on_what_it_sees_and_on_nothing_else(tiny: Backbone) -> None:
    """By changing one token at a time, the place's own among them."""
    model, _ = rebuilding(tiny)
    ids, mask = batch()
    tokens = model.encoder.get_input_embeddings()(ids).detach()
    vectors = torch.randn(3, tokens.shape[2], generator=torch.Generator().manual_seed(1))
    visible = visible_places(mask, 0.5, torch.Generator().manual_seed(2))
    with torch.inference_mode():
        before = model.decoder(vectors, tokens, visible)
        for token in range(7):
            other = tokens.clone()
            other[:, token] += 1
            moved = (model.decoder(vectors, other, visible) - before).abs().amax(2) > 1e-6
            assert torch.equal(moved, visible[:, :, token + 1])
        moved = (model.decoder(vectors + 1, tokens, visible) - before).abs().amax(2) > 1e-6
    assert bool(moved.all()), "all see the vector"


def test_the_encoder_does_not_see_a_share_of_the_tokens(tiny: Backbone) -> None:
    model, _ = rebuilding(tiny)
    ids = torch.randint(0, 20, (40, 50), generator=torch.Generator().manual_seed(1))
    mask = (torch.arange(50) < 30).long().repeat(40, 1)
    torch.manual_seed(0)
    unseen = model.hidden(ids, mask)
    may = mask.bool() & (ids != 0) & (ids != 9)
    assert not bool((unseen & ~may).any()), "no padding, and no special token"
    assert float(unseen[may].float().mean()) == pytest.approx(0.4, abs=4 * (0.24 / int(may.sum())) ** 0.5)


# -- the loss


def rms(states: np.ndarray, norm: Any) -> np.ndarray:
    weight = norm.weight.detach().double().numpy()
    return weight * states / np.sqrt((states**2).mean(-1, keepdims=True) + norm.variance_epsilon)


def turned(state: np.ndarray, place: int, size: int) -> np.ndarray:
    """Rotary positions: the angle of each pair of dimensions i and i + size/2."""
    angle = place * 10000.0 ** (-np.arange(0, size, 2) / size)
    one, other = state[..., : size // 2], state[..., size // 2 :]
    return np.concatenate([one * np.cos(angle) - other * np.sin(angle), other * np.cos(angle) + one * np.sin(angle)], -1)


def by_hand(decoder: Any, vector: np.ndarray, tokens: np.ndarray, place: int, seen: list[int]) -> np.ndarray:
    """The state of one place; the query comes from the vector alone, keys and values from the places that it sees."""
    layer, attention = decoder.layer, decoder.layer.self_attn
    weight = {name: one.detach().double().numpy() for name, one in layer.named_parameters()}
    size, groups = attention.head_dim, attention.num_key_value_groups
    streams = rms(np.concatenate([vector[None], tokens]), layer.input_layernorm)

    def heads(name: str, state: np.ndarray) -> np.ndarray:
        return (weight[f"self_attn.{name}_proj.weight"] @ state).reshape(-1, size)

    query = turned(heads("q", rms(vector, layer.input_layernorm)), place, size)
    found = []
    for number, one in enumerate(query):
        keys = [turned(heads("k", streams[other]), other, size)[number // groups] for other in seen]
        values = [heads("v", streams[other])[number // groups] for other in seen]
        score = np.array([one @ key for key in keys]) / np.sqrt(size)
        share = np.exp(score - score.max())
        found.append((share / share.sum()) @ np.array(values))
    state = vector + weight["self_attn.o_proj.weight"] @ np.concatenate(found)
    inside = rms(state, layer.post_attention_layernorm)
    gate = weight["mlp.gate_proj.weight"] @ inside
    state = state + weight["mlp.down_proj.weight"] @ (gate / (1 + np.exp(-gate)) * (weight["mlp.up_proj.weight"] @ inside))
    return rms(state, decoder.norm)


def named(head: np.ndarray, state: np.ndarray, token: int) -> float:
    logits = head @ state
    return float(np.log(np.exp(logits - logits.max()).sum()) + logits.max() - logits[token])


def test_the_loss_is_that_of_plain_loops_on_a_random_batch(tiny: Backbone) -> None:
    """A backbone of large random weights, so that attention is not nearly uniform and every norm counts."""
    model, _ = rebuilding(tiny)
    random = torch.Generator().manual_seed(4)
    for weight in model.parameters():
        weight.data = weight.data * 6 if weight.ndim > 1 else 1 + 0.3 * torch.randn(weight.shape, generator=random)
    model = model.double().eval()
    ids, mask = batch()
    torch.manual_seed(5)
    found = model(ids, mask)["loss"].item()
    torch.manual_seed(5)
    unseen, visible = model.hidden(ids, mask), visible_places(mask, 0.5).numpy()
    states = model.encoder(torch.where(unseen, 4, ids), mask).last_hidden_state.detach().numpy()
    embedded = model.encoder.get_input_embeddings()(ids).detach().numpy()
    head, lengths = model.head.weight.detach().numpy(), mask.sum(1).tolist()
    masked = [named(head, states[text, token - 1], int(ids[text, token])) for text, token in unseen.nonzero().tolist() if token]
    rebuilt = []
    for text, length in enumerate(lengths):
        vector = states[text, :length].mean(0)
        for token in range(length):
            seen = visible[text, token].nonzero()[0].tolist()
            state = by_hand(model.decoder, vector, embedded[text], token + 1, seen)
            rebuilt.append(named(head, state, int(ids[text, token])))
    assert len(masked) >= 3
    assert len(rebuilt) == sum(lengths)
    assert found == pytest.approx(np.mean(masked) + np.mean(rebuilt), rel=1e-5)


@pytest.mark.parametrize(("pooling", "attention"), [("mean", "bidirectional"), ("last_token", "causal")])
def test_the_decoders_loss_reaches_the_first_layer_of_the_encoder_by_the_vector(
    tiny: Backbone, pooling: Any, attention: Any
) -> None:
    model, _ = rebuilding(tiny, pooling=pooling, attention=attention)
    ids, mask = batch()
    visible = visible_places(mask, 0.5)

    def moved(by: Any) -> bool:
        model.zero_grad()
        vectors = by(model.vectors(model.encoder(ids, mask).last_hidden_state, mask))
        model.decoder_loss(vectors, ids, mask, visible).backward()
        assert float(model.decoder.layer.self_attn.q_proj.weight.grad.abs().sum()) > 0
        first = model.encoder.layers[0].self_attn.q_proj.weight.grad
        return first is not None and float(first.abs().sum()) > 0

    assert moved(lambda vectors: vectors)
    assert not moved(Tensor.detach), "and by nothing else"


def test_the_vector_comes_to_hold_its_text(tiny: Backbone) -> None:
    """A decoder that does without it would rebuild a text as well from the vector of another."""
    model, loaded = rebuilding(tiny)
    padded = loaded.model.tokenizer.pad({"input_ids": loaded.model.tokenizer(list(TEXTS[:64])).input_ids}, return_tensors="pt")
    ids, mask = padded["input_ids"], padded["attention_mask"]
    visible = visible_places(mask, 0.9, torch.Generator().manual_seed(0))

    def losses() -> tuple[float, float]:
        with torch.inference_mode():
            vectors = model.vectors(model.encoder(ids, mask).last_hidden_state, mask)
            own, other = (model.decoder_loss(one, ids, mask, visible) for one in (vectors, vectors.roll(7, 0)))
        return float(own), float(other)

    optimiser = torch.optim.Adam([one for one in model.parameters() if one.requires_grad], lr=3e-3)
    torch.manual_seed(0)
    for _ in range(60):
        optimiser.zero_grad()
        model(ids, mask)["loss"].backward()
        optimiser.step()
    own, other = losses()
    assert own < other - 0.5


# -- the stage


@pytest.mark.parametrize("lora", [Lora(rank=4, alpha=8), None])
def test_the_encoder_that_is_saved_has_the_backbones_shape(tiny: Backbone, tmp_path: Path, lora: Lora | None) -> None:
    """And another weight in it; a training set of texts is enough, and what comes after goes on from it."""
    from safetensors.torch import load_file

    examples = tuple(Example(anchor=a, positive=b) for a, b, _ in sentences())
    data = TrainSet(examples=examples, texts=TEXTS)
    fit: dict[str, Any] = {"batch_size": 16, "learning_rate": 3e-3, "lora": lora}
    stages = {"retromae": RetroMAE(steps=20, **fit), **({"merge": Merge()} if lora else {})}
    made = TrainingRecipe(encoder=encoder(tiny), stages=stages | {"pairs": Contrastive(steps=2, **fit)})
    folder = made.train(data, tmp_path / "out", 0)
    TrainingRecipe(encoder=encoder(tiny), stages={}).train(data, tmp_path / "untrained", 0)
    before, after = (load_file(one / "model.safetensors") for one in (tmp_path / "untrained" / "encoder", folder))
    assert {name: one.shape for name, one in after.items()} == {name: one.shape for name, one in before.items()}
    assert any(not torch.allclose(before[name], after[name]) for name in before if "layers.0" in name)
    facts = json.loads((tmp_path / "out" / "manifest.json").read_text())["stages"]["retromae"]
    assert facts["last_loss"] < 0.9 * facts["first_loss"]
    with STEmbedBackend().open(SavedEncoder(path=str(folder))) as embedder:
        assert embedder.encode(TEXTS[:3]).vectors.shape == (3, 32)


def test_a_killed_stage_goes_on_and_ends_as_if_it_had_not_been(
    tiny: Backbone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between two checkpoints; what is hidden is drawn anew in each step, and drawn the same."""
    data = TrainSet(examples=(Example(anchor="a", positive="b"),), texts=TEXTS)
    made = TrainingRecipe(
        encoder=encoder(tiny), stages={"retromae": RetroMAE(steps=8, save_every=3, batch_size=16, lora=Lora(rank=2))}
    )
    made.train(data, tmp_path / "whole", 0)
    on_log = Curve.on_log

    def killed(self: Any, args: Any, state: Any, control: Any, **more: Any) -> None:
        if state.global_step == 5:
            raise KeyboardInterrupt
        on_log(self, args, state, control, **more)

    monkeypatch.setattr(Curve, "on_log", killed)
    with pytest.raises(KeyboardInterrupt):
        made.train(data, tmp_path / "killed", 0)
    monkeypatch.undo()
    made.train(data, tmp_path / "killed", 0)
    curves = [(tmp_path / name / "loss.csv").read_text().splitlines()[1:] for name in ("whole", "killed")]
    losses = [[float(line.split(",")[2]) for line in curve] for curve in curves]
    assert len(losses[0]) == 8
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)
    assert len(set(losses[0])) == 8


def test_the_recipe_without_pre_training_is_the_same_but_for_it() -> None:
    both = [
        build(composed("recipe=retromae", "output=x", *more, root="train").recipe, "recipe")
        for more in ([], ["~recipe.stages.retromae", "~recipe.stages.merge"])
    ]
    assert list(both[0].stages) == ["retromae", "merge", "contrastive"]
    assert both[1].stages == {"contrastive": both[0].stages["contrastive"]}
    assert both[0].encoder == both[1].encoder


def test_what_is_no_decoder_is_refused() -> None:
    from transformers import BertConfig, BertLMHeadModel, Gemma3ForCausalLM, Gemma3TextConfig

    shape: dict[str, Any] = {"hidden_size": 16, "intermediate_size": 16, "num_attention_heads": 2, "vocab_size": 11}
    bert = BertLMHeadModel(BertConfig(**shape, num_hidden_layers=1, is_decoder=True))
    with pytest.raises(UserError, match="RetroMAE needs a decoder's layers and final norm, which BertModel has not"):
        decoder_of(bert)
    gemma = Gemma3ForCausalLM(Gemma3TextConfig(**shape, num_hidden_layers=1, num_key_value_heads=1, head_dim=8))
    with pytest.raises(UserError, match="one kind of rotary positions, which Gemma3TextModel has not"):
        decoder_of(gemma)
