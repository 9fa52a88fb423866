"""Answer kinds: what an answer may look like, and when two answers are the same.

There is one canonicaliser per kind and it serves every condition, so that `$18`, `1,000`, `18.0`, `(B)` or
`e-S-S-E` get the same verdict whether they stood in prose or in JSON (the rule of fairness, see the README).

>>> Number().same("$1,234.00", "1234")
True
>>> Choice(options=("red ball", "blue ball")).canon("(B) blue ball")
'B'
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator
from decimal import Decimal, DivisionByZero, InvalidOperation
from typing import Any, ClassVar, Literal

from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

from fmtbench.answers import mathematics, spelling

STRICT = ConfigDict(extra="forbid")

NUMBER = re.compile(
    r"(?<![\w.,])(?P<sign>(?<!\))[-+])?[$€£¥₩]?(?P<sign2>(?<=[$€£¥₩])-)?"
    r"(?P<digits>(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?|\.\d+)(?P<exponent>[eE][-+]?\d{1,3}(?!\w))?"
    r"(?:/(?P<under>\d+)(?![\d/]))?"
)

SPACED = re.compile(r"^(\W*)(\d{1,3}(?: \d{3})+)(?![\d/.-])")
"""Thousands set apart by spaces, where an answer begins with them."""
MIXED = re.compile(r"(?<![\w.,/])(-?)(\d+) (\d+)/(\d+)(?![\d/])")
RANGE = re.compile(r"\W{0,3}\d[^\s]*?%?(?:\s*-\s*|\s+(?:to|or)\s+|:)[$€£]?\d|\W*between\s+\S*\d\S*\s+and\s+\S*\d", re.I)
"""`10-12`, `10 or 12`, `between 10 and 12`, `12:30`: no one number."""

HEDGE = re.compile(r"(?<!\w)[(\[]?[A-Z][)\]]?\s+(?:or|and)\s+[(\[]?[A-Z](?!\w)")


class AnswerKind(ABC):
    """Hint in words, JSON-schema type, canonical form and comparison of one sort of answer."""

    numeric: ClassVar[bool] = False
    """JSON writes the answer without quotation marks."""

    @abstractmethod
    def hint(self) -> str:
        """What the model is told about the answer: the same words in every condition."""

    @abstractmethod
    def annotation(self) -> Any:
        """The Python type of the answer field, from which pydantic makes the JSON schema."""

    @abstractmethod
    def placeholder(self) -> str:
        """What stands for the answer where a contract shows its shape."""

    @abstractmethod
    def canon(self, answer: str) -> str | None:
        """The one form that all spellings of an answer share, or None where there is no such answer."""

    @abstractmethod
    def mentions(self, text: str) -> Iterator[tuple[int, int]]:
        """Spans in free text that might be an answer, in order: the last resort of the latent reader."""

    def same(self, answer: str | None, gold: str) -> bool:
        canonical = None if answer is None else self.canon(answer)
        return canonical is not None and canonical == self.canon(gold)


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Number(AnswerKind):
    """A number: thousands commas, currency, units, percent signs and unicode minus do not matter; a range is none."""

    numeric: ClassVar[bool] = True

    def hint(self) -> str:
        return "Answer with a number."

    def annotation(self) -> Any:
        return float

    def placeholder(self) -> str:
        return "<number>"

    def canon(self, answer: str) -> str | None:
        """The first number, or the number behind the last `=` of a written-out calculation."""
        text = SPACED.sub(lambda match: match[1] + match[2].replace(" ", ""), spelling.plain(answer))
        text = MIXED.sub(_improper, text)
        if RANGE.match(text) and "=" not in text:
            return None
        found = list(NUMBER.finditer(text.rpartition("=")[2])) or list(NUMBER.finditer(text))
        return _decimal(found[0]) if found else None

    def mentions(self, text: str) -> Iterator[tuple[int, int]]:
        for match in NUMBER.finditer(text.translate(spelling.MINUS_SIGNS)):
            yield match.span()


def _improper(match: re.Match[str]) -> str:
    """`2 1/2` as `5/2`."""
    sign, whole, over, under = match.groups()
    return f"{sign}{int(whole[:30]) * int(under[:30]) + int(over[:30])}/{under}"


def _decimal(match: re.Match[str]) -> str | None:
    """Exact decimal text without trailing zeros; `3/4` becomes 0.75."""
    sign = "-" if "-" in (match["sign"], match["sign2"]) else ""
    try:
        value = Decimal(sign + match["digits"].replace(",", "") + (match["exponent"] or ""))
        if match["under"]:
            value /= Decimal(match["under"])
    except (InvalidOperation, DivisionByZero):
        return None
    return format(value.normalize() + 0, "f") if value.adjusted() < 40 else str(value.normalize())


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Choice(AnswerKind):
    """One of several lettered options, given as its letter, its text or both; a letter outweighs a text."""

    options: tuple[str, ...]

    @property
    def letters(self) -> tuple[str, ...]:
        return tuple(chr(ord("A") + i) for i in range(len(self.options)))

    def hint(self) -> str:
        return f"Answer with one of the letters {_either(self.letters)}."

    def annotation(self) -> Any:
        return Literal[self.letters]

    def placeholder(self) -> str:
        return "<letter>"

    def canon(self, answer: str) -> str | None:
        """The letter; of options that are the same text, the first one's."""
        text = spelling.plain(answer).strip().strip(".,:;\"'$ 。")
        if HEDGE.search(text):
            return None
        letter = self._by_text(text) or self._by_letter(text) or self._by_mention(text)
        return letter and self._by_text(spelling.plain(self.options[ord(letter) - ord("A")]))

    def _by_text(self, text: str) -> str | None:
        """The option that is this text; up to signs only where no other option is (`-5` and `5` are two options)."""
        for same in (spelling.fold, spelling.squeeze):
            known = [same(spelling.plain(option)) for option in self.options]
            if same(text) in known and (same is spelling.fold or known.count(same(text)) == 1):
                return self.letters[known.index(same(text))]
        return None

    def _by_letter(self, text: str) -> str | None:
        match = re.match(
            r"(?:option\s+|choice\s+)?(?:\(([A-Za-z])\)|\[([A-Za-z])\]|([A-Za-z])(?:[).:,\]\s]|(?=[가-힣])|$))", text, re.I
        )
        if not match:
            return None
        letter, rest = next(filter(None, match.groups())).upper(), text[match.end() :]
        if letter not in self.letters or (
            match[3] and match[0][-1:].isspace() and not self._stands_alone(match[3], rest, letter)
        ):
            return None
        return letter

    def _stands_alone(self, written: str, rest: str, letter: str) -> bool:
        """Whether a bare letter is no word: "A red ball" and "I think" are not, unless what follows is option A."""
        if not rest or rest[0] in "-\u2014:(" or self._by_text(rest) == letter:
            return True
        return written.isupper() and (written not in "AI" or re.match(r"(?:because|since|is|as)\b", rest) is not None)

    def _by_mention(self, text: str) -> str | None:
        found = {self.letters[self.options.index(option)] for _, _, option in spelling.named(text, self.options)}
        marked = set(re.findall(r"\(([A-Z])\)", text)) & set(self.letters)
        only = marked or found
        return only.pop() if len(only) == 1 else None

    def mentions(self, text: str) -> Iterator[tuple[int, int]]:
        last = self.letters[-1]
        letter = rf"\([A-{last}a-{last.lower()}]\)|(?<![\w'’])[A-{last}](?=[).:,]|\s*$)|(?<![\w'’])[B-{last}](?![\w'’])"
        by_letter = [match.span() for match in re.finditer(letter, text)]
        if by_letter:
            yield from by_letter
            return
        for start, end, _ in spelling.named(text, self.options):
            yield start, end


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
        """Names behind "is" or "are", and quoted words."""
        for match in re.finditer(r"\b(?:is|are)\s+(?:called\s+)?([A-Z][^\n.,;:!?]*)|[\"“]([^\"“”\n]{1,60})[\"”]", text):
            yield match.span(1 if match[1] else 2)


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Math(AnswerKind):
    """A mathematical expression, in LaTeX or plain signs; equal values are equal answers (see `mathematics.py`)."""

    def hint(self) -> str:
        return "Answer with a mathematical expression."

    def annotation(self) -> Any:
        return str

    def placeholder(self) -> str:
        return "<expression>"

    def canon(self, answer: str) -> str | None:
        """The parsed value as sympy prints it; a word as it is."""
        if answer.strip() == self.placeholder() or len(answer) > mathematics.LONGEST:
            return None
        found = mathematics.expressions(answer)
        return str(found[0]) if found else spelling.squeeze(answer) or None

    def same(self, answer: str | None, gold: str) -> bool:
        if answer is None or self.canon(answer) is None:
            return False
        return mathematics.equal(gold, answer) or self.canon(answer) == self.canon(gold)

    def mentions(self, text: str) -> Iterator[tuple[int, int]]:
        """Formulas in dollar signs or brackets; numbers, where there are none."""
        formulas = [match.span() for match in re.finditer(r"\$[^$\n]+\$|\\\(.+?\\\)|\\\[.+?\\\]", text)]
        yield from formulas or Number().mentions(text)


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Set(AnswerKind):
    """Several items in any order; repeats, case and the separators between the items do not matter.

    >>> Set().same('["pear", "Apple"]', "apple, pear")
    True
    """

    what: str = "the items"
    """What the list holds, in words: completes "Answer with ...". """

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
        """Lists in brackets, and what stands behind a colon or "are" and holds a comma."""
        for match in re.finditer(r"[\[{]([^\[\]{}\n]+)[\]}]|(?::|\bare)[ \t]+([^\n.:]*,[^\n.:]*)", text):
            yield match.span(1 if match[1] else 2)


def _either(words: tuple[str, ...]) -> str:
    return ", ".join(words[:-1]) + " or " + words[-1] if len(words) > 1 else words[0]
