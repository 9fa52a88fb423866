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
import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal, DivisionByZero, InvalidOperation
from typing import Any, ClassVar, Literal

from fmtbench import expressions

MINUS_SIGNS = dict.fromkeys(map(ord, "\u2010\u2011\u2012\u2013\u2212\ufe63\uff0d"), "-")
THIN_SPACES = re.compile(r"(?<=\d)[\u00a0\u2009\u202f](?=\d{3})")
MARKUP = re.compile(r"\\(?:text|mathrm|mathbf|textbf)\s*\{([^{}]*)\}|[*`]+|\\[,;! ]|\{,\}(?=\d)|\\(?=[$%])")
NUMBER = re.compile(
    r"(?<![\w.,])(?P<sign>(?<!\))[-+])?[$€£¥₩]?(?P<sign2>(?<=[$€£¥₩])-)?"
    r"(?P<digits>(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?|\.\d+)(?P<exponent>[eE][-+]?\d{1,3}(?!\w))?"
    r"(?:/(?P<under>\d+)(?![\d/]))?"
)

COPULA = "입니다|이다|이에요|예요"
"""Korean writes "is" behind the word, without a space."""
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


@dataclass(frozen=True, kw_only=True)
class Number(AnswerKind):
    """A number: thousands commas, currency, units, percent signs and unicode minus do not matter."""

    numeric: ClassVar[bool] = True

    def hint(self) -> str:
        return "Answer with a number."

    def annotation(self) -> Any:
        return float

    def placeholder(self) -> str:
        return "<number>"

    def canon(self, answer: str) -> str | None:
        """The first number, or the number behind the last `=` of a written-out calculation."""
        text = _plain(answer)
        found = list(NUMBER.finditer(text.rpartition("=")[2])) or list(NUMBER.finditer(text))
        return _decimal(found[0]) if found else None

    def mentions(self, text: str) -> Iterator[tuple[int, int]]:
        for match in NUMBER.finditer(text.translate(MINUS_SIGNS)):
            yield match.span()


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


@dataclass(frozen=True, kw_only=True)
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
        text = _plain(answer).strip().strip(".,:;\"'")
        if HEDGE.search(text):
            return None
        return self._by_text(text) or self._by_letter(text) or self._by_mention(text)

    def _by_text(self, text: str) -> str | None:
        squeezed = [_squeeze(option) for option in self.options]
        return self.letters[squeezed.index(_squeeze(text))] if _squeeze(text) in squeezed else None

    def _by_letter(self, text: str) -> str | None:
        match = re.match(r"(?:option\s+|choice\s+)?(?:\(([A-Za-z])\)|\[([A-Za-z])\]|([A-Za-z])(?:[).:,\]\s]|$))", text, re.I)
        if not match:
            return None
        letter, rest = next(filter(None, match.groups())).upper(), text[match.end() :]
        # "A red ball": the A is an article unless what follows is option A.
        bare_word = match[3] and match[0][-1:].isspace() and rest and rest[0] not in "-:("
        if letter not in self.letters or (bare_word and self._by_text(rest) != letter):
            return None
        return letter

    def _by_mention(self, text: str) -> str | None:
        found = {letter for letter, option in zip(self.letters, self.options) if _phrase(option).search(text)}
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
        spans = {match.span() for option in self.options for match in _phrase(option).finditer(text)}
        yield from sorted(spans)


@dataclass(frozen=True, kw_only=True)
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
        squeezed = {_squeeze(label): label for label in self.labels}
        if (whole := _squeeze(_plain(answer))) in squeezed:
            return squeezed[whole]
        found = {text for _, _, text in self._found(answer)}
        return found.pop() if len(found) == 1 else None

    def _found(self, text: str) -> list[tuple[int, int, str]]:
        """Labels named in the text, the longest first where one label is a part of another."""
        spans: list[tuple[int, int, str]] = []
        for label in sorted(self.labels, key=len, reverse=True):
            for match in _phrase(label).finditer(text):
                if not any(start <= match.start() < end for start, end, _ in spans):
                    spans.append((*match.span(), label))
        return sorted(spans)

    def mentions(self, text: str) -> Iterator[tuple[int, int]]:
        for start, end, _ in self._found(text):
            yield start, end


@dataclass(frozen=True, kw_only=True)
class YesNo(AnswerKind):
    """Yes or no; `true`, `correct` and a YAML boolean mean yes, their opposites no."""

    YES: ClassVar = ("yes", "true", "correct", "y")
    NO: ClassVar = ("no", "false", "incorrect", "n")
    WORD: ClassVar = re.compile(r"(?<![\w'’])(?:yes|no|true|false|correct|incorrect)(?![\w'’])", re.I)

    def hint(self) -> str:
        return "Answer with yes or no."

    def annotation(self) -> Any:
        return Literal["yes", "no"]

    def placeholder(self) -> str:
        return "<yes or no>"

    def canon(self, answer: str) -> str | None:
        word = _squeeze(_plain(answer))
        if word not in self.YES + self.NO:
            first = self.WORD.search(answer)
            word = first[0].lower() if first else ""
        return "yes" if word in self.YES else "no" if word in self.NO else None

    def mentions(self, text: str) -> Iterator[tuple[int, int]]:
        for match in self.WORD.finditer(text):
            yield match.span()


@dataclass(frozen=True, kw_only=True)
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
        text = re.sub(r"^\W*(?:the|an|a)\s+(?=\w)", "", _plain(answer), flags=re.I)
        return _squeeze(text) or None

    def same(self, answer: str | None, gold: str) -> bool:
        canonical = None if answer is None else self.canon(answer)
        return canonical is not None and canonical in {self.canon(known) for known in (gold, *self.aliases)}

    def mentions(self, text: str) -> Iterator[tuple[int, int]]:
        """Names behind "is" or "are", and quoted words."""
        for match in re.finditer(r"\b(?:is|are)\s+(?:called\s+)?([A-Z][^\n.,;:!?]*)|[\"“]([^\"“”\n]{1,60})[\"”]", text):
            yield match.span(1 if match[1] else 2)


@dataclass(frozen=True, kw_only=True)
class Math(AnswerKind):
    """A mathematical expression, in LaTeX or plain signs; equal values are equal answers (see `expressions.py`)."""

    def hint(self) -> str:
        return "Answer with a mathematical expression."

    def annotation(self) -> Any:
        return str

    def placeholder(self) -> str:
        return "<expression>"

    def canon(self, answer: str) -> str | None:
        """The parsed value as sympy prints it; a word as it is."""
        if answer.strip() == self.placeholder() or len(answer) > expressions.LONGEST:
            return None
        found = expressions.expressions(answer)
        return str(found[0]) if found else _squeeze(answer) or None

    def same(self, answer: str | None, gold: str) -> bool:
        if answer is None or self.canon(answer) is None:
            return False
        return expressions.equal(gold, answer) or self.canon(answer) == self.canon(gold)

    def mentions(self, text: str) -> Iterator[tuple[int, int]]:
        """Formulas in dollar signs or brackets; numbers, where there are none."""
        formulas = [match.span() for match in re.finditer(r"\$[^$\n]+\$|\\\(.+?\\\)|\\\[.+?\\\]", text)]
        yield from formulas or Number().mentions(text)


@dataclass(frozen=True, kw_only=True)
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
        items = {_squeeze(item) for item in re.split(r"[,;\n]|\s(?:and|&)\s", _plain(answer))} - {""}
        return ", ".join(sorted(items)) or None

    def mentions(self, text: str) -> Iterator[tuple[int, int]]:
        """Lists in brackets, and what stands behind a colon or "are" and holds a comma."""
        for match in re.finditer(r"[\[{]([^\[\]{}\n]+)[\]}]|(?::|\bare)[ \t]+([^\n.:]*,[^\n.:]*)", text):
            yield match.span(1 if match[1] else 2)


def _plain(text: str) -> str:
    """Unicode look-alikes, emphasis and LaTeX wrapping taken away; the words stay."""
    text = unicodedata.normalize("NFKC", THIN_SPACES.sub("", text)).translate(MINUS_SIGNS)
    text = re.sub(r"\{,\}(?=\d)", ",", text)
    return MARKUP.sub(lambda match: match[1] or "", text).strip()


def _squeeze(text: str) -> str:
    """Letters and digits only, without accents, lower case: `e-S-S-É` is `esse`."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    kept = "".join(c for c in decomposed if c.isalnum())
    return unicodedata.normalize("NFKC", kept)


def _phrase(words: str) -> re.Pattern[str]:
    """The phrase as whole words, whatever its case and the separators between its words."""
    parts = [re.escape(part) for part in re.split(r"[\s_-]+", words.strip()) if part]
    return re.compile(r"(?<!\w)" + r"[\s_-]+".join(parts) + rf"(?:{COPULA})?(?!\w)", re.I)


def _either(words: tuple[str, ...]) -> str:
    return ", ".join(words[:-1]) + " or " + words[-1] if len(words) > 1 else words[0]
