"""A model whose next-token distribution is known: after token i it is the softmax of row i of a chosen matrix.

One Llama layer whose `o_proj` and `down_proj` are zero hands the embedding on as it is; embeddings are one-hot, so the norm gives
sqrt(V) times a one-hot vector, and the head is the matrix over sqrt(V). So every figure of a probe has a closed form.
"""

from __future__ import annotations

import math
import string
from pathlib import Path
from typing import Any

from fmtbench.backbone import Backbone

END, ASK = "<end>", "<ask>"
SIX = ["a", "b", "0", "1", END, ASK]
CHARACTERS = [*(c for c in string.printable if c not in "\r\x0b\x0c"), "re", "an", '"}', END, ASK]
"""For replies in JSON: a token for each character, a line break among them, and three of two characters."""


def write_bigram(folder: Path, tokens: list[str], rows_VV: Any, template_end: str = ASK) -> Backbone:
    """Weights, tokenizer and config in `folder`. `rows_VV`: logits after each token, in the order of `tokens`."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = tokenizer_of(tokens, template_end)
    tokenizer.save_pretrained(folder)
    size, end = len(tokens), tokens.index(END)
    config = LlamaConfig(
        vocab_size=size,
        hidden_size=size,
        intermediate_size=4,
        num_hidden_layers=1,
        num_attention_heads=1,
        num_key_value_heads=1,
        head_dim=size + size % 2,
        rms_norm_eps=0.0,
        tie_word_embeddings=False,
        bos_token_id=None,
        eos_token_id=end,
        pad_token_id=end,
    )
    model = LlamaForCausalLM(config).eval()
    with torch.no_grad():
        (layer,) = model.model.layers
        layer.self_attn.o_proj.weight.zero_()
        layer.mlp.down_proj.weight.zero_()
        model.model.embed_tokens.weight.copy_(torch.eye(size))
        model.lm_head.weight.copy_(rows_VV.T / math.sqrt(size))
    model.save_pretrained(folder)
    return Backbone(name="bigram", path=str(folder), context=4096, dtype="float32")


def tokenizer_of(tokens: list[str], template_end: str) -> Any:
    """Byte-level BPE with these tokens; those of two characters are merges."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    letters = {chr(byte): letter for letter, byte in byte_letters().items()}
    spelled = [token if token in (END, ASK) else "".join(letters[c] for c in token) for token in tokens]
    merges = [(token[0], token[1]) for token in spelled if len(token) == 2 and token not in (END, ASK)]
    made = Tokenizer(models.BPE(vocab={token: number for number, token in enumerate(spelled)}, merges=merges))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    made.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(tokenizer_object=made, eos_token=END, pad_token=END)
    fast.add_special_tokens({"additional_special_tokens": [ASK]})
    fast.chat_template = "{% for m in messages %}" + template_end + "{% endfor %}"
    return fast


def byte_letters() -> dict[str, int]:
    from fmtbench.decoding.decoders import byte_alphabet

    return byte_alphabet()
