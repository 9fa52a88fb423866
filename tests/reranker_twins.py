"""Twins of published rerankers: random weights of a few kilobytes in the file layout of the hub's repository."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

LIMIT = 512
CHATML = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
"""A chat template that passes any role on: a library that finds it must not put a pair into it."""


@dataclass(frozen=True, kw_only=True)
class Twin:
    """What is particular about a repository."""

    kind: str
    """transformers' `model_type`."""
    head: str
    special: tuple[str, ...]
    """Tokens of its own; the first is the padding, the last ends a text."""
    single: str
    pair: str
    """What the tokenizer puts around a text, and around two."""
    chat: bool = False
    config: dict[str, Any] = field(default_factory=dict)


TWINS = {
    "bge_reranker_m3": Twin(
        kind="xlm-roberta",
        head="AutoModelForSequenceClassification",
        special=("<pad>", "<s>", "</s>"),
        single="<s> $A </s>",
        pair="<s> $A </s> </s> $B </s>",
        config={"num_labels": 1, "max_position_embeddings": LIMIT + 2},
    ),
    "qwen3_reranker_0_6b": Twin(
        kind="qwen3",
        head="AutoModelForCausalLM",
        special=("<|endoftext|>", "<|im_start|>", "<think>", "</think>", "<|im_end|>"),
        single="$A",
        pair="$A $B",
        chat=True,
        config={"tie_word_embeddings": True, "num_key_value_heads": 2, "head_dim": 8, "max_position_embeddings": LIMIT},
    ),
}


def write_tokenizer(folder: Path, twin: Twin) -> int:
    """A vocabulary of bytes, and of the words yes and no; returns its size."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    words = [*twin.special, *sorted(pre_tokenizers.ByteLevel.alphabet()), "ye", "yes", "no"]
    vocabulary = {word: i for i, word in enumerate(words)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[("y", "e"), ("ye", "s"), ("n", "o")]))
    tokenizer.add_special_tokens([AddedToken(one, special=True) for one in twin.special])
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    known = [(one, vocabulary[one]) for one in twin.special]
    tokenizer.post_processor = processors.TemplateProcessing(single=twin.single, pair=twin.pair, special_tokens=known)
    named = {"pad_token": twin.special[0], "eos_token": twin.special[-1], "model_max_length": LIMIT}
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, **named)
    fast.chat_template = CHATML if twin.chat else None
    fast.save_pretrained(folder)
    return len(vocabulary)


def write_twin(folder: Path, name: str, **config: Any) -> Path:
    """The folder of a twin, as `snapshot_download` would leave it."""
    import transformers

    twin = TWINS[name]
    folder.mkdir(parents=True)
    shape = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
    named = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": len(twin.special) - 1}
    size = write_tokenizer(folder, twin)
    made = transformers.AutoConfig.for_model(twin.kind, vocab_size=size, **shape | named | twin.config | config)
    torch.manual_seed(5)
    model = getattr(transformers, twin.head).from_config(made).float().eval()
    for parameter in model.parameters():  # so small a model is nearly linear unless its weights are larger than usual
        parameter.data.mul_(20 if parameter.ndim > 1 else 1)
    model.save_pretrained(folder)
    return folder


def change_config(folder: Path, **changes: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
