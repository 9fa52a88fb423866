"""Rerankers on their twins: the scores are those of transformers alone, of sentence-transformers and of the card's code."""

from __future__ import annotations

import dataclasses
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from experiments.starting.build import build
from fmtbench.embed import hub
from fmtbench.embed.pairs import TextPair
from fmtbench.embed.reranker import CausalReranker, SequenceReranker
from fmtbench.errors import UserError
from tests.conftest import composed, options
from tests.reranker_twins import LIMIT, TWINS, change_config, write_tokenizer, write_twin

TASK = "Given a claim, find documents that support it."
PAIRS = [
    TextPair("Where is Lima?", "Lima is the capital of Peru.", TASK),
    TextPair("Where is Lima?", "no", TASK),
    TextPair("오늘은 맑다", "yes {query} it is {document}", TASK),
    TextPair("Where is Oslo?", "one two three four five six seven " * 40, TASK),
]
CLOSE = 2e-4
"""Of scores that lie some units apart."""


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of a twin, written once."""
    root, made = tmp_path_factory.mktemp("twins"), dict[str, Path]()

    def place(name: str) -> Path:
        if name not in made:
            made[name] = write_twin(root / name, name)
        return made[name]

    return place


def preset(name: str, folder: Path | None, **changes: Any) -> Any:
    path = [f"reranker.path={folder}"] if folder else []
    return dataclasses.replace(
        build(composed(f"reranker={name}", *path, "output=x", root="embed").reranker, "reranker"), **changes
    )


@torch.inference_mode()
def by_hand(name: str, folder: Path, pairs: list[TextPair]) -> np.ndarray:
    """transformers alone, pair by pair, with the words of the model's card."""
    import transformers

    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = getattr(transformers, TWINS[name].head).from_pretrained(folder).eval()

    def ids(text: str) -> list[int]:
        return tokenizer(text, add_special_tokens=False).input_ids

    found = []
    for query, document, task in pairs:
        if name == "bge_reranker_m3":
            before = [*ids("<s>"), *ids(query), *ids("</s></s>")]
            whole = [*before, *ids(document)[: LIMIT - len(before) - 1], *ids("</s>")]
            found.append(float(model(input_ids=torch.tensor([whole])).logits[0, 0]))
            continue
        before, after = ids(SYSTEM), ids(ANSWER)
        inside = ids(f"<Instruct>: {task}\n<Query>: {query}\n<Document>: {document}")
        whole = [*before, *inside[: LIMIT - len(before) - len(after)], *after]
        logits = model(input_ids=torch.tensor([whole])).logits[0, -1]
        found.append(float(logits[ids("yes")[0]] - logits[ids("no")[0]]))
    return np.array(found, np.float32)


@pytest.mark.parametrize("name", TWINS)
def test_a_preset_has_the_scores_of_transformers_alone(places: Any, name: str) -> None:
    """Batched and alone, in any order and size of batch, whole pairs and one that is cut."""
    folder = places(name)
    expected = by_hand(name, folder, PAIRS)
    assert np.abs(np.diff(np.sort(expected))).min() > 10 * CLOSE, "scores that are alike would hide a mistake"
    scorer = preset(name, folder).load()
    batched = scorer.scores(PAIRS)
    assert batched.cut == 1
    assert np.abs(batched.scores - expected).max() < CLOSE
    assert np.abs(np.concatenate([scorer.scores([one]).scores for one in PAIRS]) - expected).max() < CLOSE
    assert scorer.scores([]).scores.shape == (0,)
    scorer = preset(name, folder, batch_tokens=600).load()
    assert np.abs(scorer.scores(PAIRS[::-1]).scores[::-1] - expected).max() < CLOSE


SYSTEM = (
    "<|im_start|>system\nJudge whether the Document meets the requirements based on the Query and the Instruct provided. "
    'Note that the answer can only be "yes" or "no".<|im_end|>\n<|im_start|>user\n'
)
ANSWER = "<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"
"""What the card of Qwen3-Reranker puts before and after the pair."""
CONTENT = '{{ messages | selectattr("role", "eq", "ROLE") | map(attribute="content") | first }}'
INSTRUCTED = (
    f"{SYSTEM}<Instruct>: {TASK}\n<Query>: {CONTENT.replace('ROLE', 'query')}\n"
    f"<Document>: {CONTENT.replace('ROLE', 'document')}{ANSWER}"
    '{{ "" }}'
)
"""The same as a chat template; Jinja drops a line feed at its end."""


@pytest.mark.parametrize("name", TWINS)
def test_a_preset_has_the_scores_of_sentence_transformers(places: Any, name: str) -> None:
    """`CrossEncoder` on the folder; of a language model with a chat template that knows both roles, and its own yes and no."""
    from sentence_transformers import CrossEncoder

    kwargs = {"chat_template": INSTRUCTED} if TWINS[name].chat else {}
    stock = CrossEncoder(str(places(name)), processor_kwargs=kwargs)
    pairs = [(one.query, one.document) for one in PAIRS]
    expected = stock.predict(pairs, activation_fn=torch.nn.Identity(), show_progress_bar=False)
    assert np.abs(preset(name, places(name)).load().scores(PAIRS).scores - expected).max() < CLOSE


@pytest.mark.filterwarnings("ignore:`max_length` is ignored:UserWarning")
def test_a_language_model_has_the_scores_of_its_cards_code(places: Any) -> None:
    """As mteb keeps it for the leaderboard; it gives probabilities."""
    from mteb.models.model_implementations.qwen3_reranker import Qwen3RerankerWrapper

    folder = places("qwen3_reranker_0_6b")
    card = Qwen3RerankerWrapper(str(folder), device="cpu", max_length=LIMIT)
    inputs = card.process_inputs([card.format_instruction(task, query, document) for query, document, task in PAIRS])
    scores = preset("qwen3_reranker_0_6b", folder).load().scores(PAIRS).scores
    assert np.abs(1 / (1 + np.exp(-scores)) - np.array(card.compute_logits(inputs))).max() < 1e-5


def test_the_last_word_is_the_templates_whatever_the_tokenizer_appends(places: Any, tmp_path: Path) -> None:
    name = "qwen3_reranker_0_6b"
    folder = shutil.copytree(places(name), tmp_path / "ending")
    write_tokenizer(folder, dataclasses.replace(TWINS[name], single="$A <|endoftext|>"))
    assert np.abs(preset(name, folder).load().scores(PAIRS).scores - by_hand(name, places(name), PAIRS)).max() < CLOSE


@pytest.mark.parametrize("name", TWINS)
def test_scores_of_half_precision_are_no_ties(places: Any, name: str) -> None:
    """A head in bfloat16 gives numbers of eight bits, so that documents of one query would share them."""
    pairs = [TextPair("Where is Lima?", f"Lima lies {i} km from the sea.", TASK) for i in range(60)]
    scorer = preset(name, places(name), dtype="bfloat16").load()
    distinct = len(set(scorer.scores(pairs).scores.tolist()))
    scorer.model.set_keep_in_fp32_modules([])
    assert distinct > len(set(scorer.scores(pairs).scores.tolist()))
    assert distinct > 55


@pytest.mark.parametrize("name", TWINS)
def test_a_preset_is_what_mtebs_registry_says(name: str) -> None:
    import mteb

    reranker = preset(name, None)
    assert reranker.revision == mteb.get_model_meta(reranker.hub_id).revision
    assert reranker.name == name


def test_every_reranker_builds_under_its_own_name() -> None:
    assert {*TWINS, "local"} == set(options("reranker"))
    assert preset("local", None).name == "local"


def test_a_preset_is_found_in_the_hubs_cache(places: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    hub.hub_folder.cache_clear()
    reranker = preset("bge_reranker_m3", None)
    with pytest.raises(
        UserError, match=r"cannot find BAAI/bge-reranker-v2-m3 at revision 953dc6f6f85a1b2dbfca4c34a2796e7dde08d41e"
    ):
        reranker.check()
    snapshot = tmp_path / "hub" / "models--BAAI--bge-reranker-v2-m3" / "snapshots" / reranker.revision
    shutil.copytree(places("bge_reranker_m3"), snapshot)
    reranker.check()
    local = dataclasses.replace(reranker, path=str(places("bge_reranker_m3")))
    assert len({one.identity() for one in (reranker, local, dataclasses.replace(reranker, max_tokens=9))}) == 3
    assert dataclasses.replace(reranker, batch_tokens=9).identity() == reranker.identity()


# -- what was trained here


def test_the_cross_encoder_stage_leaves_a_reranker(tmp_path: Path) -> None:
    """Its folder, or that of the whole recipe; with the scores that the recipe itself distils."""
    from fmtbench.backbone import Backbone
    from fmtbench.embed.encoder import Encoder
    from fmtbench.embed.training.adapters import Lora
    from fmtbench.embed.training.examples import Example, TrainSet
    from fmtbench.embed.training.recipe import TrainingRecipe
    from fmtbench.embed.training.teacher import CrossEncoder, scored
    from tests.tiny_backbone import sentences, write_backbone

    examples = tuple(Example(anchor=a, positive=b, negatives=(c,)) for a, b, c in sentences()[:24])
    data = TrainSet(examples=examples, texts=tuple(one.anchor for one in examples))
    stage = CrossEncoder(steps=4, batch_size=8, learning_rate=0.01, lora=Lora(rank=4))
    recipe = TrainingRecipe(encoder=Encoder(backbone=Backbone(**write_backbone(tmp_path / "tiny"))), stages={"ce": stage})
    recipe.train(data, tmp_path / "out", seed=0)
    (folder,) = (tmp_path / "out" / "stages").glob("1-ce-*/teacher")
    expected = [score for one in scored(folder, examples, 8) for score in one.scores]
    pairs = [TextPair(one.anchor, text) for one in examples for text in (one.positive, *one.negatives)]
    for place in (folder, tmp_path / "out"):
        found = preset("local", place).load().scores(pairs).scores
        assert np.abs(found - np.array(expected)).max() < CLOSE
    assert np.ptp(expected) > 0.01
    shutil.copytree(folder.parents[2], tmp_path / "out" / "seed1")
    with pytest.raises(UserError, match=r"holds 2 trained cross-encoders \(.*: give one of them"):
        preset("local", tmp_path / "out").check()


# -- adapters


def write_adapter(folder: Path, base: Path, **named: Any) -> Path:
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(3)
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(base), LoraConfig(r=4, target_modules=["q_proj", "v_proj"]))
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight.data, std=0.5)
    for key, value in named.items():
        setattr(model.peft_config["default"], key, value)
    model.save_pretrained(folder, save_embedding_layers=False)
    return folder


def test_an_adapter_is_merged_into_a_language_model(places: Any, tmp_path: Path) -> None:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    name = "qwen3_reranker_0_6b"
    adapter = write_adapter(tmp_path / "adapter", places(name))
    whole = shutil.copytree(places(name), tmp_path / "whole")
    base = AutoModelForCausalLM.from_pretrained(places(name))
    PeftModel.from_pretrained(base, str(adapter)).merge_and_unload().save_pretrained(whole)
    reranker = preset(name, places(name), adapter=str(adapter))
    found = reranker.load().scores(PAIRS).scores
    assert np.abs(found - by_hand(name, whole, PAIRS)).max() < CLOSE
    assert np.abs(found - by_hand(name, places(name), PAIRS)).max() > 100 * CLOSE
    assert reranker.identity() != preset(name, places(name)).identity()


def test_an_adapter_of_another_base_is_refused(places: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its name before weights are looked at, by its shape where it has no name."""
    name = "qwen3_reranker_0_6b"
    adapter = write_adapter(tmp_path / "adapter", places(name), base_model_name_or_path="Qwen/Qwen3-4B")
    monkeypatch.setattr("fmtbench.embed.reranker.hub_folder", lambda *asked: places(name))
    with pytest.raises(UserError, match=r"adapter .* was trained on Qwen/Qwen3-4B, the reranker is Qwen/Qwen3-Reranker-0\.6B"):
        preset(name, None, adapter=str(adapter)).check()
    other = write_adapter(tmp_path / "other", write_twin(tmp_path / "wide", name, hidden_size=48, head_dim=12))
    with pytest.raises(UserError, match="does not fit the backbone"):
        preset(name, places(name), adapter=(str(other),)).load()
    with pytest.raises(UserError, match=r"adapter .* holds no adapter_config\.json"):
        preset(name, places(name), adapter=(str(tmp_path),)).check()


# -- mistakes


def unloadable(folder: Path, target: Path) -> Path:
    """A copy whose weights are no weights: each mistake is found before they are read."""
    made = shutil.copytree(folder, target)
    (made / "model.safetensors").write_bytes(b"none")
    return made


MISTAKES: list[tuple[str, dict[str, Any], dict[str, Any], str]] = [
    ("bge_reranker_m3", {"id2label": {"0": "a", "1": "b"}}, {}, r"has 2 labels: a reranker has one, the score"),
    ("bge_reranker_m3", {"id2label": None}, {}, r"has 2 labels"),
    (
        "bge_reranker_m3",
        {"architectures": ["XLMRobertaModel"]},
        {},
        r"is a XLMRobertaModel, not a \.\.\.ForSequenceClassification",
    ),
    ("bge_reranker_m3", {"architectures": None}, {}, r"is a model without a head, not a"),
    (
        "bge_reranker_m3",
        {"model_type": "own"},
        {},
        r"of the type 'own', which transformers does not know: code of a folder is not",
    ),
    (
        "qwen3_reranker_0_6b",
        {"architectures": ["Qwen3ForSequenceClassification"]},
        {},
        r"not a \.\.\.ForCausalLM: .* reranker=local",
    ),
    ("qwen3_reranker_0_6b", {}, {"true_word": "true"}, r"reranker\.true_word='true' is 4 tokens in .*: give a word that is one"),
    ("qwen3_reranker_0_6b", {}, {"false_word": "yes"}, r"reranker\.true_word and reranker\.false_word are both 'yes': give two"),
]


@pytest.mark.parametrize(("name", "config", "changes", "message"), MISTAKES, ids=[case[3][:24] for case in MISTAKES])
def test_a_mistake_is_found_before_weights_are_read(
    places: Any, tmp_path: Path, name: str, config: dict[str, Any], changes: dict[str, Any], message: str
) -> None:
    folder = unloadable(places(name), tmp_path / "a")
    change_config(folder, **config)
    for act in ("check", "load"):
        with pytest.raises(UserError, match=message):
            getattr(preset(name, folder, **changes), act)()


def test_a_folder_that_something_else_scores_is_refused(places: Any, tmp_path: Path) -> None:
    folder = unloadable(places("bge_reranker_m3"), tmp_path / "a")
    (folder / "modules.json").write_text('[{"type": "sentence_transformers.models.Transformer"}, {"type": "own.Head"}]')
    with pytest.raises(UserError, match=r"has the modules \[.*'own\.Head'\]: supported are Transformer, LogitScore"):
        preset("bge_reranker_m3", folder).check()
    (folder / "modules.json").unlink()
    (folder / "model.safetensors").unlink()
    with pytest.raises(UserError, match=r"holds no weights as safetensors"):
        preset("bge_reranker_m3", folder).check()


@pytest.mark.parametrize("template", ["{query}", "{query} {document} {text}", "{document}", "{query} {document} {document}"])
def test_a_template_has_its_names(template: str) -> None:
    with pytest.raises(ValueError, match=re.escape(f"{template!r} must hold {{query}} and, once, {{document}}")):
        CausalReranker(name="x", template=template)


def test_a_document_needs_some_room(places: Any) -> None:
    reranker = preset("qwen3_reranker_0_6b", places("qwen3_reranker_0_6b"))
    with pytest.raises(UserError, match=r"leaves no room for the text beside the template's words"):
        reranker.load().scores([TextPair("long " * 200, "a document", TASK)])
    with pytest.raises(UserError, match=r"template needs an instruction"):
        reranker.load().scores([TextPair("a", "b")])
    with pytest.raises(UserError, match=r"no reranker: path and hub_id are not set: give reranker\.path=FOLDER or"):
        SequenceReranker(name="x").check()
