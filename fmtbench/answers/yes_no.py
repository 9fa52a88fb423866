"""Yes or no, in the words that replies use for it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Literal

from pydantic.dataclasses import dataclass

import fmtbench.answers.spelling as spelling
from fmtbench.answers.base import STRICT, AnswerKind

LONGEST = 1000
BOTH = re.compile(r"\(?\b(?:yes\s?/\s?no|yes\s(?:or|and)\s(?:a\s)?no|true\s?(?:/|or)\s?false|no\sor\syes)\b\)?", re.I)
"""`(Yes or No)` from a prompt, and "yes and no", are neither."""
ENDED = (
    # "no idea", "no such thing": a noun follows, and "no" is not the answer.
    r"(?=\W*$|\s?[.,;:!?)\]}\"'”’*\n—–-]|\s+(?:because|since|as|he|she|it|they|we|you|that|this|the|there|not|no|and|but|for)\b)"
)
WORD = re.compile(
    rf"(?<![\w'’-])(?:no\s+doubt,?\s+yes|yes|yep|yeah|yup|nope|no{ENDED})(?![\w'’])"
    rf"|(?P<adjective>\b(?:not\s+)?(?:true|untrue|false|correct|incorrect|plausible|implausible)\b{ENDED})"
    r"|아니요|아니오|맞습니다|(?<![가-힣])(?:예|네)(?=입니다|이다|[\s,.!]|$)|(?<!\w)(?:不是|否|是)(?=\W*$|[,，。])|はい|いいえ",
    re.I,
)
SAID_OF = re.compile(
    # "The correct order" says nothing: an adjective stands alone, or after a verb.
    r"(?:^|[\n.:!?*_\"'“(=]\s{0,3}|\b(?:is|are|was|were|be|being|seems?|sounds?|appears?|it['’]s|that['’]s|as|not|answer|answered)\s+"
    r"(?:(?:indeed|definitely|therefore|most likely|likely|probably|thus|also|still|clearly)\s+)?)$",
    re.I,
)
YES = (
    "yes",
    "yep",
    "yeah",
    "yup",
    "true",
    "correct",
    "plausible",
    "y",
    "on",
    "notfalse",
    "notincorrect",
    "notuntrue",
    "notimplausible",
    "예",
    "네",
    "맞습니다",
    "是",
    "はい",
)
NO = (
    *("no", "nope", "false", "incorrect", "untrue", "implausible", "n", "off", "nottrue", "notcorrect", "notplausible"),
    *("아니요", "아니오", "否", "不是", "いいえ"),
)
COPULA = re.compile(r"(?<=[가-힣])(?:입니다|이다|이에요|예요)$")


@dataclass(frozen=True, kw_only=True, config=STRICT)
class YesNo(AnswerKind):
    """Yes or no; `true`, `correct` and a YAML boolean mean yes, their opposites no. "No idea" and "yes and no" are neither."""

    def hint(self) -> str:
        return "Answer with yes or no."

    def annotation(self) -> Any:
        return Literal["yes", "no"]

    def placeholder(self) -> str:
        return "<yes or no>"

    def canon(self, answer: str) -> str | None:
        if len(answer) > LONGEST:
            return None
        text = spelling.plain(answer).strip(" .。!\"'“”_")
        whole = _verdict(COPULA.sub("", text))
        if whole is not None or BOTH.match(text):
            return whole
        said = (_verdict(text[start:end]) for start, end in self.mentions(text))
        return next(said, None)

    def mentions(self, text: str) -> Iterator[tuple[int, int]]:
        asked = [match.span() for match in BOTH.finditer(text)]
        for match in WORD.finditer(text):
            echoed = any(start <= match.start() < end for start, end in asked)
            if not echoed and (not match["adjective"] or SAID_OF.search(text, max(0, match.start() - 40), match.start())):
                yield match.span()


def _verdict(said: str) -> Literal["yes", "no"] | None:
    word = "yes" if re.match(r"no\s+doubt", said, re.I) else spelling.squeeze(said)
    if word in YES:
        return "yes"
    return "no" if word in NO else None
