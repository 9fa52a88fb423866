r"""Mathematical expressions in LaTeX or plain signs, parsed and compared by the library math-verify (sympy underneath).

Models write `\frac{3}{4}`, `$3/4$`, `0.75` and `\boxed{\dfrac34}` for one value. In a JSON string they also write it with
too few backslashes (`"\frac"` is a form feed and `rac`) or with too many; both are mended here, because a lost backslash
is the contract's doing and would otherwise count as wrong mathematics.

>>> equal(r"\frac{3}{4}", "0.75")
True
"""

from __future__ import annotations

import re
import threading
import unicodedata
from functools import lru_cache
from typing import Any

SECONDS = 3
LONGEST = 1000
"""Characters; longer texts are no answer, and parsing them takes its time."""
LOST_BACKSLASH = re.compile(
    r"[\x08\x0c](?=[a-z])|\t(?=ext|frac|imes|heta|an|riangle|au|o\b)|\r(?=ight|ho|angle|ceil|floor)|\n(?=eq|e\b|u\b|abla|ot|i\b|mid)"
)
RESTORED = {"\x08": r"\b", "\x0c": r"\f", "\t": r"\t", "\r": r"\r", "\n": r"\n"}
RAISED = str.maketrans({c: f"^{{{unicodedata.normalize('NFKC', c)}}}" for c in "⁰¹²³⁴⁵⁶⁷⁸⁹"})
SIGNS = str.maketrans(
    {"π": r"\pi ", "∞": r"\infty ", "°": r"^\circ ", "−": "-", "–": "-", "×": r"\times ", "⁄": "/", "∪": r"\cup "}
)
NAMES = {"pi": r"\pi", "infinity": r"\infty", "inf": r"\infty", "sqrt": r"\sqrt"}
FUNCTIONS = ("sin", "cos", "tan", "cot", "sec", "csc", "log", "exp", "arcsin", "arccos", "arctan", "max", "min", "gcd", "lcm")
IN_MATHS = re.compile(r"\\boxed\s*\{|\$[^$]+\$|\\\(.+?\\\)|\\\[.+?\\\]", re.S)


def tidy(text: str) -> str:
    """One LaTeX text of what was written, without emphasis, with its backslashes back and its words marked as words."""
    text = LOST_BACKSLASH.sub(lambda match: RESTORED[match[0]], text).strip().strip("`")
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
    r"""Units and other bare words as `\text{...}`: they are no product of letters."""

    def mark(match: re.Match[str]) -> str:
        word = match[0]
        return NAMES.get(word.lower()) or (word if word.lower() in FUNCTIONS else rf"\text{{{word}}}")

    text = re.sub(r"(?<![A-Za-z])sqrt\s*\(([^()]*)\)", r"\\sqrt{\1}", text)
    spans = re.split(r"(\\[A-Za-z]+(?:\s*\{[A-Za-z .]*\})?)", text)  # commands and their worded arguments stay
    return "".join(part if i % 2 else re.sub(r"[A-Za-z]{2,}", mark, part) for i, part in enumerate(spans))


@lru_cache(maxsize=4096)
def expressions(text: str) -> tuple[Any, ...]:
    """What math-verify makes of a text: sympy objects and the text itself; empty where it finds nothing."""
    from math_verify import parse  # brings sympy, and only mathematical answers need it

    latex = tidy(text) if len(text) <= LONGEST else ""
    shown = latex if IN_MATHS.search(latex) else f"${latex.replace('$', '')}$"
    return tuple(parse(shown, parsing_timeout=_limit(), raise_on_error=False)) if latex else ()


def equal(one: str, other: str) -> bool:
    """Whether two texts state the same value, set, interval or equation."""
    from math_verify import verify

    # strict: otherwise any variable equals any other, and a word is one variable
    return bool(
        verify(list(expressions(one)), list(expressions(other)), timeout_seconds=_limit(), raise_on_error=False, strict=True)
    )


def _limit() -> int | None:
    """math-verify stops what takes too long by a signal, which only the main thread can receive."""
    return SECONDS if threading.current_thread() is threading.main_thread() else None
