r"""Mathematical expressions in LaTeX or plain signs, parsed and compared by the library math-verify (sympy underneath).

Models write `\frac{3}{4}`, `$3/4$`, `0.75` and `\boxed{\dfrac34}` for one value. In a JSON string they also write it with
too few backslashes (`"\frac"` is a form feed and `rac`) or with too many; both are mended here, because a lost backslash
is the contract's doing and would otherwise count as wrong mathematics.

>>> equal(r"\frac{3}{4}", "0.75")
True
"""

from __future__ import annotations

import logging
import re
import threading
import unicodedata
from functools import lru_cache
from typing import Any

SECONDS = 3
LONGEST = 1000
"""The most characters; longer texts are not answers, and take long to parse."""
LOST_BACKSLASH = re.compile(
    r"[\x08\x0c](?=[a-z])|\t(?=ext|frac|imes|heta|an|riangle|au|o\b)|\r(?=ight|ho|angle|ceil|floor)|\n(?=eq|e\b|u\b|abla|ot|i\b|mid)"
)
UPRIGHT = re.compile(r"\\(?:mathrm|text|operatorname)\s?\{\s?([eid])\s?\}")
"""e, i and d in upright type: dropped by the library, which then takes `2+i` for `2-i`."""
MIXED = re.compile(r"(?<![\w.,/}])(\d+) (\d+)/(\d+)(?![\d/])")
PER_CENT = re.compile(r"\\?%")
BASED = re.compile(r"(-?[\dA-Fa-f]+)(?:_\{?(\d+)\}?|\(?(?:\\text\{)?base\}?(\d+)\)?)")
RESTORED = {"\x08": r"\b", "\x0c": r"\f", "\t": r"\t", "\r": r"\r", "\n": r"\n"}
RAISED = str.maketrans({c: f"^{{{unicodedata.normalize('NFKC', c)}}}" for c in "⁰¹²³⁴⁵⁶⁷⁸⁹"})
SIGNS = str.maketrans(
    {"π": r"\pi ", "∞": r"\infty ", "°": r"^\circ ", "−": "-", "–": "-", "×": r"\times ", "⁄": "/", "∪": r"\cup "}
)
NAMES = {"pi": r"\pi", "infinity": r"\infty", "inf": r"\infty", "sqrt": r"\sqrt"}
FUNCTIONS = ("sin", "cos", "tan", "cot", "sec", "csc", "log", "exp", "arcsin", "arccos", "arctan", "max", "min", "gcd", "lcm")
IN_MATHS = re.compile(r"\\boxed\s*\{|\$[^$]+\$|\\\(.+?\\\)|\\\[.+?\\\]", re.S)


def tidy(text: str) -> str:
    """What was written as one LaTeX text, without emphasis, with lost backslashes restored and words marked as words."""
    text = UPRIGHT.sub(r"\1", LOST_BACKSLASH.sub(lambda match: RESTORED[match[0]], text)).strip().strip("`")
    text = MIXED.sub(r"(\1+\2/\3)", text)
    text = re.sub(r"^\*\*(.+?)\*\*$|^__(.+?)__$", lambda match: match[1] or match[2], text)
    if not re.search(r"(?<!\\)\\[A-Za-z]", text):
        text = re.sub(r"\\\\(?=[A-Za-z({$%])", r"\\", text)
    text = (
        unicodedata.normalize("NFKC", text.translate(RAISED))
        .translate(SIGNS)
        .replace("{,}", ",")
        .replace(r"\!", "")
        .replace(r"\$", "")
    )
    text = re.sub(r"√\s*(\(?)(\d+)(\)?)", r"\\sqrt{\2}", text)
    return text if IN_MATHS.search(text) else _mark_words(text)


def _mark_words(text: str) -> str:
    r"""Units and other bare words as `\text{...}`, so that they are not read as products of letters."""

    def mark(match: re.Match[str]) -> str:
        word = match[0]
        return NAMES.get(word.lower()) or (word if word.lower() in FUNCTIONS else rf"\text{{{word}}}")

    text = re.sub(r"(?<![A-Za-z])sqrt\s*\(([^()]*)\)", r"\\sqrt{\1}", text)
    spans = re.split(r"(\\[A-Za-z]+(?:\s*\{[A-Za-z .]*\})?)", text)  # commands and their worded arguments stay
    return "".join(part if i % 2 else re.sub(r"[A-Za-z]{2,}", mark, part) for i, part in enumerate(spans))


@lru_cache(maxsize=4096)
def parsed(text: str) -> tuple[Any, ...]:
    """What math-verify makes of a text: sympy objects and the text itself; empty if it finds nothing."""
    from math_verify import parse  # imports sympy, which only mathematical answers need

    logging.getLogger("math_verify").setLevel(logging.CRITICAL)  # it prints what it cannot parse, including whole replies

    latex = tidy(text) if len(text) <= LONGEST else ""
    shown = latex if IN_MATHS.search(latex) else f"${latex.replace('$', '')}$"
    return tuple(parse(shown, parsing_timeout=_limit(), raise_on_error=False)) if latex else ()


def equal(one: str, other: str) -> bool:
    """Whether two texts state the same value, set, interval or equation."""
    from math_verify import verify

    # strict: otherwise any variable equals any other, and a word is one variable
    known, given = list(parsed(one)), list(parsed(other))
    options = {"strict": True, "allow_set_relation_comp": True, "timeout_seconds": _limit(), "raise_on_error": False}
    return bool(verify(known, given, **options)) and _exactly(one, other)


def literally(one: str, other: str) -> bool | None:
    """Whether two texts without a comparable value are the same: times, sequences, numbers in a base. None for other texts.

    The library takes `1:00` for `12:00`, one sequence for another, and `11_2` for `11`.
    """
    for form in (_time, _sequence, _to_base):
        known = (form(one), form(other))
        if known != (None, None):
            return known[0] == known[1]
    return None


def percentages(one: str, other: str) -> list[tuple[str, str]]:
    r"""Two texts as they are to be compared: `28\%` is 0.28, and also 28, as when a question asks how many per cent."""
    if "%" not in one + other:
        return [(one, other)]
    return [(one.replace(r"\%", "%"), other.replace(r"\%", "%")), (PER_CENT.sub("", one), PER_CENT.sub("", other))]


def _bare(text: str) -> str:
    return re.sub(r"\\(?:left|right|,|!|;)|[\s$]", "", tidy(text)).strip(".")


def _time(text: str) -> str | None:
    found = re.fullmatch(r"\D{0,12}?(\d{1,2}):(\d\d)\D{0,12}", _bare(text))
    return f"{int(found[1])}:{found[2]}" if found else None


def _sequence(text: str) -> str | None:
    bare = re.sub(r"\\(?:ldots|dots|cdots)|…|\.\.\.", "...", _bare(text))
    return bare if "..." in bare else None


def _to_base(text: str) -> tuple[str, str] | None:
    found = BASED.fullmatch(_bare(text))
    return (found[1], found[2] or found[3]) if found else None


def _exactly(one: str, other: str) -> bool:
    """Whether two numbers agree to fifty digits of the larger; the library compares absolutely, after rounding."""
    values = [found[0] for found in (parsed(one), parsed(other)) if found]
    if len(values) < 2 or not all(getattr(value, "is_number", False) and getattr(value, "is_finite", True) for value in values):
        return True
    from sympy import Float, Rational

    exact = [value.xreplace({part: Rational(str(part)) for part in value.atoms(Float)}) for value in values]
    difference, largest = abs((exact[0] - exact[1]).evalf(60)), abs(exact[0].evalf(60))
    return bool(difference <= largest * Rational(1, 10**50))


def _limit() -> int | None:
    """The time limit. math-verify enforces it by a signal, which only the main thread can receive."""
    return SECONDS if threading.current_thread() is threading.main_thread() else None
