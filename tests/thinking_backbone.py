"""A backbone of a few kilobytes that thinks: the next token depends on the last one alone, as a table of the test says.

Its attention and its feed-forward layer write nothing, so that the logits are the last token's embedding against all rows of
the output layer, and these are made from the table: `{"a": "b"}` has `b` follow `a`. A token is a byte, or one of the marks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

MARKS = ["<|end|>", "<|im|>", "<think>", "</think>"]
TEMPLATE = (
    "{% for m in messages %}<|im|>{{ m.content }}{% endfor %}<|im|>"
    "{% if add_generation_prompt and enable_thinking is defined and not enable_thinking %}<think></think>{% endif %}"
)
"""As Qwen3's: it leaves the mark that begins a thought to the model, and writes an empty thought where thinking is off."""
WRITES = {"<think>": "\n", "\n": "W", "W": "a", "a": "i", "i": "t", "t": "</think>", "</think>": "O", "O": "k", "k": "<|end|>"}
"""The thought is `Wait`, and the reply `Ok`."""
WRITES |= {'"': '"', "}": "<|end|>"} | dict.fromkeys("0123456789", "}")
"""Where it is held to JSON, strings are empty and numbers short."""
THINKING = {"switch": {"enable_thinking": True}, "opens": "<think>\n", "closes": "</think>", "forced": "\n</think>\n"}
WIDTH = 128


def byte_tokenizer(template: str, special: Sequence[str] = MARKS[:2], ordinary: Sequence[str] = MARKS[2:]) -> Any:
    """A token is a byte or a mark; the first of the special marks ends a reply."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={letter: place for place, letter in enumerate(letters)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(list(special))
    tokenizer.add_tokens([AddedToken(mark, special=False, normalized=False) for mark in ordinary])
    ends = {"eos_token": special[0], "pad_token": special[0]}
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=512, **ends)
    fast.chat_template = template
    return fast


def write_thinking_backbone(folder: Path, writes: Mapping[str, str], template: str = TEMPLATE) -> dict[str, Any]:
    """Weights, tokenizer and config; returns the fields of a `Backbone`."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    fast = byte_tokenizer(template)
    fast.save_pretrained(folder)
    config = LlamaConfig(
        vocab_size=len(fast),
        hidden_size=WIDTH,
        intermediate_size=4,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=512,
        eos_token_id=fast.eos_token_id,
        pad_token_id=fast.pad_token_id,
        bos_token_id=None,
        tie_word_embeddings=False,
    )
    torch.manual_seed(3)
    model = LlamaForCausalLM(config)
    with torch.no_grad():
        rows_VD = torch.nn.functional.normalize(torch.randn(len(fast), WIDTH), dim=-1)
        model.model.embed_tokens.weight.copy_(rows_VD)
        model.lm_head.weight.copy_(0.01 * torch.randn(len(fast), WIDTH))
        model.model.layers[0].self_attn.o_proj.weight.zero_()
        model.model.layers[0].mlp.down_proj.weight.zero_()
        for last, following in writes.items():
            (before,), (after,) = (fast.encode(one, add_special_tokens=False) for one in (last, following))
            model.lm_head.weight[after] += rows_VD[before]
    model.save_pretrained(folder)
    return {"name": "tiny_thinker", "path": str(folder), "context": 512}
