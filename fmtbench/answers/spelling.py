"""Which differences in spelling do not matter, and where a text names one of several phrases."""

from __future__ import annotations

import re
import unicodedata

MINUS_SIGNS = dict.fromkeys(map(ord, "\u2010\u2011\u2012\u2013\u2212\ufe63\uff0d"), "-")
THIN_SPACES = re.compile(r"(?<=\d)[\u00a0\u2009\u202f](?=\d{3})")
FRACTION = re.compile(r"\\[dt]?frac\s*\{(\d+)\}\s*\{(\d+)\}")
VULGAR = re.compile(r"(?<=\d)(?=[¼-¾⅐-⅞])")
MARKUP = re.compile(r"\\(?:text|mathrm|mathbf|textbf|boxed)\s*\{([^{}]*)\}|[*`]+|\\[,;! ]|\{,\}(?=\d)|\\(?=[$%])")
COPULA = "입니다|이다|이에요|예요"
"""Korean writes "is" after the word, without a space."""


def plain(text: str) -> str:
    """Unicode look-alikes, emphasis and LaTeX wrapping removed; the words stay."""
    text = VULGAR.sub(" ", THIN_SPACES.sub("", text))
    text = unicodedata.normalize("NFKC", text).translate(MINUS_SIGNS).replace("\u2044", "/")
    text = FRACTION.sub(r"\1/\2", re.sub(r"\{,\}(?=\d)", ",", text))
    return MARKUP.sub(lambda match: match[1] or "", text).strip()


def squeeze(text: str) -> str:
    """Letters and digits only, without accents, lower case: `e-S-S-É` is `esse`."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    kept = "".join(c for c in decomposed if c.isalnum())
    return unicodedata.normalize("NFKC", kept)


def fold(text: str) -> str:
    """Case and white space do not matter; signs do."""
    return re.sub(r"\s+", "", text.casefold()).strip(".,:;\"'")


def named(text: str, phrases: tuple[str, ...]) -> list[tuple[int, int, str]]:
    """Phrases that the text names, in order; the longest where one is a part of another."""
    spans: list[tuple[int, int, str]] = []
    for words in sorted(dict.fromkeys(phrases), key=len, reverse=True):
        for match in phrase(words).finditer(text):
            if not any(start < match.end() and match.start() < end for start, end, _ in spans):
                spans.append((*match.span(), words))
    return sorted(spans)


def phrase(words: str) -> re.Pattern[str]:
    """The phrase as whole words, whatever its case and the separators between its words."""
    parts = [re.escape(part) for part in re.split(r"[\s_-]+", words.strip()) if part]
    between = r"[\s_-]+"
    return re.compile(rf"(?<!\w)(?<!\d[.,]){between.join(parts)}(?:{COPULA})?(?!\w)(?![.,]\d)", re.I)
