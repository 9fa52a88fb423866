"""A backbone of random weights in a folder: two layers, a byte-level tokenizer, a chat template, no EOS appended."""

from __future__ import annotations

from pathlib import Path
from typing import Any

TOPICS = ("dog", "cat", "car", "tree", "river", "house", "bread", "guitar", "train", "cloud", "chair", "apple", "horse", "lamp")
DOINGS = ("runs", "sleeps", "falls", "shines", "waits", "turns")


def sentences() -> list[tuple[str, str, str]]:
    """A text, one that belongs to it, one that does not."""
    found = []
    for i, topic in enumerate(TOPICS):
        for j, doing in enumerate(DOINGS):
            other = TOPICS[(i + 3) % len(TOPICS)]
            found.append((f"the {topic} {doing}", f"a {topic} {doing} now", f"a {other} {DOINGS[j - 1]} now"))
    return found


def write_backbone(folder: Path, layers: int = 2) -> dict[str, Any]:
    """Weights, tokenizer and config; returns the fields of a `Backbone`."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=600, special_tokens=["<|end|>"], initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator([text for row in sentences() for text in row], trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|end|>", pad_token="<|end|>", model_max_length=128)
    fast.chat_template = "{% for m in messages %}<|im|>{{ m.content }}{% endfor %}"
    fast.save_pretrained(folder)
    torch.manual_seed(7)
    config = LlamaConfig(
        vocab_size=len(fast),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=128,
        eos_token_id=fast.eos_token_id,
        pad_token_id=fast.pad_token_id,
        bos_token_id=None,
        tie_word_embeddings=True,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return {"name": "tiny", "path": str(folder), "context": 128}
