"""Texts as token ids, the same for every backend: rendered, ended by EOS, cut to the context, and counted.

If a text is too long, only the text is cut. The template's words after it and EOS stay, since that is where last-token
pooling reads.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from fmtbench.embed.spec import EncoderSpec
from fmtbench.embed.templates import Rendered, Role
from fmtbench.errors import UserError


class Tokens(NamedTuple):
    """The tokens of one text."""

    ids: list[int]
    start: int
    """Index of the first token of the text, or of its last copy."""
    cut: bool
    """Whether the text was longer than the context."""


def tokenise(tokenizer: Any, texts: Sequence[str], spec: EncoderSpec, role: Role, instruction: str) -> list[Tokens]:
    """The tokens of each text. Raises `UserError` for an empty text, or if the template leaves no room for the text."""
    for number, text in enumerate(texts):
        if not text.strip():
            raise UserError(f"text {number} is empty: leave it out, or give it at least one word")
    if not texts:
        return []
    rendered = [spec.template.render(text, role, instruction) for text in texts]
    encoded = tokenizer([one.text for one in rendered], return_offsets_mapping=True, verbose=False)
    columns = zip(rendered, encoded["input_ids"], encoded["offset_mapping"])
    return [fit(one, ids, offsets, spec.max_tokens) for one, ids, offsets in columns]


def tokenise_each(
    tokenizer: Any, texts: Sequence[str], spec: EncoderSpec, roles: Sequence[Role], instructions: Sequence[str]
) -> list[Tokens]:
    """Like `tokenise`, but with a role and an instruction for each text, as in training."""
    each = zip(texts, roles, instructions)
    return [tokenise(tokenizer, [text], spec, role, instruction)[0] for text, role, instruction in each]


def fit(rendered: Rendered, ids: list[int], offsets: list[tuple[int, int]], limit: int) -> Tokens:
    """Cut the excess tokens off the ends of all copies of the text, the same number off each."""
    spans = [_tokens_of(span, offsets) for span in rendered.spans]
    share = -(-max(0, len(ids) - limit) // len(spans))
    if share and any(share >= end - start for start, end in spans):
        raise UserError(f"max_tokens={limit} leaves no room for the text beside the template's words: raise it")
    for _, end in reversed(spans):
        ids = ids[: end - share] + ids[end:]
    return Tokens(ids, spans[-1][0] - share * (len(spans) - 1), share > 0)


def _tokens_of(span: tuple[int, int], offsets: list[tuple[int, int]]) -> tuple[int, int]:
    """The first token with a character of the span, and one past the last token that lies inside the span.

    A token may join the text's full stop and the template's quotation mark; such a token must not be cut.
    """
    inside = [i for i, (start, end) in enumerate(offsets) if start < span[1] and end > span[0]]
    whole = [i for i in inside if offsets[i][1] <= span[1]]
    return inside[0], whole[-1] + 1 if whole else inside[0]
