"""White space between the tokens of JSON as a treatment: what a grammar allows of it, and what a prompt shows.

compact      {"reasoning":"9 * 2","answer":18}
one_space    {"reasoning": "9 * 2", "answer": 18}       at most one space anywhere: the rule of all other conditions
pretty       each key and element on a line of its own, two spaces deeper a level, as json.dumps(..., indent=2) writes it
free         any number of spaces and line breaks, which is what xgrammar and guidance allow unless they are told otherwise
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Literal

from outlines_core.json_schema import build_regex_from_schema

from fmtbench.types import Constraint

Whitespace = Literal["compact", "one_space", "pretty", "free"]
FREE = r"[ \t\n\r]*"
HERE = "\ue000"
"""Stands for white space in a pattern, until its place is known."""
OPENINGS, CLOSINGS = (r"\{", r"\["), (r"\}", r"\]")
BEGINNINGS = (r'\{"', r"\{(", r"\{\n", r"\{" + FREE, r"(\{\}|")
"""How the patterns of objects begin that `spaced` makes, and no other."""
TOKEN = re.compile(r'"(?:[^"\\]|\\.)*+"|[{}\[\],:]|<[^<>]*>|[^\s{}\[\],:"<]+', re.S)
"""Of JSON, and of a form in which placeholders stand without quotation marks."""
PATTERN = re.compile(r"\\.|\[\^?(?:\\.|[^\]\\])*\]|[()]", re.S)


@lru_cache(maxsize=1024)
def spaced(constraint: Constraint, whitespace: Whitespace) -> Constraint:
    """What a JSON schema allows, in this white space alone; with one space, the schema itself.

    A schema that Outlines has no grammar for is given back as it is: its compilation fails in the sandbox, which says why.
    """
    if whitespace == "one_space":
        return constraint
    try:
        source = build_regex_from_schema(constraint.source, {"compact": "", "free": FREE, "pretty": HERE}[whitespace])
    except (ValueError, TypeError):
        return constraint
    return Constraint(kind="regex", source=_indented(source) if whitespace == "pretty" else source)


def is_spaced(constraint: Constraint) -> bool:
    """Whether `spaced` has changed what is allowed."""
    return constraint.kind == "regex" and constraint.source.startswith(BEGINNINGS)


def respaced(text: str, whitespace: Whitespace) -> str:
    """A JSON text, or a form with placeholders, in this white space; as it is where that leaves a choice."""
    if whitespace in ("one_space", "free"):
        return text
    tokens = TOKEN.findall(text)
    if whitespace == "compact":
        return "".join(tokens)
    made, depth = "", 0
    for before, token in zip(["", *tokens], tokens):
        depth -= token in ("}", "]")
        if _breaks(before, token):
            made += "\n" + "  " * depth
        made += f" {token}" if before == ":" else token
        depth += token in ("{", "[")
    return made


def _breaks(before: str, token: str) -> bool:
    """Whether a line ends between two tokens; an empty object or list has none."""
    if token in ("}", "]"):
        return before not in ("{", "[")
    return before in ("{", "[", ",")


def _indented(pattern: str) -> str:
    """A pattern with its places for white space filled in. Brackets nest in the pattern as they do in its texts, so how many
    are open at a place is how deep its line stands."""
    made, *pieces = pattern.split(HERE)
    opened: list[int] = []
    for after in pieces:
        if made.endswith((*OPENINGS, r"\{(")):
            opened.append(len(made.removesuffix("(")) - 2)
        if after.startswith(CLOSINGS):
            start = opened.pop()
            made = made[:start] + _whole(made[start:], _line(len(opened)) + after[:2]) + after[2:]
        elif after[:1] in (":", ","):
            made += after
        else:
            made += (" " if made.endswith(":") else _line(len(opened))) + after
    return made


def _line(depth: int) -> str:
    return r"\n" + "  " * depth


def _whole(opened: str, closing: str) -> str:
    """An object or list from its opening on. Where all of its content may be missing, it has one line without, and no line for
    nothing."""
    whole_group = opened[2:3] == "(" and _group_end(opened, 2) == len(opened) - 1
    if not opened.endswith(")?") or not (whole_group or opened.startswith(r"\[")):
        return opened + closing
    content = opened[2:-1]
    return f"({opened[:2]}{closing[-2:]}|{opened[:2]}{content}{closing})"


def _group_end(pattern: str, start: int) -> int:
    """Where the group that opens at `start` ends."""
    depth = 0
    for mark in PATTERN.finditer(pattern, start):
        depth += {"(": 1, ")": -1}.get(mark[0], 0)
        if not depth:
            return mark.end()
    return len(pattern)
