"""One regular expression for every constraint, so that every decoder masks the same language.

Outlines builds the regex from the JSON schema. Its whitespace rule is fixed here to at most one space between
tokens: with unbounded whitespace small models loop, and a rule that differs by decoder would be a hidden treatment.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache
from importlib.metadata import PackageNotFoundError, version

from outlines_core.json_schema import build_regex_from_schema

from fmtbench.errors import DecoderError, UserError
from fmtbench.types import Constraint

WHITESPACE = r"[ ]?"
MASKS_WITH = {"outlines": ("outlines", "outlines_core"), "xgrammar": ("xgrammar",), "guidance": ("llguidance",)}
"""The packages behind each level of the decoder axis."""
ANYTHING = Constraint(kind="regex", source=r"[\s\S]*")
"""The sham: a grammar that allows everything, through the same machinery. It must have no effect."""


@cache  # asked for every request
def decoder_version(decoder: str) -> str:
    """Name and version of the library that does the masking, for keys and manifests. Raises `UserError` if it is absent."""
    try:
        return " ".join(f"{package} {version(package)}" for package in MASKS_WITH[decoder])
    except PackageNotFoundError as error:
        raise UserError(f"decoder={decoder} needs {error.name}: pip install 'fmtbench[decoders]'") from error


@lru_cache(maxsize=1024)
def regex(constraint: Constraint) -> str:
    """The regular expression whose full matches are what the constraint allows."""
    if constraint.kind == "regex":
        return constraint.source
    try:
        return build_regex_from_schema(constraint.source, WHITESPACE)
    except (ValueError, TypeError) as error:
        raise DecoderError(f"Outlines cannot turn this schema into a grammar ({error}): {constraint.source[:200]}") from error


def allows(constraint: Constraint, text: str) -> bool:
    """Whether a finished text keeps to the constraint: every constrained output is checked like this after the fact."""
    return re.fullmatch(regex(constraint), text) is not None
