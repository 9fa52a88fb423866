"""A query and a document as the token ids of one text, as a reranker reads them.

A tokenizer joins two texts itself, as sequence classifiers expect; a language model gets them inside the words of a template.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from fmtbench.embed.templates import NAME, Rendered
from fmtbench.embed.tokens import fit
from fmtbench.errors import UserError


class TextPair(NamedTuple):
    """Two texts that get one score. Neither is empty."""

    query: str
    document: str
    instruction: str = ""
    """What to look for, for templates with `{instruction}`."""


class PairTokens(NamedTuple):
    """The tokens of one pair."""

    features: dict[str, list[int]]
    """The tokenizer's output: `input_ids`, and whatever else the model takes."""
    cut: bool
    """Whether the pair was longer than the context."""


def joined(tokenizer: Any, pairs: Sequence[TextPair], limit: int) -> list[PairTokens]:
    """Pairs joined by the tokenizer. If a pair is too long, the longer text is cut first, as in sentence-transformers."""
    queries, documents = [one.query for one in pairs], [one.document for one in pairs]
    encoded = tokenizer(queries, documents, truncation="longest_first", max_length=limit)
    rows = ({name: column[i] for name, column in encoded.items()} for i in range(len(pairs)))
    return [PairTokens(row, bool(one.overflowing)) for row, one in zip(rows, encoded.encodings)]


def filled(tokenizer: Any, pairs: Sequence[TextPair], template: str, limit: int) -> list[PairTokens]:
    """Both texts in a template's words, with only the special tokens that it spells out: the model continues after its last word.

    If a pair is too long, only the document is cut. Raises `UserError` if that leaves nothing of it.
    """
    rendered = [_rendered(template, one) for one in pairs]
    settings = {"add_special_tokens": False, "return_offsets_mapping": True, "verbose": False}
    encoded = tokenizer([one.text for one in rendered], **settings)
    columns = zip(rendered, encoded["input_ids"], encoded["offset_mapping"])
    fitted = [fit(one, ids, offsets, limit) for one, ids, offsets in columns]
    return [PairTokens({"input_ids": one.ids, "attention_mask": [1] * len(one.ids)}, one.cut) for one in fitted]


def _rendered(template: str, pair: TextPair) -> Rendered:
    """The template filled in one pass, so that a name in braces inside a text is left alone. The span is the document's."""
    if "{instruction}" in template and not pair.instruction:
        raise UserError("the reranker's template needs an instruction: give one sentence that says what to look for")
    written, span = "", (0, 0)
    for i, part in enumerate(NAME.split(template)):
        text = str(getattr(pair, part)) if i % 2 else part
        if i % 2 and part == "document":
            span = (len(written), len(written) + len(text))
        written += text
    return Rendered(written, (span,))
