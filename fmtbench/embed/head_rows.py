"""The rows of an encoder with several heads in a table: each head alone, dense with lexical scores, and all together.

    head_rows({"bge_m3": encoder}, heads=("dense", "sparse", "multi"), candidates=100, fusion="sum", index=Path("DIR/index"))

gives `bge_m3 dense`, `bge_m3 sparse`, `bge_m3 multi`, `bge_m3 dense+sparse` and `bge_m3 all`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from fmtbench.embed.description import LoadedEncoder
from fmtbench.embed.folder import read_config
from fmtbench.embed.identity import sha256
from fmtbench.embed.lexical import Lexical
from fmtbench.embed.mteb_model import MtebEncoder
from fmtbench.embed.saved import SavedEncoder
from fmtbench.errors import UserError

if TYPE_CHECKING:  # they import torch, which a table of other embedders may lack
    from fmtbench.embed.m3 import Heads
    from fmtbench.embed.representations import Represented
    from fmtbench.embed.search import Fusion

ROWS: dict[str, tuple[str, ...]] = {
    "dense": ("dense",),
    "sparse": ("sparse",),
    "multi": ("multi",),
    "dense+sparse": ("dense", "sparse"),
    "all": ("dense", "sparse", "multi"),
}
"""The heads whose scores make up each row."""


@dataclass(frozen=True, kw_only=True)
class HeadRow:
    """One row; an encoder that is not loaded yet."""

    encoder: SavedEncoder
    row: str
    heads: tuple[str, ...]
    """All heads asked for, also by the other rows: all rows share one pass over the corpus."""
    candidates: int
    fusion: Fusion
    index: Path
    """The folder of this encoder's corpora."""

    @property
    def by(self) -> tuple[str, ...]:
        return ROWS[self.row]

    def vectors(self) -> str:
        """sha256 of everything that determines what the heads say about a text."""
        from fmtbench.embed.m3 import FILES

        folder = self.encoder.folder()
        return sha256([self.encoder.identity(), {name: _file_hash(folder / file) for name, file in FILES.items()}])

    def identity(self) -> str:
        """sha256 of everything that determines this row's scores."""
        how: list[Any] = [self.row]
        how += [self.fusion] if len(self.by) > 1 else []
        how += [self.candidates, "sparse" in self.heads] if "multi" in self.by else []
        return sha256([self.vectors(), how])

    def published(self) -> tuple[str, str] | None:
        """The hub id and commit of the dense row alone: to mteb, a hub id means dense vectors."""
        return self.encoder.published() if self.row == "dense" else None

    def read(self) -> Heads:
        """The heads' weights. Raises `UserError` if the folder lacks one that is asked for."""
        from fmtbench.embed.m3 import read_heads

        folder = self.encoder.folder()
        return read_heads(folder, self.heads, int(read_config(folder / "config.json").get("hidden_size") or 0))

    def load(self) -> LoadedEncoder:
        loaded = self.encoder.load()
        return replace(loaded, heads=self.read().to(loaded.model.device))

    def model(self, embedder: Any, name: str, task: Any) -> Any | None:
        """A model in mteb's protocols; None if the row does not apply: only dense vectors can do more than search."""
        from fmtbench.embed.search import HeadSearch

        if hasattr(task, "k_values"):
            return HeadSearch(embedder, name, task, self)
        return MtebEncoder(embedder, name, task) if self.row == "dense" else None

    def indexed(self, place: str, content: Sequence[str], make: Callable[[BinaryIO], Represented]) -> Represented:
        """The corpus of a task, from its folder or made now."""
        from fmtbench.embed.index_folder import indexed

        return indexed(self.index / place, self.vectors(), self.heads, content, make)


def head_rows(
    embedders: Mapping[str, Any], *, heads: Sequence[str], candidates: int, fusion: Fusion, index: Path
) -> dict[str, Any]:
    """One embedder per row of every encoder; lexical baselines stay as they are.

    Raises `UserError` for an encoder that has no folder, or whose folder lacks a head.
    """
    found, asked = dict[str, Any](), {*heads}
    for name, embedder in embedders.items():
        if isinstance(embedder, Lexical):
            found[name] = embedder
            continue
        if not isinstance(embedder, SavedEncoder):
            raise UserError(f"heads= needs a folder with heads, and {name} has none: give embedder=bge_m3, saved, or trained=")
        kept = index / re.sub(r"[^\w.-]+", "-", name)
        for row, by in ROWS.items():
            if asked.issuperset(by):
                made = HeadRow(encoder=embedder, row=row, heads=tuple(heads), candidates=candidates, fusion=fusion, index=kept)
                made.read()  # so that a missing head is found before weights are loaded
                found[f"{name} {row}"] = made
    return found


def _file_hash(path: Path) -> str | None:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None
