"""Answers in words: a label of a closed set, yes or no, exact text, and sets of items."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Literal

from pydantic.dataclasses import dataclass

import fmtbench.answers.spelling as spelling
from fmtbench.answers.base import STRICT, AnswerKind
from fmtbench.answers.choice import stands_as_letter

ARTICLE = re.compile(r"^\W*(?:the|an|a)\s+(?=\w)", re.I)
BULLET = re.compile(r"(?:^|\n)[ \t]{0,8}(?:[-*•+]|\d{1,3}[.)])[ \t]+")
QUOTED = re.compile(r"\s*[\"“'‘]([^\"“”]{1,200})[\"”'’]\s*(?:\(|,|because\b|since\b|as\b|when\b)")
ADDED = re.compile(r"\s+\([^()\n]*\)\s*$|,\s+(?:the|an?|which|who|where|because|since)\s.*$|\s+(?:because|since)\s.*$", re.S)
SPELLED = re.compile(r"^\W*\w+\W*(?:\+\W*\w+\W*)+=\s*(.+)$")
HANGUL_COPULA = re.compile(r"(?<=[가-힣])(?:입니다|이다|이에요|예요)[.。]?\s*$")
LETTER = re.compile(r"[A-Za-z]")
REASON = re.compile(r"[\"'”’*_]{0,3}\s{1,2}(?:because|since|as|due to|rather than)\b", re.I)
"""After a label, what follows is not another answer."""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Label(AnswerKind):
    """One of a closed set of labels; case, accents and separators do not matter.

    In a sentence, a label of one letter counts only where it stands as a letter: the article in "a mistake" is not an `A`.

    >>> letters = Label(labels=("A", "B"))
    >>> letters.canon("a"), letters.canon("a mistake"), letters.canon("B, since it fits")
    ('A', None, 'B')
    """

    labels: tuple[str, ...]

    def hint(self) -> str:
        return f"Answer with one of these labels: {', '.join(self.labels)}."

    def annotation(self) -> Any:
        return Literal[self.labels]

    def placeholder(self) -> str:
        return "<label>"

    def canon(self, answer: str) -> str | None:
        squeezed = {spelling.squeeze(label): label for label in self.labels}
        if (whole := spelling.squeeze(spelling.plain(answer))) in squeezed:
            return squeezed[whole]
        named = self._named(answer)
        if (
            len({label for _, _, label in named}) > 1
            and REASON.match(answer, named[0][1])
            and not answer[: named[0][0]].strip("\"'* _")
        ):
            return named[0][2]
        found = {label for _, _, label in named}
        return found.pop() if len(found) == 1 else None

    def mentions(self, text: str) -> Iterator[tuple[int, int]]:
        for start, end, _ in self._named(text):
            yield start, end

    def _named(self, text: str) -> list[tuple[int, int, str]]:
        named = spelling.named(text, self.labels)
        return [(a, b, label) for a, b, label in named if not LETTER.fullmatch(label) or stands_as_letter(text, a, b, label)]


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Text(AnswerKind):
    """Exact text up to case, accents, punctuation, separators and a leading article."""

    what: str = "a word or a short phrase"
    """What the answer is, in words: completes "Answer with ..."."""
    aliases: tuple[str, ...] = ()
    """Accepted spellings of the gold answer; they never reach the model."""

    def hint(self) -> str:
        return f"Answer with {self.what}."

    def annotation(self) -> Any:
        return str

    def placeholder(self) -> str:
        return "<answer>"

    def canon(self, answer: str) -> str | None:
        return spelling.squeeze(ARTICLE.sub("", spelling.plain(answer))) or None

    def same(self, answer: str | None, gold: str) -> bool:
        """Whether the whole answer is the gold one or an alias, or says it in a few more words (see `denoted`)."""
        known = {self.canon(one) for one in (gold, *self.aliases)} - {None}
        return answer is not None and any(self.canon(one) in known for one in denoted(answer))

    def mentions(self, text: str) -> Iterator[tuple[int, int]]:
        """Names after "is" or "are", and quoted words."""
        for match in re.finditer(r"\b(?:is|are)\s+(?:called\s+)?([A-Z][^\n.,;:!?]*)|[\"“]([^\"“”\n]{1,60})[\"”]", text):
            yield match.span(1 if match[1] else 2)


def denoted(answer: str) -> Iterator[str]:
    """What an answer says: itself, without a remark after it ("mn" (without the quotes)), without an apposition
    ("Paris, the capital of France"), what comes of `m + n = mn`, and without the Korean "is"."""
    yield answer
    for written in (QUOTED.match(answer), SPELLED.match(answer)):
        if written:
            yield written[1]
    for added in (ADDED, HANGUL_COPULA):
        if (rest := added.sub("", answer)) != answer:
            yield rest


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Set(AnswerKind):
    """Several items in any order; repeats, case and the separators between the items do not matter.

    >>> Set().same('["pear", "Apple"]', "apple, pear")
    True
    """

    what: str = "the items"
    """What is listed, in words: completes "Answer with ...". """

    def hint(self) -> str:
        return f"Answer with {self.what}, separated by commas."

    def annotation(self) -> Any:
        return str

    def placeholder(self) -> str:
        return "<items>"

    def canon(self, answer: str) -> str | None:
        listed = BULLET.sub("\n", HANGUL_COPULA.sub("", spelling.plain(answer).strip(" .。")))
        items = {spelling.squeeze(item) for item in re.split(r"[,;\n、]|\s(?:and|&)\s", listed)} - {""}
        return ", ".join(sorted(items)) or None

    def mentions(self, text: str) -> Iterator[tuple[int, int]]:
        """Lists in brackets, and what follows a colon or "are" and has a comma."""
        for match in re.finditer(r"[\[{]([^\[\]{}\n]+)[\]}]|(?::|\bare)[ \t]+([^\n.:]*,[^\n.:]*)", text):
            yield match.span(1 if match[1] else 2)
