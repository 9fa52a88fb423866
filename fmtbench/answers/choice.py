"""One of several lettered options: `(B) blue ball`, `B` and `the blue ball` are the same one."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any, Literal

from pydantic.dataclasses import dataclass

import fmtbench.answers.spelling as spelling
from fmtbench.answers.base import STRICT, AnswerKind
from fmtbench.answers.number import Number

LONGEST = 1000
LETTER = r"(?:[(\[{]\s?[A-Z]\s?[)\]}]|(?<!\w)[A-Z](?!\w))"
SEVERAL = re.compile(
    rf"\W{{0,3}}(?:(?:either|both|between)\s)?{LETTER}\s{{0,3}}(?:,|/|&|\bor\b|\band\b|,\s?(?:or|and)\b)\s{{0,3}}{LETTER}"
)
"""`A or B`, `A, C`, `(A), (B), or (C)`: not a single option."""
CONTRAST = re.compile(r"^\W{0,3}not\b.{0,80}?\bbut\s+", re.I | re.S)
DENIAL = re.compile(r"(?:not|never|neither)\b", re.I)
CONCLUSION = re.compile(r",?\s(?:so|thus|hence|therefore),?\s", re.I)
ADVERB = re.compile(
    r"^\W{0,3}(?:(?:indeed|definitely|clearly|certainly|probably|likely|most likely|simply|thus|therefore|still)\b,?\s+)+", re.I
)
NAMED = re.compile(r"^(?:the\s+)?(?:option|choice|letter)\s+(?:is\s+)?", re.I)
LEADING = re.compile(r"(?:[(\[{<]\s?([A-Za-z])\s?[)\]}>]|([A-Za-z])(?:[).:,;\]\s\"'”’]|(?=[가-힣ぁ-んァ-ン一-龥])|$))")
CIRCLED = re.compile(r"^\W{0,3}([①-⑳])")
FOLLOWED = (
    r"(?=\s*$|\s*\n|[).:,;!?\]}\"'”’*]|[가-힣ぁ-んァ-ン一-龥]"
    r"|\s+(?:is|are|was|because|since|as|and|or|would|must|seems?|fits?|matches|has|which|for|only|instead)\b)"
)
"""What comes after a letter that is not a word: the same for every letter, or "A ball" would be read unlike "B ball"."""
LETTER_OF = re.compile(r"\b(?:option|choice|letter|answer)\s{1,3}$", re.I)
LINE = re.compile(r"^[ \t*_>(\[-]{0,6}([A-Z])[)\].:*_]{1,4}[ \t][^\n]*$", re.M)
VERDICT = re.compile(r"\b(yes|correct|true|right|fits|no|incorrect|false|wrong|not)\b|([✓✔✅])|([✗✘❌])", re.I)
SAYS_YES = ("yes", "correct", "true", "right", "fits", "✓", "✔", "✅")


def stands_as_letter(text: str, start: int, end: int, letter: str) -> bool:
    """Whether the text at this place is a letter and not a word: `(a)`, `option A`, `A.`, "A is right", but not "a ball"."""
    if text[start - 1 : start] in ("(", "[", "{") and text[end : end + 1] in (")", "]", "}"):
        return True
    if text[start:end] != letter:
        return False
    return bool(LETTER_OF.search(text, max(0, start - 12), start) or re.compile(FOLLOWED).match(text, end))


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
        """The letter; for options with the same text, the first one's. None for two letters, or a letter of no option."""
        if len(answer) > LONGEST:
            return None
        text = ADVERB.sub("", CONTRAST.sub("", spelling.plain(answer).strip(" _#"))).strip().strip(".,:;\"'$ 。_")
        letter = self._circled(answer) or self._by_text(text)
        if letter is None and DENIAL.match(text):
            return None
        if letter is None and SEVERAL.match(NAMED.sub("", text)):
            rest = CONCLUSION.split(text)[-1]
            letter = None if SEVERAL.match(rest) else self._by_letter(rest)
        elif letter is None:
            letter = self._by_letter(text) or self._by_number(text) or self._by_mention(text)
        return letter and self._by_text(spelling.plain(self.options[ord(letter) - ord("A")]))

    def _circled(self, answer: str) -> str | None:
        """Korean and Japanese exams number their options: `③` is the third."""
        match = CIRCLED.match(answer)
        place = ord(match[1]) - ord("①") if match else len(self.options)
        return self.letters[place] if place < len(self.options) else None

    def _by_text(self, text: str) -> str | None:
        """The option with this text; signs are ignored only if no other option matches then (`-5` and `5` are two options)."""
        for same in (spelling.fold, spelling.squeeze):
            known = _spelt(self.options, same)
            if same(text) in known and (same is spelling.fold or known.count(same(text)) == 1):
                return self.letters[known.index(same(text))]
        return None

    def _by_number(self, text: str) -> str | None:
        """The one option that is the same number, if all are numbers: `18.0 dollars` is the option 18."""
        known = _numbers(self.options)
        value = None if None in known else Number().canon(text)
        if value is None or known.count(value) != 1:
            return None
        return self.letters[known.index(value)]

    def _by_letter(self, text: str) -> str | None:
        text = NAMED.sub("", text.lstrip("-–•*# \t"))
        match = LEADING.match(text)
        if not match:
            return None
        letter, rest = (match[1] or match[2]).upper(), text[match.end() :]
        if letter not in self.letters or (
            match[2] and match[0][-1:].isspace() and not self._stands_alone(match[2], rest, letter)
        ):
            return None
        return letter

    def _stands_alone(self, written: str, rest: str, letter: str) -> bool:
        """Whether a bare letter is not a word, as in "A red ball" and "I think", unless what follows is the text of option A."""
        if not rest or rest[0] in "-\u2014:(" or self._by_text(rest) == letter:
            return True
        return written.isupper() and (written not in "AI" or re.match(r"(?:because|since|is|as)\b", rest) is not None)

    def _by_mention(self, text: str) -> str | None:
        found = {self.letters[self.options.index(option)] for _, _, option in spelling.named(text, self.options)}
        marked = set(re.findall(r"\(([A-Z])\)", text)) & set(self.letters)
        only = marked or found
        return only.pop() if len(only) == 1 else None

    def mentions(self, text: str) -> Iterator[tuple[int, int]]:
        """Letters, or, where there are none, options by their text; a letter in an option's text ("vitamin C") is none."""
        named = [(start, end) for start, end, _ in spelling.named(text, self.options)]
        within = {place for start, end in named for place in range(start, end)}
        letters = [span for span in self._lettered(text) if span[0] not in within]
        yield from letters or named

    def _lettered(self, text: str) -> Iterator[tuple[int, int]]:
        last = self.letters[-1]
        bare = f"A-{last}" if last < "I" else f"A-HJ-{last}"  # "I" is a word
        wrapped = rf"[(\[]\s?[A-{last}a-{last.lower()}]\s?[)\]]|(?i:\b(?:option|choice)\s)[A-{last}](?!\w)"
        for match in re.finditer(rf"{wrapped}|(?<![\w'’])[{bare}]{FOLLOWED}", text):
            yield match.span()

    def recited(self, text: str) -> list[tuple[int, int]]:
        """The lines that go through all the options, except the only one that is said to be right."""
        lines = list(LINE.finditer(text))
        if tuple(dict.fromkeys(line[1] for line in lines)) != self.letters:
            return []
        right = [line for line in lines if _said(line[0]) in SAYS_YES]
        return [line.span() for line in lines if len(right) != 1 or line not in right]


def _said(line: str) -> str:
    found = VERDICT.search(line)
    return found[0].lower() if found else ""


def _either(words: tuple[str, ...]) -> str:
    return ", ".join(words[:-1]) + " or " + words[-1] if len(words) > 1 else words[0]


@lru_cache(maxsize=256)
def _spelt(options: tuple[str, ...], same: Callable[[str], str]) -> list[str]:
    """Cached, since a reply may name an answer a thousand times, with the same options each time."""
    return [same(spelling.plain(option)) for option in options]


@lru_cache(maxsize=256)
def _numbers(options: tuple[str, ...]) -> list[str | None]:
    return [Number().canon(option) for option in options]
