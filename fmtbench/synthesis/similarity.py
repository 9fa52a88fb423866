"""Exact and near duplicates: equality after normalisation, and the Jaccard similarity of character shingles.

The comparison of shingles is Broder's (1997, On the Resemblance and Containment of Documents). The shingles are of
characters, so that languages without spaces are treated alike. Only pairs that share a band of their MinHash signatures are
compared; all others are taken to differ (Leskovec, Rajaraman and Ullman, Mining of Massive Datasets, chapter 3).
"""

from __future__ import annotations

import re
import unicodedata
import zlib
from collections import defaultdict
from typing import Any, Literal

import numpy as np

SIZE = 4
"""Characters in a shingle."""
HASHES = 128
MISSED = 1e-3
"""An upper bound on the probability that a pair right at the threshold shares no band."""
_MULTIPLY, _ADD = np.random.default_rng(0).integers(1, 2**63, size=(2, 1, HASHES), dtype=np.uint64)
_MULTIPLY |= np.uint64(1)


def normal(text: str) -> str:
    """The text without compatibility forms, case, punctuation and extra white space.

    >>> normal("  Who  wrote 'Faust'? ")
    'who wrote faust'
    """
    return " ".join(re.findall(r"\w+", unicodedata.normalize("NFKC", text).casefold()))


def shingles(text: str) -> frozenset[str]:
    """Every run of `SIZE` characters in a normalised text; the text itself if it is shorter."""
    return frozenset(text[i : i + SIZE] for i in range(max(1, len(text) - SIZE + 1)))


def jaccard(a: frozenset[str], b: frozenset[str]) -> float:
    """The size of the intersection over the size of the union; 1 for two empty sets."""
    return len(a & b) / len(a | b) if a or b else 1.0


def contained(text: str, whole: str) -> float:
    """The share of a text's shingles that occur in another text: Broder's containment."""
    part = shingles(normal(text))
    return len(part & shingles(normal(whole))) / len(part)


def rows_a_band(threshold: float) -> int:
    """The most rows in a band, at least one, that miss a pair at the threshold with a probability of at most `MISSED`."""
    return max((rows for rows in range(2, 9) if (1 - threshold**rows) ** (HASHES // rows) <= MISSED), default=1)


class Seen:
    """The texts so far, to check whether a new one repeats any of them."""

    def __init__(self, threshold: float) -> None:
        self.threshold = threshold
        self._rows = rows_a_band(threshold)
        self._exact: set[str] = set()
        self._texts: list[str] = []
        self._holders: dict[tuple[int, int], list[int]] = defaultdict(list)

    def repeats(self, text: str) -> Literal["", "duplicate", "near_duplicate"]:
        """How the text repeats an earlier one; empty if it is new."""
        plain = normal(text)
        if plain in self._exact:
            return "duplicate"
        found = shingles(plain)
        candidates = {number for band in self._bands(found) for number in self._holders.get(band, ())}
        near = any(jaccard(found, shingles(self._texts[number])) >= self.threshold for number in candidates)
        return "near_duplicate" if near else ""

    def add(self, text: str) -> None:
        plain = normal(text)
        self._exact.add(plain)
        for band in self._bands(shingles(plain)):
            self._holders[band].append(len(self._texts))
        self._texts.append(plain)

    def _bands(self, found: frozenset[str]) -> list[tuple[int, int]]:
        """The signature's bands, each with its position. Equal sets have equal bands in every process."""
        hashes_S = np.array([zlib.crc32(one.encode("utf-8", "surrogatepass")) for one in found], dtype=np.uint64)
        signature_H: Any = (hashes_S[:, None] * _MULTIPLY + _ADD >> np.uint64(32)).min(axis=0)
        ends = range(self._rows, HASHES + 1, self._rows)
        return [(end, zlib.crc32(signature_H[end - self._rows : end].tobytes())) for end in ends]
