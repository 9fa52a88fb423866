"""Answers in words: a label of a closed set, yes or no, exact text, and sets of items."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, ClassVar, Literal

from pydantic.dataclasses import dataclass

import fmtbench.answers.spelling as spelling
from fmtbench.answers.base import STRICT, AnswerKind


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Label(AnswerKind):
    """One of a closed set of labels; case, accents and separators do not matter."""

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
        found = {label for _, _, label in spelling.named(answer, self.labels)}
        return found.pop() if len(found) == 1 else None

    def mentions(self, text: str) -> Iterator[tuple[int, int]]:
        for start, end, _ in spelling.named(text, self.labels):
            yield start, end


@dataclass(frozen=True, kw_only=True, config=STRICT)
class YesNo(AnswerKind):
    """Yes or no; `true`, `correct` and a YAML boolean mean yes, their opposites no."""

    YES: ClassVar = ("yes", "true", "correct", "y")
    NO: ClassVar = ("no", "false", "incorrect", "n", "nottrue", "notcorrect")
    WORD: ClassVar = re.compile(r"(?<![\w'’])(?:not\s+(?:true|correct)|yes|no|true|false|correct|incorrect)(?![\w'’])", re.I)

    def hint(self) -> str:
        return "Answer with yes or no."

    def annotation(self) -> Any:
        return Literal["yes", "no"]

    def placeholder(self) -> str:
        return "<yes or no>"

    def canon(self, answer: str) -> str | None:
        word = spelling.squeeze(spelling.plain(answer))
        if word not in self.YES + self.NO:
            first = self.WORD.search(answer)
            word = spelling.squeeze(first[0]) if first else ""
        return "yes" if word in self.YES else "no" if word in self.NO else None

    def mentions(self, text: str) -> Iterator[tuple[int, int]]:
        for match in self.WORD.finditer(text):
            yield match.span()


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
        text = re.sub(r"^\W*(?:the|an|a)\s+(?=\w)", "", spelling.plain(answer), flags=re.I)
        return spelling.squeeze(text) or None

    def same(self, answer: str | None, gold: str) -> bool:
        canonical = None if answer is None else self.canon(answer)
        return canonical is not None and canonical in {self.canon(known) for known in (gold, *self.aliases)}

    def mentions(self, text: str) -> Iterator[tuple[int, int]]:
        """Names after "is" or "are", and quoted words."""
        for match in re.finditer(r"\b(?:is|are)\s+(?:called\s+)?([A-Z][^\n.,;:!?]*)|[\"“]([^\"“”\n]{1,60})[\"”]", text):
            yield match.span(1 if match[1] else 2)


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
        items = {spelling.squeeze(item) for item in re.split(r"[,;\n]|\s(?:and|&)\s", spelling.plain(answer))} - {""}
        return ", ".join(sorted(items)) or None

    def mentions(self, text: str) -> Iterator[tuple[int, int]]:
        """Lists in brackets, and what follows a colon or "are" and has a comma."""
        for match in re.finditer(r"[\[{]([^\[\]{}\n]+)[\]}]|(?::|\bare)[ \t]+([^\n.:]*,[^\n.:]*)", text):
            yield match.span(1 if match[1] else 2)
