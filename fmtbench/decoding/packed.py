"""A mask as the masking libraries write it: V bits in words of 32, lowest bit first."""

BITS = 32
"""Of a word."""


def bit(token: int) -> int:
    """The word in which only this token is allowed, as a signed number."""
    place = token % BITS
    return 1 << place if place < BITS - 1 else -(1 << place)
