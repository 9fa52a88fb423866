"""Published encoders on their twins: the vectors of a preset are those of transformers alone and of sentence-transformers.

The path of comparison is our own: it puts special tokens where the model's card has them, gives the attention as a mask of every
pair of tokens, and pools and projects in numpy.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from experiments.starting.build import build_group
from fmtbench.embed import hub
from fmtbench.embed.encoder import Encoder
from fmtbench.embed.saved import SavedEncoder
from fmtbench.embed.st import STEmbedBackend
from fmtbench.embed.templates import Role
from fmtbench.errors import UserError
from tests.conftest import composed
from tests.tiny_backbone import write_backbone
from tests.twins import LIMIT, QWEN_QUERY, TWINS, WIDTH, Twin, write_tokenizer, write_twin

TEXTS = ["Hi", "The capital of Peru is Lima.", "\uc624\ub298\uc740 \ub9d1\ub2e4.", "one two three four five six seven " * 20]
TASK = QWEN_QUERY.removeprefix("Instruct: ").removesuffix("\nQuery:")
CLOSE = 1e-5
CAUSAL = ("e5_mistral_7b", "qwen3_embedding_0_6b")
PREFIX: dict[str, tuple[str, str]] = {
    **dict.fromkeys(("multilingual_e5_small", "e5_small_ko", "koe5"), ("query: ", "passage: ")),
    **dict.fromkeys(("multilingual_e5_instruct", "e5_mistral_7b", "gte_qwen2_1_5b"), (f"Instruct: {TASK}\nQuery: ", "")),
    "qwen3_embedding_0_6b": (QWEN_QUERY, ""),
    **dict.fromkeys(("bge_m3", "bge_m3_ko", "kure"), ("", "")),
    "embeddinggemma_300m": ("task: search result | query: ", "title: none | text: "),
}
"""What each model's card puts before a query and before a document."""
AROUND = {name: twin.around for name, twin in TWINS.items()} | {
    "e5_mistral_7b": ("<s>", "</s>"),
    "gte_qwen2_1_5b": ("", "<|endoftext|>"),
}
"""What each model's card puts around both."""


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The folder of a twin, written once."""
    root, made = tmp_path_factory.mktemp("twins"), dict[str, Path]()

    def place(name: str) -> Path:
        if name not in made:
            made[name] = write_twin(root / name, name)
            if TWINS[name].pickled:
                made[name] = converted(made[name])
        return made[name]

    return place


def converted(folder: Path) -> Path:
    """As `hub_folder` leaves a repository whose weights are a pickle."""
    made = folder.with_name(f"{folder.name}-safe")
    hub._convert(folder, made)
    return made


def preset(name: str, folder: Path, **changes: Any) -> Any:
    (encoder,) = build_group(
        composed(f"embedder={name}", f"embedder.{name}.path={folder}", "output=x", root="embed").embedder
    ).values()
    return dataclasses.replace(encoder, **changes)


@torch.inference_mode()
def by_hand(name: str, folder: Path, texts: list[str], role: Role) -> np.ndarray:
    """transformers alone."""
    from safetensors.numpy import load_file
    from transformers import AutoModel, AutoTokenizer

    tokenizer, model, twin = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval(), TWINS[name]
    before, after = ([tokenizer.convert_tokens_to_ids(one)] if one else [] for one in AROUND[name])
    found = []
    for text in texts:
        inside = tokenizer(PREFIX[name][role == "document"] + text, add_special_tokens=False).input_ids
        ids = [*before, *inside[: LIMIT - len(before) - len(after)], *after]
        allowed = torch.ones(len(ids), len(ids)).tril() if name in CAUSAL else torch.ones(len(ids), len(ids))
        mask: Any = torch.where(allowed == 1, 0.0, torch.finfo(torch.float32).min)[None, None]
        mask = {"full_attention": mask, "sliding_attention": mask} if twin.kind == "gemma3_text" else mask
        states = model(input_ids=torch.tensor([ids]), attention_mask=mask).last_hidden_state[0].double().numpy()
        vector = {"mean_tokens": states.mean(0), "lasttoken": states[-1], "cls_token": states[0]}[twin.pooling]
        for number in range(2, 2 + len(twin.dense)):
            vector = load_file(folder / f"{number}_Dense" / "model.safetensors")["linear.weight"].astype(float) @ vector
        found.append(vector / np.linalg.norm(vector))
    return np.array(found)


def assert_agree(found: np.ndarray, expected: np.ndarray) -> None:
    assert np.abs(np.linalg.norm(found, axis=1) - 1).max() < 1e-6
    assert (found * expected).sum(1).min() >= 1 - CLOSE


@pytest.mark.parametrize("name", TWINS)
def test_a_preset_has_the_vectors_of_transformers_alone(places: Any, name: str) -> None:
    """Both roles, batched and alone, whole texts and one that is cut."""
    folder = places(name)
    with STEmbedBackend().open(preset(name, folder)) as embedder:
        for role in ("query", "document"):
            expected = by_hand(name, folder, TEXTS, role)
            batched = embedder.encode(TEXTS, role, TASK)
            assert batched.cut == 1
            assert_agree(batched.vectors, expected)
            assert_agree(np.concatenate([embedder.encode([text], role, TASK).vectors for text in TEXTS]), expected)
            spread = expected @ expected.T
            assert spread[~np.eye(len(TEXTS), dtype=bool)].max() < 1 - 10 * CLOSE, "texts that are alike would hide a mistake"


@pytest.mark.parametrize("name", TWINS)
def test_a_preset_has_the_vectors_of_sentence_transformers(places: Any, tmp_path: Path, name: str) -> None:
    """With the words of its card; of gte and E5-mistral it takes a revision whose tokenizer ends texts by itself."""
    from sentence_transformers import SentenceTransformer

    folder = places(name)
    if AROUND[name] != TWINS[name].around:
        folder = shutil.copytree(folder, tmp_path / "newer")
        write_tokenizer(folder, dataclasses.replace(TWINS[name], around=AROUND[name]))
    stock = SentenceTransformer(str(folder))
    if name == "gte_qwen2_1_5b":
        stock.transformers_model.config.is_causal = False
    with STEmbedBackend().open(preset(name, folder)) as embedder:
        query, document = PREFIX[name]
        assert_agree(
            embedder.encode(TEXTS, "query", TASK).vectors, stock.encode_query(TEXTS, prompt=query, normalize_embeddings=True)
        )
        found = embedder.encode(TEXTS, "document", TASK).vectors
        assert_agree(found, stock.encode_document(TEXTS, prompt=document, normalize_embeddings=True))
        ids = embedder.tokenizer("Hi").input_ids
        assert ids == [embedder.tokenizer.convert_tokens_to_ids(one) for one in (*filter(None, AROUND[name][:1]), "H", "i")] + (
            [embedder.tokenizer.convert_tokens_to_ids(AROUND[name][1])] if AROUND[name][1] else []
        ), "EOS once"


def test_the_presets_differ_where_their_cards_do(places: Any) -> None:
    """Else the tests above would pass on the wrong words, mask or pooling."""
    folder = places("gte_qwen2_1_5b")
    right = preset("gte_qwen2_1_5b", folder)
    with STEmbedBackend().open(right) as embedder:
        expected = embedder.encode(TEXTS, "query", TASK).vectors
    for changes in ({"attention": None}, {"append_eos": None}, {"template": None}):
        with STEmbedBackend().open(dataclasses.replace(right, **changes)) as embedder:
            found = embedder.encode(TEXTS, "document" if "template" in changes else "query", TASK).vectors
        assert (found * expected).sum(1).min() < 0.999, changes


def test_llm2vec_merges_two_adapters_in_order_and_pools_the_text_alone(tmp_path: Path) -> None:
    from peft import LoraConfig, PeftModel, get_peft_model
    from transformers import AutoModel, AutoTokenizer

    base = write_backbone(tmp_path / "base")
    adapters = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        wrapped = get_peft_model(
            AutoModel.from_pretrained(tmp_path / "base"), LoraConfig(r=4, init_lora_weights=False, target_modules="all-linear")
        )
        wrapped.save_pretrained(tmp_path / f"adapter{seed}")
        adapters.append(str(tmp_path / f"adapter{seed}"))
    given = [
        f"embedder.llm2vec_llama3_8b.{key}={value}" for key, value in (("backbone.path", base["path"]), ("backbone.context", 128))
    ]
    given += ["embedder.llm2vec_llama3_8b.adapter=[" + ",".join(adapters) + "]", "embedder.llm2vec_llama3_8b.max_tokens=128"]
    (encoder,) = build_group(composed("embedder=llm2vec_llama3_8b", *given, "output=x", root="embed").embedder).values()
    model = AutoModel.from_pretrained(tmp_path / "base")
    for adapter in adapters:
        model = PeftModel.from_pretrained(model, adapter).merge_and_unload()
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "base")
    with STEmbedBackend().open(encoder) as embedder:
        found = embedder.encode(TEXTS[:3], "query", "Find it:").vectors
        swapped = dataclasses.replace(encoder, adapter=tuple(adapters[:1]))
    for vector, text in zip(found, TEXTS):
        ids = tokenizer(f"<|start_header_id|>user<|end_header_id|>\n\nFind it: {text}<|eot_id|>").input_ids
        own = len(tokenizer(f"{text}<|eot_id|>").input_ids)  # LLM2Vec counts the text's tokens by themselves
        allowed = torch.zeros(1, 1, len(ids), len(ids))
        with torch.inference_mode():
            states = model.eval()(input_ids=torch.tensor([ids]), attention_mask=allowed).last_hidden_state[0]
        expected = states[-own:].mean(0)
        assert float(torch.tensor(vector) @ (expected / expected.norm())) >= 1 - CLOSE
    assert swapped.identity() != encoder.identity()
    with STEmbedBackend().open(swapped) as embedder:
        assert (embedder.encode(TEXTS[:3], "query", "Find it:").vectors * found).sum(1).max() < 0.999


# -- words


def with_prompts(folder: Path, target: Path, prompts: dict[str, str]) -> Path:
    made = shutil.copytree(folder, target)
    (made / "config_sentence_transformers.json").write_text(json.dumps({"prompts": prompts}))
    return made


@pytest.mark.parametrize("name", ["document", "passage", "corpus"])
def test_a_folders_prompts_are_its_template(places: Any, tmp_path: Path, name: str) -> None:
    """They were dropped: the query's vector had cosine 0.8 to the right one."""
    from sentence_transformers import SentenceTransformer

    folder = with_prompts(
        places("multilingual_e5_small"), tmp_path / "saved", {"query": "ask: ", name: "told: ", "STS": "both: "}
    )
    with STEmbedBackend().open(SavedEncoder(path=str(folder))) as embedder:
        stock = SentenceTransformer(str(folder))
        assert_agree(embedder.encode(TEXTS).vectors, stock.encode_query(TEXTS))
        assert_agree(embedder.encode(TEXTS, "document").vectors, stock.encode(TEXTS, prompt="told: "))
        assert_agree(embedder.encode(TEXTS, "STS").vectors, stock.encode(TEXTS, prompt="both: "))
        said = embedder.facts()["encoder"]["template"]
        assert said == {"query": "ask: {text}", "document": "told: {text}", "by_task": {"STS": "both: {text}"}}, (
            "for the manifest"
        )


def test_a_query_prompt_alone_leaves_documents_as_they_are(places: Any, tmp_path: Path) -> None:
    from fmtbench.embed.templates import Template

    folder = with_prompts(places("multilingual_e5_small"), tmp_path / "saved", {"query": "ask: "})
    with STEmbedBackend().open(SavedEncoder(path=str(folder))) as embedder:
        assert embedder.spec.template.render("x", "document", "").text == "x"
    with STEmbedBackend().open(SavedEncoder(path=str(folder), template=Template(query="q {text}"))) as embedder:
        assert embedder.spec.template.render("x", "query", "").text == "q x", "what is given goes before"
    folder = with_prompts(places("multilingual_e5_small"), tmp_path / "braces", {"query": "as {json}: "})
    with pytest.raises(UserError, match=r"prompts with names in braces, .*give template="):
        SavedEncoder(path=str(folder)).load()


def test_the_prompt_of_the_kind_of_task_is_taken(places: Any, tmp_path: Path) -> None:
    """EmbeddingGemma's words for similarity, on both sentences."""
    from fmtbench.embed.evaluation import evaluate
    from tests.test_embed_mteb import sts

    asked: list[str] = []

    class Watching(STEmbedBackend):
        def open(self, encoder: Any) -> Any:
            embedder = super().open(encoder)
            inner = embedder.encode
            embedder.encode = lambda texts, role, instruction: (asked.append(role), inner(texts, role, instruction))[1]  # type: ignore[method-assign]
            return embedder

    evaluate(
        {"x": preset("embeddinggemma_300m", places("embeddinggemma_300m"))}, {"x": sts("eng")}, Watching(), tmp_path / "s.jsonl"
    )
    assert set(asked) == {"STS"}


# -- the registry and the hub


@pytest.mark.parametrize("name", TWINS)
def test_a_preset_is_what_mtebs_registry_says(name: str) -> None:
    import mteb

    encoder = preset(name, Path("/unused"))
    meta = mteb.get_model_meta(encoder.hub_id)
    assert (encoder.revision, encoder.max_tokens) == (meta.revision, meta.max_tokens)
    text = Path(f"conf/embedder/{name}.yaml").read_text()
    if name == "gte_qwen2_1_5b":
        # Its vectors are the last hidden state, and Qwen2-1.5B's has 1536 numbers, as the model card says. mteb 2.26 has 8960,
        # the width of the feed-forward layers (intermediate_size).
        assert meta.embed_dim == 8960, "mteb is corrected: take this exception out"
        assert " 1536 dimensions" in text
    else:
        assert f" {meta.embed_dim} dimensions" in text


@pytest.fixture
def cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A hub's local cache, empty, and a cache of ours."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("FMTBENCH_CACHE", str(tmp_path / "own"))
    hub.hub_folder.cache_clear()
    return tmp_path / "hub"


def snapshot(cache: Path, hub_id: str, revision: str) -> Path:
    return cache / f"models--{hub_id.replace('/', '--')}" / "snapshots" / revision


@pytest.mark.parametrize("name", ["multilingual_e5_small", "bge_m3"])
def test_a_preset_is_found_in_the_hubs_cache_and_names_what_it_is(cached: Path, tmp_path: Path, name: str) -> None:
    encoder = preset(name, Path("/unused"), path=None)
    write_twin(snapshot(cached, encoder.hub_id, encoder.revision), name)
    assert encoder.published() == (encoder.hub_id, encoder.revision)
    same = write_twin(tmp_path / "same", name)
    same = converted(same) if TWINS[name].pickled else same
    with STEmbedBackend().open(encoder) as embedder:
        assert_agree(embedder.encode(TEXTS).vectors, by_hand(name, same, TEXTS, "query"))
    other = dataclasses.replace(encoder, max_tokens=16)
    assert other.identity() != encoder.identity()
    assert preset(name, same).published() is None


def test_a_pickle_that_is_no_tensors_is_not_run(cached: Path, tmp_path: Path) -> None:
    import pickle

    class Trap:
        def __reduce__(self) -> Any:
            return (Path.touch, (tmp_path / "ran",))

    encoder = preset("bge_m3", Path("/unused"), path=None)
    folder = write_twin(snapshot(cached, encoder.hub_id, encoder.revision), "bge_m3")
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Trap(), protocol=2))
    with pytest.raises(UserError, match=r"pytorch_model\.bin is no file of tensors"):
        encoder.load()
    assert not (tmp_path / "ran").exists()
    assert not list((tmp_path / "own").rglob("*.part-*")), "and leaves nothing behind"


# -- folders that cannot be right


def broken(folder: Path, target: Path, file: str, change: Any) -> SavedEncoder:
    made = shutil.copytree(folder, target)
    path = made / file
    path.write_text(json.dumps(change(json.loads(path.read_text()))))
    for weights in made.rglob("*.safetensors"):
        weights.unlink()  # every mistake is found before weights are looked for
    return SavedEncoder(path=str(made))


MISTAKES = [
    ("2_Dense/config.json", lambda one: one | {"in_features": 7}, r"2_Dense takes 7 dimensions, what comes before it gives 32"),
    ("3_Dense/config.json", lambda one: one | {"in_features": 7}, r"3_Dense takes 7 dimensions, what comes before it gives 48"),
    (
        "config.json",
        lambda one: one | {"model_type": "own"},
        r"of the type 'own', which transformers does not know: code of a folder",
    ),
    ("modules.json", lambda one: [*one[:1], one[1] | {"type": "own.Pooling"}, *one[2:]], r"code of a folder is not run"),
    ("modules.json", lambda one: [*one[:2], one[4], one[3]], r"supported are Transformer, Pooling, Dense, Normalize"),
    ("1_Pooling/config.json", lambda one: one | {"pooling_mode_max_tokens": True}, r"supported is one of"),
]


@pytest.mark.parametrize(("file", "change", "message"), MISTAKES, ids=[case[2][:24] for case in MISTAKES])
def test_a_folder_that_contradicts_itself(places: Any, tmp_path: Path, file: str, change: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        broken(places("embeddinggemma_300m"), tmp_path / "a", file, change).load()


def test_an_adapter_of_another_shape_is_refused(tmp_path: Path) -> None:
    from peft import LoraConfig, get_peft_model
    from transformers import LlamaConfig, LlamaModel

    from fmtbench.backbone import Backbone

    base = write_backbone(tmp_path / "base")
    other = LlamaModel(
        LlamaConfig(vocab_size=50, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=8)
    )
    get_peft_model(other, LoraConfig(r=4, target_modules="all-linear")).save_pretrained(tmp_path / "adapter")
    encoder = Encoder(backbone=Backbone(**base), adapter=(str(tmp_path / "adapter"),))
    with pytest.raises(UserError, match="does not fit the backbone"):
        encoder.load()
    with pytest.raises(UserError, match=r"cannot find no/adapter at revision main"):
        dataclasses.replace(encoder, adapter=("no/adapter",)).identity()


def test_hashes_of_older_folders_stay() -> None:
    """What is younger than the first version is in a hash only where it is set."""
    from fmtbench.embed.spec import EncoderSpec

    assert EncoderSpec().said() == {
        "template": {"query": "{text}", "document": None},
        "pooling": "last_token",
        "attention": "causal",
        "append_eos": True,
        "include_prompt": True,
        "max_tokens": 512,
        "dimensions": None,
    }
    assert isinstance(Twin(kind="bert", pooling="lasttoken").dense, tuple)
    assert WIDTH == 32
