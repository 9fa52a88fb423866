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


def write_gguf(file: Path, *, template: bool = True) -> None:
    """A GGUF of one layer, in which a token is a byte."""
    import numpy as np
    from gguf import GGUFWriter
    from tokenizers.pre_tokenizers import ByteLevel

    writer = GGUFWriter(file, "llama")
    writer.add_context_length(64)
    writer.add_embedding_length(8)
    writer.add_feed_forward_length(16)
    writer.add_block_count(1)
    writer.add_head_count(2)
    writer.add_head_count_kv(1)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(4)
    tokens = [*sorted(ByteLevel.alphabet()), "ab", "<|end|>"]
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(tokens)
    writer.add_token_merges(["a b"])
    writer.add_token_types([1] * (len(tokens) - 1) + [3])
    writer.add_eos_token_id(len(tokens) - 1)
    if template:
        writer.add_chat_template("{% for m in messages %}{{ m.content }}{% endfor %}")
    layer = {"attn_norm": (8,), "attn_q": (8, 8), "attn_k": (4, 8), "attn_v": (4, 8), "attn_output": (8, 8)}
    layer |= {"ffn_norm": (8,), "ffn_gate": (16, 8), "ffn_up": (16, 8), "ffn_down": (8, 16)}
    shapes = {"token_embd": (len(tokens), 8), "output_norm": (8,)} | {f"blk.0.{name}": shape for name, shape in layer.items()}
    for name, shape in shapes.items():
        writer.add_tensor(f"{name}.weight", np.ones(shape, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
