"""Templates: the words around a text before it is embedded. Data: `conf/embedder/*.yaml` holds them in full.

    Template(query="Instruct: {instruction}\\nQuery: {text}", document="{text}")

`{text}` and `{instruction}` are the only names. In a symmetric task (similarity, classification) every text is a query;
in an asymmetric one (retrieval) the corpus are documents. Only the last `{text}` counts as the text where pooling leaves
out the template's words, so that Echo pools its second copy.
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

from pydantic import ConfigDict, model_validator
from pydantic.dataclasses import dataclass

from fmtbench.errors import UserError

Role = Literal["query", "document"]
NAME = re.compile(r"\{(\w*)\}")


class Rendered(NamedTuple):
    """What the tokenizer is given, and where the text stands in it."""

    text: str
    spans: tuple[tuple[int, int], ...]
    """Start and end of each copy of the text."""


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class Template:
    """The words around a text, by its role."""

    query: str = "{text}"
    document: str | None = None
    """Null takes the same words as for a query."""

    @model_validator(mode="after")
    def _complete(self) -> Template:
        for role in (self.query, self.document or self.query):
            names = NAME.findall(role)
            if "text" not in names or set(names) - {"text", "instruction"}:
                raise ValueError(f"template {role!r} must hold {{text}}, may hold {{instruction}}, and no other name in braces")
        return self

    def words(self, role: Role) -> str:
        return self.query if role == "query" or self.document is None else self.document

    def render(self, text: str, role: Role, instruction: str) -> Rendered:
        """The words with their names filled in, once: what stands in the text is never taken for a name."""
        words = self.words(role)
        if "{instruction}" in words and not instruction:
            raise UserError(f"the template {words!r} needs an instruction: set instruction= to one sentence on what is sought")
        written, spans = "", []
        for i, part in enumerate(NAME.split(words)):
            filled = part if i % 2 == 0 else text if part == "text" else instruction
            if i % 2 and part == "text":
                spans.append((len(written), len(written) + len(text)))
            written += filled
        return Rendered(written, tuple(spans))

    def prefix(self, role: Role) -> str | None:
        """What stands before the text, where fixed words there are all that the template does; None otherwise."""
        words = self.words(role)
        before, after = words.split("{text}", 1)
        return None if after or "{instruction}" in words else before
