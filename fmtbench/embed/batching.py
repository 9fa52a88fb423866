"""Batches by tokens, so that short texts do not wait for long ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence


def token_batches(lengths: Sequence[int], tokens: int, rows: int | None = None) -> Iterator[list[int]]:
    """Indices of the texts in batches, longest first, so that a batch too large for the memory fails at once.

    A batch has at most `tokens` tokens, padding included, and `rows` texts; a single text may be longer.
    """
    order = sorted(range(len(lengths)), key=lambda place: -lengths[place])
    while order:
        fitting = max(1, min(rows or len(order), tokens // max(1, lengths[order[0]])))
        yield order[:fitting]
        order = order[fitting:]
