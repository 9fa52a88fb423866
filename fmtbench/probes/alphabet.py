"""What a grammar keeps out of the free text that it lets a model write.

A rationale inside a JSON string cannot contain a raw line break, and what it may escape differs by library and version. So
a schema changes what can be said, not only where. The result comes from the automaton itself, over a vocabulary of single
characters.

>>> alphabet(Constraint(kind="regex", source="[a-z0-9 <]*"))["newline"]
'never'
"""

from __future__ import annotations

import string
from typing import Literal

from fmtbench.decoding.grammar import regex
from fmtbench.types import Constraint

How = Literal["raw", "escaped", "never"]
PROBES = {
    "newline": "\n",
    "tab": "\t",
    "backslash": "\\",
    "<": "<",
    ">": ">",
    '"': '"',
    "'": "'",
    "`": "`",
    "*": "*",
    "$": "$",
    "non-ASCII": "é",
    "Hangul": "서",
    "emoji": "😀",
}
"""The kinds of characters that free answers use, with one example each."""
ESCAPES = {"\n": "n", "\t": "t"}
PROSE = string.ascii_lowercase + string.digits + " "


def alphabet(constraint: Constraint) -> dict[str, How]:
    """How each kind of character may occur in free text; empty if the grammar has no free text.

    Free text is where any lower-case letter, digit or space may come next. `never` means neither raw nor escaped.
    """
    steps = _steps(regex(constraint))
    free = [step for step in steps.values() if step.keys() >= set(PROSE)]
    return {name: _how(character, free, steps) for name, character in PROBES.items()} if free else {}


def _how(character: str, free: list[dict[str, int]], steps: dict[int, dict[str, int]]) -> How:
    escaped = [steps.get(step["\\"], {}) for step in free if "\\" in step]
    if any(ESCAPES.get(character, character) in step or "u" in step for step in escaped) and not _anything(escaped):
        return "escaped"
    return "raw" if any(character in step for step in free) else "never"


def _anything(after: list[dict[str, int]]) -> bool:
    """Whether anything may follow a backslash: it is then an ordinary character, and escapes nothing."""
    return any(step.keys() >= set(PROSE) for step in after)


def _steps(pattern: str) -> dict[int, dict[str, int]]:
    """The automaton over single characters: state, character, next state."""
    from outlines_core import Index, Vocabulary

    characters = sorted({*string.printable, *PROBES.values(), *pattern})
    vocabulary = Vocabulary(len(characters), {character: [i] for i, character in enumerate(characters)})
    transitions = Index(pattern, vocabulary).get_transitions()
    return {
        state: {characters[token]: after for token, after in step.items() if token < len(characters)}
        for state, step in transitions.items()
    }
