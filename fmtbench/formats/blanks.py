"""Taking syntax off a text without moving any character, so that one can still tell which token wrote which word."""

from __future__ import annotations

import re

FILLER = "\0"
"""Stands in for a character taken out of a word; no word contains it."""
ESCAPE = re.compile(r'\\(?:u(?P<code>[\da-fA-F]{4})|(?P<sign>[nrtbf"\\/]))')
SIGNS = {"n": "\n", "r": "\n", "t": "\t", "b": " ", "f": " "}


def blank(text: str) -> str:
    """As many spaces, the last replaced by a line break: what follows begins a line."""
    return " " * (len(text) - 1) + "\n" if text else ""


def removed(text: str) -> str:
    """As many fillers: what stands on either side remains one word."""
    return FILLER * len(text)


def filled(character: str, length: int) -> str:
    """A character, preceded by fillers for the characters that it was written with."""
    return character.rjust(length, FILLER)


def undone(text: str) -> str:
    """A text with JSON's escapes undone and its length unchanged."""
    return ESCAPE.sub(_character, text)


def _character(match: re.Match[str]) -> str:
    character = chr(int(match["code"], 16)) if match["code"] else SIGNS.get(match["sign"], match["sign"])
    return filled(character, len(match[0]))
