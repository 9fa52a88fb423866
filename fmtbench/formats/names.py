"""The names of a field that holds the answer: one list for all formats, and for the marks in prose."""

from __future__ import annotations

import re

QUALITY = r"(?:final|correct|right|best|predicted|most likely)"
NAMES = (
    rf"(?:(?:{QUALITY}[ _-]?)?answer(?:[ _-]?(?:letter|choice|option|value|text))?|ans|정답|답"
    rf"|{QUALITY}[ _-]?(?:choice|option|label|result|value)|final|result|solution|label|choice|option|prediction|output)"
)
"""A regular expression without groups of its own."""
NAMED = re.compile(NAMES, re.I)
SURELY = re.compile(rf"[*_]*(?:{QUALITY}[ _-]?)?(?:answer.*|ans|정답|답)", re.I)
"""The names that only answers have: they outweigh the others."""
NOTHING = re.compile(r"(?:null|none|~|n/a)[,\s]*", re.I)
"""What an empty field says."""
