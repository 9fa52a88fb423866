"""Twins of published encoders: random weights of a few kilobytes in the file layout of the hub's repository.

Each has its model's architecture, modules, prompts and special tokens, in the form in which the repository has them (most are
from before sentence-transformers 6). The vocabulary is one of bytes; the tokenizer's class is the generic one.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

WIDTH, LAYERS, LIMIT = 32, 2, 160
CHAT = "{% for m in messages %}<|im|>{{ m.content }}{% endfor %}"
OF_CODE = {"AutoModel": "modeling_own.Own", "AutoTokenizer": ["tokenization_own.Slow", "tokenization_own.Fast"]}
OLD_FLAGS = ("cls_token", "mean_tokens", "max_tokens", "mean_sqrt_len_tokens", "weightedmean_tokens", "lasttoken")


@dataclass(frozen=True, kw_only=True)
class Twin:
    """What is particular about a repository."""

    kind: str
    """transformers' `model_type`."""
    pooling: str
    """The flag of `1_Pooling/config.json` that is true."""
    around: tuple[str, str] = ("", "")
    """Special tokens that the tokenizer puts before and after a text."""
    eos: str = "</s>"
    pad: str = "<pad>"
    chat: bool = False
    prompts: dict[str, str] = field(default_factory=dict)
    dense: tuple[int, ...] = ()
    config: dict[str, Any] = field(default_factory=dict)
    pickled: bool = False
    """Weights are a `pytorch_model.bin` alone."""
    heads: bool = False
    """There are `sparse_linear.pt` and `colbert_linear.pt`."""


BERTLIKE = ("<s>", "</s>")
QWEN_QUERY = "Instruct: Given a web search query, retrieve relevant passages that answer the query\nQuery:"
GEMMA = {
    "query": "task: search result | query: ",
    "document": "title: none | text: ",
    "Classification": "task: classification | query: ",
    "Clustering": "task: clustering | query: ",
    "STS": "task: sentence similarity | query: ",
}
TWINS = {
    "multilingual_e5_small": Twin(kind="bert", pooling="mean_tokens", around=BERTLIKE),
    "e5_small_ko": Twin(kind="bert", pooling="mean_tokens", around=BERTLIKE),
    "koe5": Twin(kind="xlm-roberta", pooling="mean_tokens", around=BERTLIKE),
    "multilingual_e5_instruct": Twin(kind="xlm-roberta", pooling="mean_tokens", around=BERTLIKE),
    "e5_mistral_7b": Twin(kind="mistral", pooling="lasttoken", around=("<s>", ""), pad="</s>"),
    "gte_qwen2_1_5b": Twin(
        kind="qwen2",
        pooling="lasttoken",
        eos="<|endoftext|>",
        pad="<|endoftext|>",
        chat=True,
        prompts={"query": f"{QWEN_QUERY} "},
        config={"is_causal": True, "auto_map": OF_CODE},
    ),
    "qwen3_embedding_0_6b": Twin(
        kind="qwen3",
        pooling="lasttoken",
        around=("", "<|endoftext|>"),
        eos="<|im_end|>",
        pad="<|endoftext|>",
        chat=True,
        prompts={"query": QWEN_QUERY, "document": ""},
    ),
    "bge_m3": Twin(kind="xlm-roberta", pooling="cls_token", around=BERTLIKE, pickled=True, heads=True),
    "bge_m3_ko": Twin(kind="xlm-roberta", pooling="cls_token", around=BERTLIKE),
    "kure": Twin(kind="xlm-roberta", pooling="cls_token", around=BERTLIKE),
    "embeddinggemma_300m": Twin(
        kind="gemma3_text",
        pooling="mean_tokens",
        around=("<s>", "</s>"),
        prompts=GEMMA,
        dense=(48, WIDTH),
        config={"use_bidirectional_attention": True, "head_dim": 8, "sliding_window": 512},
    ),
}


def write_tokenizer(folder: Path, twin: Twin) -> int:
    """A vocabulary of bytes; returns its size."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    special = list(dict.fromkeys([twin.pad, "<s>", twin.eos, *filter(None, twin.around)]))
    vocabulary = {one: i for i, one in enumerate([*special, *alphabet])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    if any(twin.around):
        single = " ".join(filter(None, (twin.around[0], "$A", twin.around[1])))
        known = [(one, vocabulary[one]) for one in filter(None, twin.around)]
        tokenizer.post_processor = processors.TemplateProcessing(single=single, special_tokens=known)
    named = {"eos_token": twin.eos, "pad_token": twin.pad, "bos_token": "<s>"}
    side = "right" if twin.kind == "bert" else "left"  # whose positions are counted from the left, padding or not
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=LIMIT, padding_side=side, **named)
    fast.chat_template = CHAT if twin.chat else None
    fast.save_pretrained(folder)
    return len(vocabulary)


def write_model(folder: Path, twin: Twin, vocabulary: int) -> None:
    from transformers import AutoConfig, AutoModel

    torch.manual_seed(11)
    heads = {} if twin.kind in ("bert", "xlm-roberta") else {"num_key_value_heads": 2}
    named = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
    shape = {
        "hidden_size": WIDTH,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": 4,
        "intermediate_size": 64,
        "vocab_size": vocabulary,
    }
    settings = {name: value for name, value in twin.config.items() if name != "auto_map"}
    positions = LIMIT + 2 if twin.kind == "xlm-roberta" else 256
    config = AutoConfig.for_model(twin.kind, **shape, **heads, **named, max_position_embeddings=positions)
    for name, value in settings.items():
        setattr(config, name, value)
    model = AutoModel.from_config(config).float().eval()
    for parameter in model.parameters():  # so small a model is nearly linear unless its weights are larger than usual
        parameter.data.mul_(6 if parameter.ndim > 1 else 1)
    model.save_pretrained(folder)
    written = json.loads((folder / "config.json").read_text()) | twin.config
    (folder / "config.json").write_text(json.dumps(written))
    if twin.pickled:
        torch.save(model.state_dict(), folder / "pytorch_model.bin")
        (folder / "model.safetensors").unlink()


def write_twin(folder: Path, name: str) -> Path:
    """The folder of a twin, as `snapshot_download` would leave it."""
    from safetensors.torch import save_file

    twin = TWINS[name]
    folder.mkdir(parents=True)
    write_model(folder, twin, write_tokenizer(folder, twin))
    if twin.heads:
        write_m3_heads(folder)
    if "auto_map" in twin.config:
        for module in ("modeling_own.py", "tokenization_own.py"):
            (folder / module).write_text("raise SystemExit('code of a folder was run')\n")
    pooling = {"word_embedding_dimension": WIDTH} | {f"pooling_mode_{flag}": flag == twin.pooling for flag in OLD_FLAGS}
    _write(folder / "1_Pooling" / "config.json", pooling | {"include_prompt": True})
    listed = ["Transformer", "Pooling", *["Dense"] * len(twin.dense), "Normalize"]
    places = ["", *(f"{i}_{kind}" for i, kind in enumerate(listed[1:], start=1))]
    described = [
        {"idx": i, "name": str(i), "path": place, "type": f"sentence_transformers.models.{kind}"}
        for i, (kind, place) in enumerate(zip(listed, places))
    ]
    _write(folder / "modules.json", described)
    _write(folder / "sentence_bert_config.json", {"max_seq_length": LIMIT, "do_lower_case": False})
    if twin.prompts:
        versions = {"sentence_transformers": "5.1.0", "transformers": "4.56.0", "pytorch": "2.8.0"}
        said = {"__version__": versions, "prompts": twin.prompts, "default_prompt_name": None, "similarity_fn_name": "cosine"}
        _write(folder / "config_sentence_transformers.json", said)
    width = WIDTH
    for number, out in enumerate(twin.dense, start=2):
        place = folder / f"{number}_Dense"
        said = {
            "in_features": width,
            "out_features": out,
            "bias": False,
            "activation_function": "torch.nn.modules.linear.Identity",
        }
        _write(place / "config.json", said)
        weight = torch.randn(out, width, generator=torch.Generator().manual_seed(number))
        save_file({"linear.weight": weight}, place / "model.safetensors")
        width = out
    return folder


def write_m3_heads(folder: Path) -> None:
    """BGE-M3's two linear layers; the bias leaves about half of the tokens without a lexical weight."""
    random = torch.Generator().manual_seed(6)
    sparse = {"weight": 0.1 * torch.randn(1, WIDTH, generator=random), "bias": torch.tensor([-0.2])}
    multi = {"weight": torch.randn(WIDTH, WIDTH, generator=random), "bias": torch.randn(WIDTH, generator=random)}
    torch.save(sparse, folder / "sparse_linear.pt")
    torch.save(multi, folder / "colbert_linear.pt")


def _write(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2))
