"""One Markdown fence around a whole reply, which chat models put there unasked and clients take off."""

from __future__ import annotations

import re

FENCE = re.compile(r"\s*```([A-Za-z]*)[ \t]*\n(.*?)\n?[ \t]*```\s*", re.S)


def unfenced(text: str, *languages: str) -> tuple[int, str]:
    """The text inside a fence around all of it that names one of these languages or none, and where that begins.

    The text itself, from 0, where there is no such fence.
    """
    match = FENCE.fullmatch(text)
    return (match.start(2), match[2]) if match and match[1].lower() in ("", *languages) else (0, text)
