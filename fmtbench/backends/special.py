"""Dataset text is data: special tokens that an item's text spells out are broken up before the model sees them.

An item that contains `<|im_end|>` would otherwise end its own turn. The rule is the same for every engine and acts on
text: a space goes after the first character (`< |im_end|>`), so that the words stay readable and the tokenizer finds no
special token. The tokenizer says which texts are special; a server's tokenizer cannot be seen, so for a server it is the
marks of the usual chat templates.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

from fmtbench.types import Message

USUAL = re.compile(r"<\|[^<>|\s]{1,60}\|>|</?s>|<(?:bos|eos|pad|unk|mask|start_of_turn|end_of_turn)>|\[/?INST\]|<</?SYS>>")
"""Marks of the chat templates in use: ChatML, Llama 2 and 3, Gemma, Mistral, Phi, GPT-OSS, DeepSeek's ASCII ones."""


@lru_cache(maxsize=8)
def special_tokens(tokenizer: Any) -> re.Pattern[str]:
    """Matches every special token of a tokenizer, the longest first.

    Added tokens that the tokenizer itself does not call special (line breaks in Gemma's, `<think>` in Qwen's) are left
    alone: they are ordinary text.
    """
    added = {str(token) for token in tokenizer.added_tokens_decoder.values() if token.special}
    spelled = sorted({*added, *tokenizer.all_special_tokens} - {""}, key=lambda token: (-len(token), token))
    return re.compile("|".join(map(re.escape, spelled)) or r"(?!)")


def neutral(messages: Sequence[Message], special: re.Pattern[str]) -> tuple[tuple[Message, ...], int]:
    """The messages without special tokens in their contents, and how many there were; the same messages if there were none."""
    counts = [len(special.findall(message.content)) for message in messages]
    return tuple(
        replace(message, content=_broken_up(message.content, special)) if count else message
        for message, count in zip(messages, counts)
    ), sum(counts)


def _broken_up(text: str, special: re.Pattern[str]) -> str:
    """Repeated, since what is left may spell another special token."""
    while special.search(text):
        text = special.sub(lambda found: f"{found[0][0]} {found[0][1:]}" if len(found[0]) > 1 else " ", text)
    return text
