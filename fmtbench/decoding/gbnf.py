"""A regular expression as a GBNF grammar, which is what llama.cpp's decoder takes: the same language as everywhere.

    gbnf('[0-9]+(,[0-9]{3})*')    ->    root ::= [0-9]+ ("," [0-9]{3})*

One character is left out of the language: NUL, which llama.cpp takes for the end of a text.
"""

from __future__ import annotations

import re
import re._constants as op  # type: ignore[import-not-found]  # private: seen in Python 3.11 to 3.13
import re._parser as parser  # type: ignore[import-not-found]
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import groupby
from typing import Any

from fmtbench.errors import BarredError

Ranges = list[tuple[int, int]]
"""Code points from and to, in order, without overlap."""

LAST = 0x10FFFF
MOST_REPETITIONS = 2000
"""llama.cpp refuses a grammar in which a repetition has more (its `MAX_REPETITION_THRESHOLD`)."""
NAMED = {"\n": "\\n", "\r": "\\r", "\t": "\\t", '"': '\\"', "\\": "\\\\", "[": "\\[", "]": "\\]"}


@lru_cache(maxsize=256)
def gbnf(pattern: str) -> str:
    """The grammar whose texts are the full matches of a pattern. Raises `BarredError` for what GBNF cannot say."""
    return f"root ::= {_sequence(parser.parse(pattern))}"


def _sequence(parsed: Iterable[tuple[Any, Any]]) -> str:
    """Parts one after another; literals that stand together are one string."""
    parts: list[str] = []
    for literal, group in groupby(parsed, key=lambda one: one[0] is op.LITERAL):
        if literal:
            parts.append('"' + "".join(_character(code) for _, code in group) + '"')
        else:
            parts += [_part(name, value) for name, value in group]
    return " ".join(filter(None, parts)) or '""'


def _part(name: Any, value: Any) -> str:
    if name is op.BRANCH:
        return "(" + " | ".join(_sequence(one) for one in value[1]) + ")"
    if name is op.SUBPATTERN and not value[1] and not value[2]:
        inner = list(value[3])
        return _sequence(inner) if len(inner) == 1 and inner[0][0] is op.BRANCH else f"({_sequence(inner)})"
    if name in (op.MAX_REPEAT, op.MIN_REPEAT):
        return _repeated(*value)
    if name in (op.IN, op.NOT_LITERAL, op.ANY):
        return _class(_members(name, value))
    if name is op.AT and value in (op.AT_BEGINNING, op.AT_BEGINNING_STRING, op.AT_END_STRING):
        return ""  # a full match begins and ends there anyway
    raise BarredError(f"llama.cpp's grammars cannot say what this condition allows ({str(name).lower()} in a pattern)")


def _repeated(least: int, most: Any, parsed: Any) -> str:
    if max(least, 0 if most is op.MAXREPEAT else most) > MOST_REPETITIONS:
        raise BarredError(f"llama.cpp takes at most {MOST_REPETITIONS} repetitions, and this condition's grammar has more")
    inner = list(parsed)
    simple = len(inner) == 1 and inner[0][0] not in (op.MAX_REPEAT, op.MIN_REPEAT)
    held = _sequence(inner) if simple else f"({_sequence(inner)})"
    endless = most is op.MAXREPEAT
    signs = {(0, True): "*", (1, True): "+", (0, False): "?" if most == 1 else ""}
    if sign := signs.get((least, endless)):
        return held + sign
    return held + (f"{{{least},}}" if endless else f"{{{least}}}" if least == most else f"{{{least},{most}}}")


def _members(name: Any, value: Any) -> Ranges:
    if name is op.ANY:
        return _complement([(ord("\n"), ord("\n"))])
    if name is op.NOT_LITERAL:
        return _complement([(value, value)])
    negated = value[0][0] is op.NEGATE
    ranges = _merged(one for member in value[negated:] for one in _ranges(*member))
    return _complement(ranges) if negated else ranges


def _ranges(name: Any, value: Any) -> Ranges:
    if name is op.LITERAL:
        return [(value, value)]
    if name is op.RANGE:
        return [value]
    return _category(value)


@lru_cache(maxsize=16)
def _category(name: Any) -> Ranges:
    r"""All of `\s`, `\d` or `\w`, as `re` has them, which is what replies are checked by."""
    if "_NOT_" in str(name):
        return _complement(_category(getattr(op, str(name).replace("_NOT_", "_"))))
    pattern = {op.CATEGORY_SPACE: r"\s+", op.CATEGORY_DIGIT: r"\d+", op.CATEGORY_WORD: r"\w+"}[name]
    every = "".join(map(chr, range(LAST + 1)))
    return [(found.start(), found.end() - 1) for found in re.finditer(pattern, every)]


def _merged(ranges: Iterable[tuple[int, int]]) -> Ranges:
    found: Ranges = []
    for low, high in sorted(ranges):
        if found and low <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(high, found[-1][1]))
        else:
            found.append((low, high))
    return found


def _complement(ranges: Ranges) -> Ranges:
    edges = [-1, *(edge for low, high in ranges for edge in (low, high)), LAST + 1]
    pairs = zip(edges[::2], edges[1::2], strict=True)
    return [(before + 1, after - 1) for before, after in pairs if before + 1 < after]


def _class(ranges: Ranges) -> str:
    """A class of characters, in its shorter form; what ends with the last character is everything but the rest."""
    without_nul = [(max(low, 1), high) for low, high in ranges if high > 0]
    if without_nul and without_nul[-1][1] == LAST and (rest := _complement(without_nul)) != [(0, 0)]:
        return f"[^{''.join(_spelled(rest))}]"
    return f"[{''.join(_spelled(without_nul))}]"


def _spelled(ranges: Ranges) -> Iterator[str]:
    for low, high in ranges:
        yield _in_class(low) if low == high else f"{_in_class(low)}-{_in_class(high)}"


def _in_class(code: int) -> str:
    return f"\\x{code:02X}" if chr(code) in "^-" else _character(code)


def _character(code: int) -> str:
    character = chr(code)
    if character in NAMED:
        return NAMED[character]
    if 32 <= code < 127:
        return character
    return f"\\x{code:02X}" if code < 256 else f"\\U{code:08X}"
