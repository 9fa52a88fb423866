"""The marks by which replies state an answer, besides the fields of formats: the same set for every condition.

Every finder yields places in the order of the text, and does not know whether what they hold can be read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import pairwise

from fmtbench.answers import AnswerKind, Choice, Label, YesNo
from fmtbench.formats.names import QUALITY
from fmtbench.formats.statements import CONCLUDED, Statement, answer_span, begins, some, stated

TITLE = (
    r"(?:step|part|case|example|explanation|solution|reasoning|method|given|verification|check|conclusion|final|answer)\b(?!.*\d)"
)
HASHES = re.compile(
    # The GSM8K mark, unless it is a Markdown heading: "#### Step 3: ...", "#### 2. Multiply", "#### Answer".
    rf"####[ \t]*+(?![*_]*(?:step\b|part\b|case\b|\d+[.)][ \t]+[^\W\d]|{TITLE}))(\S.*)(?<!:)$",
    re.I | re.M,
)
SUBJECT = re.compile(
    rf"[ \t]{{1,9}}(?:is|are)[ \t]{{1,9}}(?:(?:therefore|thus"
    rf"|clearly)[ \t])?the[ \t](?:{QUALITY}[ \t])?(?:answer|option|choice)\b",
    re.I,
)
"""What comes before it is the answer: "18 is the answer"."""
BEFORE = re.compile(
    r"(?:^|[.!?:,\n][ \t]{0,9}|\b(?:so|thus|that|hence|therefore),?[ \t]{1,9})"
    r"(?!(?:here|this|that|what|which|it|there|so|below|above)\b)(?P<held>[^.!?,\n]{1,60}?)$",
    re.I,
)
OPTION = re.compile(
    r"\b(?:option|choice|answer|statement)[ \t](?P<held>\(?[A-Z]\)?)[ \t]is[ \t](?:therefore[ \t]"
    r"|thus[ \t])?(?:the[ \t])?(?:correct|right|best|true)\b",
    re.I,
)
CHOSEN = re.compile(
    r"\bI[ \t]{1,9}(?:would[ \t]|will[ \t]|'d[ \t]|'ll[ \t])?(?:choose|pick"
    r"|select|go with)[ \t](?:the[ \t])?(?:(?:option|choice|letter)[ \t])?"
    r"(?P<held>\S[^.\n]{0,200})",
    re.I,
)
CALLED = re.compile(r"\b(?:final_?)?answer\([\"'“]?(?P<held>[^()\n\"'”]{1,100})[\"'”]?\)", re.I)
"""`Action: Answer("B")`."""
BRACKETED = re.compile(r"\[\[?(?P<held>[^\[\]\n]{1,60})\]\]?")
"""`[[A]]`, `[Yes]`: for kinds with few answers."""
LINE_A = re.compile(r"^[*_]{0,3}A[*_]{0,3}:[*_]{0,3}[ \t]{0,9}(?=\S)", re.M)
KOREAN = re.compile(
    r"(?<![가-힣])(?:정답|해답|답변?|최종 답변?)[*_]{0,3}(?!입니다|이다|이에요)(?:은|는|이)?[ \t]{0,9}[:：]?[*_\s]*+(?=\S)"
)
KOREAN_SUBJECT = re.compile(r"(?P<held>[A-Z①-⑳\d][^\s가-힣]{0,9})(?:번)?[이가][ \t]?(?:정답|답)(?:입니다|이다|이에요)")
CHINESE = re.compile(
    r"(?:答案|答え|正解|答)(?:应该|應該)?(?:选|選|是|は|为|為"
    r"|[ \t]?[:：])[ \t]{0,3}[:：]?[*_ \t]{0,5}(?P<held>[^\s。,，;；]{1,100})"
    r"|(?:故|因此|所以|应该?|故此)(?:选|選)(?:择|擇)?(?:选项|選項)?[ \t]{0,3}[:：]?[ \t]{0,3}(?P<chosen>[A-Z①-⑳])"
    r"|(?:选项|選項)[ \t]?(?P<option>[A-Z])[ \t]?(?:项|項)?(?:是|为)?(?:对|正确|正確)"
)
EUROPEAN = re.compile(
    r"\b(?:Antwort|Respuesta|Réponse|Risposta|Resposta|Ответ)(?:[ \t](?:ist|es|est|è|é))?[*_]{0,3}[ \t]{0,9}[:：]?[*_\s]*+(?=\S)",
    re.I,
)
BOX = re.compile(r"(?:\\f?b|\x08)ox(?:ed)?(?:[ \t]{0,9}\{|[ \t]{1,9}(?=\w))")

Finder = Callable[[str, AnswerKind], Iterator[Statement]]


def statements(text: str, kind: AnswerKind) -> list[Statement]:
    """What any mark states, in the order of the text."""
    found = sorted((one for find in MARKS.values() for one in find(text, kind)), key=lambda one: (one.span, one.start))
    # Of one within another ("The answer is \\boxed{18}", "Answer("B") is the correct answer") the inner one says it.
    inner = [following.span[1] <= one.span[1] and following.span > one.span for one, following in pairwise(found)]
    return [one for one, holds in zip(found, [*inner, False]) if not holds]


def _concluded(text: str, kind: AnswerKind) -> Iterator[Statement]:
    yield from stated(text, kind, CONCLUDED)


def _subject(text: str, kind: AnswerKind) -> Iterator[Statement]:
    for match in some(list(SUBJECT.finditer(text))):
        before = BEFORE.search(text[max(0, match.start() - 70) : match.start()])
        if before and kind.readable(before["held"]):
            start = match.start() - len(before["held"])
            yield Statement(start, before["held"].strip("*"), (start, match.start()))


def _groups(pattern: re.Pattern[str], *, anything: bool = False) -> Finder:
    """The content of the group that matched; if that may be anything, only if it can be read."""

    def find(text: str, kind: AnswerKind) -> Iterator[Statement]:
        for match in some(list(pattern.finditer(text))):
            name = match.lastgroup or 0
            if not anything or kind.readable(match[name]):
                yield Statement(match.start(), match[name].strip("*"), match.span(name))

    return find


def _after(pattern: re.Pattern[str]) -> Finder:
    """The sentence that follows a pattern."""

    def find(text: str, kind: AnswerKind) -> Iterator[Statement]:
        found = some(list(pattern.finditer(text)))
        for match, following in zip(found, [*(one.start() for one in found[1:]), len(text)]):
            start, end = answer_span(text, match.end(), following)
            if start < end:
                yield Statement(match.start(), text[start:end].strip("*"), (start, end))

    return find


def _where(*words: str, find: Finder) -> Finder:
    """A finder that skips texts without any of these words, which is many times as fast."""

    def found(text: str, kind: AnswerKind) -> Iterator[Statement]:
        folded = text.casefold()
        return find(text, kind) if any(word in folded for word in words) else iter(())

    return found


def _hashes(text: str, kind: AnswerKind) -> Iterator[Statement]:
    for match in some(list(HASHES.finditer(text))):
        yield Statement(match.start(), match[1], match.span(1))


def _bracketed(text: str, kind: AnswerKind) -> Iterator[Statement]:
    if isinstance(kind, Choice | Label | YesNo):
        for match in some(list(BRACKETED.finditer(text))):
            if begins(match["held"], kind):
                yield Statement(match.start(), match["held"], match.span("held"))


def _boxed(text: str, kind: AnswerKind) -> Iterator[Statement]:
    """The content of every `\\boxed{...}`, to the brace that closes it or to the end of a text that was cut."""
    stop = 0
    for match in some(list(BOX.finditer(text))):
        if match.start() >= stop:
            stop = _closing(text, match.end()) if match[0].endswith("{") else answer_span(text, match.end())[1]
            yield Statement(match.start(), text[match.end() : stop], (match.end(), stop))


def _closing(text: str, position: int) -> int:
    depth = 1
    for brace in re.compile(r"(?<!\\)[{}]").finditer(text, position):
        depth += 1 if brace[0] == "{" else -1
        if depth == 0:
            return brace.start()
    return len(text)


MARKS: dict[str, Finder] = {
    "stated": _where("answer", find=stated),
    "concluded": _where("ans", "option", "choice", "result", "value", "solution", find=_concluded),
    "boxed": _boxed,
    "hashes": _hashes,
    "subject": _where("answer", "option", "choice", find=_subject),
    "option": _where("answer", "option", "choice", "statement", find=_groups(OPTION)),
    "chosen": _where("choose", "pick", "select", "go with", find=_groups(CHOSEN, anything=True)),
    "called": _where("answer(", find=_groups(CALLED)),
    "bracketed": _where("[", find=_bracketed),
    "line": _after(LINE_A),
    "korean": _where("답", find=_after(KOREAN)),
    "korean_subject": _where("답", find=_groups(KOREAN_SUBJECT)),
    "chinese": _where("答", "正解", "选", "選", find=_groups(CHINESE)),
    "european": _where("antwort", "respuesta", "réponse", "risposta", "resposta", "ответ", find=_after(EUROPEAN)),
}
"""Each mark by its name."""
