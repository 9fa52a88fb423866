"""One of several lettered options: `(B) blue ball`, `B` and `the blue ball` are the same one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Literal

from pydantic.dataclasses import dataclass

import fmtbench.answers.spelling as spelling
from fmtbench.answers.base import STRICT, AnswerKind

HEDGE = re.compile(r"(?<!\w)[(\[]?[A-Z][)\]]?\s+(?:or|and)\s+[(\[]?[A-Z](?!\w)")


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


def _either(words: tuple[str, ...]) -> str:
    return ", ".join(words[:-1]) + " or " + words[-1] if len(words) > 1 else words[0]
