"""Exact and near duplicates: equality after normalising, and the Jaccard similarity of character shingles.

Shingles are those of Broder 1997 (On the Resemblance and Containment of Documents), of characters, so that languages without
spaces count alike. Only texts that share a rare prefix can be similar (prefix filtering, Chaudhuri et al. 2006, A Primitive
Operator for Similarity Joins; Bayardo et al. 2007, Scaling Up All Pairs Similarity Search): the search is exact, and does not
compare all pairs.
"""

from __future__ import annotations

import math
import re
import unicodedata
import zlib
from collections import defaultdict
from typing import Literal

SIZE = 4
"""Characters a shingle."""


def normal(text: str) -> str:
    """Compatibility forms, case, punctuation and white space taken off.

    >>> normal("  Who  wrote 'Faust'? ")
    'who wrote faust'
    """
    return " ".join(re.findall(r"\w+", unicodedata.normalize("NFKC", text).casefold()))


def shingles(text: str) -> frozenset[str]:
    """Every run of `SIZE` characters of a normalised text; the text itself where it is shorter."""
    return frozenset(text[i : i + SIZE] for i in range(max(1, len(text) - SIZE + 1)))


def jaccard(a: frozenset[str], b: frozenset[str]) -> float:
    """Shared over all. 1 for two empty sets."""
    return len(a & b) / len(a | b) if a or b else 1.0


def contained(text: str, whole: str) -> float:
    """The share of a text's shingles that stand in another one: Broder's containment."""
    part = shingles(normal(text))
    return len(part & shingles(normal(whole))) / len(part)


class Seen:
    """The texts so far, and what a new one repeats."""

    def __init__(self, threshold: float) -> None:
        self.threshold = threshold
        self._exact: set[str] = set()
        self._sets: list[frozenset[str]] = []
        self._holders: dict[str, list[int]] = defaultdict(list)

    def repeats(self, text: str) -> Literal["", "duplicate", "near_duplicate"]:
        """What the text is to those before; empty where it is new."""
        plain = normal(text)
        if plain in self._exact:
            return "duplicate"
        found = shingles(plain)
        candidates = {number for shingle in self._prefix(found) for number in self._holders[shingle]}
        near = any(jaccard(found, self._sets[number]) >= self.threshold for number in candidates)
        return "near_duplicate" if near else ""

    def add(self, text: str) -> None:
        plain = normal(text)
        self._exact.add(plain)
        found = shingles(plain)
        for shingle in self._prefix(found):
            self._holders[shingle].append(len(self._sets))
        self._sets.append(found)

    def _prefix(self, found: frozenset[str]) -> list[str]:
        """Two sets at or above the threshold share one of these: the first in one order that is the same for all sets."""
        ordered = sorted(found, key=lambda shingle: (zlib.crc32(shingle.encode("utf-8", "surrogatepass")), shingle))
        return ordered[: len(found) - math.ceil(self.threshold * len(found) - 1e-9) + 1]
