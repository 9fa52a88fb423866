"""Which differences in spelling do not matter, and where a text names one of several phrases."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

MINUS_SIGNS = dict.fromkeys(map(ord, "\u2010\u2011\u2012\u2013\u2212\ufe63\uff0d"), "-")
THIN_SPACES = re.compile(r"(?<=\d)[\u00a0\u2009\u202f](?=\d{3})")
FRACTION = re.compile(r"\\[dt]?frac\s*\{(\d+)\}\s*\{(\d+)\}")
VULGAR = re.compile(r"(?<=\d)(?=[¼-¾⅐-⅞])")
WRAPPED = re.compile(r"\\(?:text|mathrm|mathbf|textbf|textit|boxed|fbox|emph)\s{0,3}\{((?:[^{}\\]|\\.)*)\}")
"""Nested as in `\\boxed{\\text{C}}`: taken off from the inside out."""
MARKUP = re.compile(r"\\[()\[\]]|[*`]+|\\[,;! ]|\{,\}(?=\d)|\\(?=[$%{}])")
GROUPED = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
KEPT = re.compile(
    r"[^\W_]+|\u030a|(?<![^\s(\[{\"'$])-(?=\.?\d)|(?<=\d)[./](?=\d)|(?<![^\W])\.(?=\d)|(?<=[^\W\d_])(?:\+\+|#)(?!\w)"
)
COPULA = "입니다|이다|이에요|예요"
"""Korean writes "is" after the word, without a space."""


def plain(text: str) -> str:
    """The text without Unicode look-alikes, emphasis and LaTeX wrapping; the words stay."""
    if not text.isascii():
        text = VULGAR.sub(" ", THIN_SPACES.sub("", text))
        text = unicodedata.normalize("NFKC", text).translate(MINUS_SIGNS).replace("\u2044", "/")
    if "{,}" in text:
        text = re.sub(r"\{,\}(?=\d)", ",", text)
    if "\\" in text:
        text = _without_latex(text)
    return MARKUP.sub("", text).strip()


def _without_latex(text: str) -> str:
    text = FRACTION.sub(r"\1/\2", text)
    for _ in range(3):
        text = WRAPPED.sub(r"\1", text)
    return text


def squeeze(text: str) -> str:
    """Letters and digits only, without accents, lower case: `e-S-S-É` is `esse`.

    What makes another word or number stays: the sign and the point of a number (`-5`, `1.5`, `12/5`), the signs of `C++` and
    `C#`, and the ring of `Å`, which is a letter of its own.
    """
    kept = "".join(match[0] for match in KEPT.finditer(unicodedata.normalize("NFKD", GROUPED.sub("", text.casefold()))))
    return unicodedata.normalize("NFKC", kept)


def fold(text: str) -> str:
    """The text with case and white space normalised; signs stay."""
    return re.sub(r"\s+", "", text.casefold()).strip(".,:;\"'")


def named(text: str, phrases: tuple[str, ...]) -> list[tuple[int, int, str]]:
    """Phrases that the text names, in order; if one is part of another, the longer."""
    spans: list[tuple[int, int, str]] = []
    taken = bytearray(len(text))
    for words in sorted(dict.fromkeys(phrases), key=len, reverse=True):
        for match in phrase(words).finditer(text):
            start, end = match.span()
            if not any(taken[start:end]):
                taken[start:end] = b"\1" * (end - start)
                spans.append((start, end, words))
    return sorted(spans)


@lru_cache(maxsize=1024)
def phrase(words: str) -> re.Pattern[str]:
    """A pattern for the phrase as whole words, whatever their case and separators."""
    parts = [re.escape(part) for part in re.split(r"[\s_-]+", words.strip()) if part]
    between = r"[\s_-]+"
    return re.compile(rf"(?<!\w)(?<!\d[.,])(?<!\bnon[- ])(?<!\bnot ){between.join(parts)}(?:{COPULA})?(?!\w)(?![.,]\d)", re.I)
