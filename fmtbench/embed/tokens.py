"""Texts into token ids, the same for every engine: rendered, ended by EOS, cut to the context, and counted.

Where a text is too long only the text is cut: the template's words behind it and EOS stay, since that is where a last
token is pooled.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from fmtbench.embed.recipe import Recipe
from fmtbench.embed.templates import Rendered, Role
from fmtbench.errors import UserError


class Tokens(NamedTuple):
    """One text."""

    ids: list[int]
    start: int
    """Index of the first token of the text, or of its last copy; before it stand the template's words."""
    cut: bool
    """The text was longer than the context."""


def tokenise(tokenizer: Any, texts: Sequence[str], recipe: Recipe, role: Role, instruction: str) -> list[Tokens]:
    """Raises `UserError` for an empty text, and where the template leaves no room for any."""
    for number, text in enumerate(texts):
        if not text.strip():
            raise UserError(f"text {number} is empty: leave it out, or give it at least one word")
    if not texts:
        return []
    rendered = [recipe.template.render(text, role, instruction) for text in texts]
    encoded = tokenizer([one.text for one in rendered], return_offsets_mapping=True, verbose=False)
    columns = zip(rendered, encoded["input_ids"], encoded["offset_mapping"])
    return [_fit(one, ids, offsets, recipe.max_tokens) for one, ids, offsets in columns]


def tokenise_each(
    tokenizer: Any, texts: Sequence[str], recipe: Recipe, roles: Sequence[Role], instructions: Sequence[str]
) -> list[Tokens]:
    """The same where each text has a role and an instruction of its own, as in training."""
    each = zip(texts, roles, instructions)
    return [tokenise(tokenizer, [text], recipe, role, instruction)[0] for text, role, instruction in each]


def _fit(rendered: Rendered, ids: list[int], offsets: list[tuple[int, int]], limit: int) -> Tokens:
    """Cut as many tokens off the end of each copy of the text as are too many, shared out evenly."""
    spans = [_tokens_of(span, offsets) for span in rendered.spans]
    share = -(-max(0, len(ids) - limit) // len(spans))
    if share and any(share >= end - start for start, end in spans):
        raise UserError(f"max_tokens={limit} leaves no room for the text beside the template's words: raise it")
    for _, end in reversed(spans):
        ids = ids[: end - share] + ids[end:]
    return Tokens(ids, spans[-1][0] - share * (len(spans) - 1), share > 0)


def _tokens_of(span: tuple[int, int], offsets: list[tuple[int, int]]) -> tuple[int, int]:
    """First token that holds a character of the span, and the one behind the last that holds no character after it.

    A token may hold the text's full stop and the template's quotation mark: it is not to be cut.
    """
    inside = [i for i, (start, end) in enumerate(offsets) if start < span[1] and end > span[0]]
    whole = [i for i in inside if offsets[i][1] <= span[1]]
    return inside[0], whole[-1] + 1 if whole else inside[0]
