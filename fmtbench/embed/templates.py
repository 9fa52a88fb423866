"""Templates: the words around a text before it is embedded. The templates themselves are in `conf/embedder/*.yaml`.

    Template(query="Instruct: {instruction}\\nQuery: {text}", document="{text}")

`{text}` and `{instruction}` are the only names. In a symmetric task (similarity, classification) every text is a query, unless
`by_task` has words for this kind of task; in an asymmetric one (retrieval) the texts of the corpus are documents. If pooling
leaves out the template's words, it starts at the last `{text}`, so Echo pools its second copy.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import field
from typing import NamedTuple

from pydantic import ConfigDict, model_validator
from pydantic.dataclasses import dataclass

from fmtbench.errors import UserError

Role = str
"""`query`, `document`, or a kind of task that a template has words for in its `by_task`."""
NAME = re.compile(r"\{(\w*)\}")


class Rendered(NamedTuple):
    """What the tokenizer gets, and where the text is in it."""

    text: str
    spans: tuple[tuple[int, int], ...]
    """Start and end of each copy of the text."""


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class Template:
    """The words around a text, for each role."""

    query: str = "{text}"
    document: str | None = None
    """Null uses the query's words."""
    by_task: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Words for symmetric tasks by mteb's name of their kind, such as `STS`: EmbeddingGemma has a prompt for each."""

    @model_validator(mode="after")
    def _complete(self) -> Template:
        for role in (self.query, self.document or self.query, *self.by_task.values()):
            names = NAME.findall(role)
            if "text" not in names or set(names) - {"text", "instruction"}:
                raise ValueError(f"template {role!r} must hold {{text}}, may hold {{instruction}}, and no other name in braces")
        return self

    def words(self, role: Role) -> str:
        if role in self.by_task:
            return self.by_task[role]
        return self.query if role == "query" or self.document is None else self.document

    def render(self, text: str, role: Role, instruction: str) -> Rendered:
        """The words with their names filled in, in one pass: a name inside the text is left alone."""
        words = self.words(role)
        if "{instruction}" in words and not instruction:
            raise UserError(
                f"the template {words!r} needs an instruction: set instruction= to one sentence that says what to look for"
            )
        written, spans = "", []
        for i, part in enumerate(NAME.split(words)):
            filled = part if i % 2 == 0 else text if part == "text" else instruction
            if i % 2 and part == "text":
                spans.append((len(written), len(written) + len(text)))
            written += filled
        return Rendered(written, tuple(spans))

    def prefix(self, role: Role) -> str | None:
        """The fixed words before the text, if they are all there is to the template; None otherwise."""
        words = self.words(role)
        before, after = words.split("{text}", 1)
        return None if after or "{instruction}" in words else before
