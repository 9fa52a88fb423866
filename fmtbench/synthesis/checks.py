"""Why a text is not kept. Each check returns the reason as one word, or an empty string.

The schema that the decoder enforces does not govern the contents of strings: a small model writes empty ones, repeats the
query as its own answer, or answers in another language.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Mapping
from typing import Any

import jsonschema

from fmtbench.formats.json import parse_object
from fmtbench.readers.failure import in_loop
from fmtbench.synthesis.recipe import Bounds, Language
from fmtbench.synthesis.similarity import jaccard, normal, shingles
from fmtbench.types import Constraint, Generation

REASONS = (
    "engine_error",
    "truncated",
    "schema_violation",
    "broken_characters",
    "empty",
    "too_short",
    "too_long",
    "loop",
    "query_is_positive",
    "positive_is_negative",
    "query_is_negative",
    "copies_prompt",
    "language",
    "duplicate",
    "near_duplicate",
)
"""The reasons in the order in which they are checked; a text gets the first that applies."""
OWN_SCRIPT = 0.5
"""The smallest share of a text's letters in its language's scripts; names and terms may be in another script."""
LONG_TEXT = 20
"""From this many words on, a text needs common words of its language."""
COMMON_WORDS = 2
"""How many different common words it needs."""


def parsed(generation: Generation, constraint: Constraint) -> tuple[str, dict[str, Any]]:
    """The reason why there is no object, and the object; one of them is empty."""
    if generation.finish_reason != "stop":
        return {"error": "engine_error", "length": "truncated"}[generation.finish_reason], {}
    members = parse_object(generation.text)
    value = {member.key: member.value for member in members or ()}
    schema = json.loads(constraint.source)
    if members is None or len(value) != len(members) or not jsonschema.Draft202012Validator(schema).is_valid(value):
        return "schema_violation", {}
    return "", value


def bad_text(text: str, bounds: Bounds) -> str:
    """What is wrong with a text, given without surrounding white space."""
    if any(char == "\ufffd" or (unicodedata.category(char) in ("Cs", "Cc") and not char.isspace()) for char in text):
        return "broken_characters"
    if not normal(text):
        return "empty"
    if len(text) < bounds.least:
        return "too_short"
    if len(text) > bounds.most:
        return "too_long"
    return "loop" if in_loop(text) else ""


def bad_triple(triple: Mapping[str, str], most: float) -> str:
    """The reason if the query repeats a passage, or both passages are the same. A hard negative may differ by a single word."""
    query, positive, negative = (normal(triple[name]) for name in ("query", "positive", "negative"))
    if jaccard(shingles(query), shingles(positive)) >= most:
        return "query_is_positive"
    if positive == negative:
        return "positive_is_negative"
    return "query_is_negative" if jaccard(shingles(query), shingles(negative)) >= most else ""


def written_in(text: str, language: Language) -> bool:
    """Whether at least half of the letters are in the language's scripts, and a longer text has two of its common words."""
    letters = [char for char in unicodedata.normalize("NFKC", text) if char.isalpha()]
    own = sum(unicodedata.name(char, "").partition(" ")[0] in language.scripts for char in letters)
    if language.scripts and not own >= OWN_SCRIPT * len(letters) > 0:
        return False
    words = normal(text).split()
    return not language.common or len(words) < LONG_TEXT or len(set(words) & set(language.common)) >= COMMON_WORDS
