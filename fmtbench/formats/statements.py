"""The sentence that states an answer: "The answer is 18.", "Answer: 18", "the final answer to this question (in euros) is 18".

The contract of text, and one of the marks that readers know of any reply (readers/marks.py). Every pattern here is anchored at
a word and has bounded gaps, so that a reply of any shape is read in one pass.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from typing import NamedTuple, TypeVar

from fmtbench.answers import AnswerKind, Choice, Label, Number, Set, Text, YesNo
from fmtbench.formats.names import QUALITY

T = TypeVar("T")
MOST = 50
"""How many repeated things in a text are looked at, from either end."""
LONGEST = 1000
"""The most characters of a stated answer."""
VERB = (
    r"\b(?:is|are|would be|should be|must be|will be|becomes|comes out to"
    r"|seems to be|appears to be|depends|(?:can ?not|can['’]t|could not) be)\b"
)
TURN = rf"(?:{VERB}[ \t]{{0,9}}:?|[ \t]{{0,9}}[:=：]|[ \t]{{1,9}}[-–—](?=[ \t]))"
ASIDE = (
    r"(?:[ \t]{1,9}(?:to|for|of)[ \t][^.:\n]{1,80}?)?(?:,[^,.\n]{1,30},)?(?:[ \t]{0,9}\((?!\w\))[^()\"'“\n]{1,40}\))?[*_ \t]{0,9}"
)
"""What may stand between the mark and its verb: "to this question", ", therefore,", "(arabic numerals)"."""
ADVERB = (
    r"(?:(?:therefore|thus|clearly|likely|probably|most likely|indeed"
    r"|simply|definitely|then|hence|again)\b,?(?=\s{1,9}\S)|[*_\s])*+"
)
STATED = re.compile(rf"\banswers?\b(?:[ \t](?:choice|option))?[*_]{{0,3}}{ASIDE}(?P<turn>{TURN}){ADVERB}", re.I)
"""The statement that our own prompts ask for."""
CONCLUDED = re.compile(
    rf"(?:\b(?:ans|{QUALITY}[ \t]{{1,9}}(?:option|choice|result|value"
    rf"|solution))|\b(?:so|thus|therefore|hence),?[ \t]the[ \t]result)"
    rf"[*_]{{0,3}}{ASIDE}(?P<turn>{TURN}){ADVERB}",
    re.I,
)
"""The same in other words."""
SHORT_FORM = (
    r"(?<!\b[A-Z])(?<!\bSt)(?<!\bRs)(?<!\bDr)(?<!\bMt)"
    r"(?<!\bMr)(?<!\bMrs)(?<!\bMs)(?<!\bJr)(?<!\bSr)(?<!\bca)(?<!\bapprox)(?<!\bvs)"
)
SENTENCE_END = re.compile(
    # A full stop ends the answer unless it belongs to an initial or a short form ("Washington, D.C.", "St. Lucia", "No. 5").
    rf"\n|{SHORT_FORM}(?!(?<=\bNo)\.[ \t]\d)[.!?](?=[\s\"'’”*)\]_]|$)|。"
)
CONDITIONAL = re.compile(r"(?:\b(?:if|whether|suppose|assum\w+|unless)\b|\((?:as|since|because)\b)[^.\n]{0,25}$", re.I)
DENIED = re.compile(r"depends|can|could", re.I)
AS_ALSO = re.compile(r"\((?:as|in) [^()\n]{1,40}\)", re.I)
"""A second spelling of a stated answer: "The answer (as a fraction) is 1/4"."""
DASH = re.compile(r"[-–—]")
LINE_START = re.compile(rf"(?:^|\n)[\W_]{{0,6}}(?:\b(?:the|my|our|{QUALITY})[ \t*_]{{1,4}}){{0,3}}$", re.I)
ITEM = re.compile(r"[ \t]{0,8}(?:[-*•]|\d{1,2}[.)])[ \t]+\S[^\n]*(?:\n|$)")
OPENING = re.compile(
    r"\W{0,3}(?:let(?:['’]s| me| us)\b|to (?:find|solve|determine|answer"
    r"|calculate|get|compute)\b|first\b|we (?:know|need|have|can|are)\b|step \d"
    r"|since\b|given\b|here (?:is|are)\b|(?:the )?(?:question|q|problem"
    r"|example|reasoning|explanation|solution|thought)s?\b[^\n:]{0,20}[:：])",
    re.I,
)
"""How a rationale begins, not an answer."""
ENUMERATED = re.compile(r"\d+[.)]\s+\S")
SHORT = 8
"""The most words of an answer in words."""
LEAD = re.compile(rf"(?:\b(?:the|my|our|{QUALITY})[ \t*_]{{1,4}})+$", re.I)


class Statement(NamedTuple):
    """A place that states an answer."""

    start: int
    """Where its mark begins."""
    answer: str
    span: tuple[int, int]
    """The place of `answer`."""
    denied: bool = False
    """ "The answer cannot be ...": what it is not, or that there is none."""


def stated(text: str, kind: AnswerKind, mark: re.Pattern[str] = STATED) -> Iterator[Statement]:
    """Every statement by a mark, in order; a mark may also open a question, a condition or a rationale, which are skipped.

    One that the end of the text cuts before its answer is a statement with an empty answer.
    """
    found = some(list(mark.finditer(text)))
    nexts = [*(match.start() for match in found[1:]), len(text) + LONGEST]
    said = False
    for match, following in zip(found, nexts):
        if _doubled(text[match.end() : min(following, match.end() + 40)], following - match.end()):
            continue
        start, end = _held(text, match.end(), min(following, len(text)), kind)
        colon = match["turn"].strip().lower() in (":", "=", "：", "-", "–", "—")
        if DASH.fullmatch(match["turn"].strip()) and LINE_START.search(text, max(0, match.start() - 40), match.start()) is None:
            continue
        if start == end and text[end:].strip(" .*_\n"):
            continue
        if _asked(text, match.start(), end) or (colon and _opens(text, start, end, kind)):
            continue
        denied = DENIED.match(match["turn"].strip()) is not None
        if denied and isinstance(kind, Choice | Label | Number | YesNo) and kind.readable(text[start:end]):
            continue
        if AS_ALSO.search(match[0]) and said:
            continue
        said = True
        yield Statement(lead(text, match.start()), _without_emphasis(match[0], text[start:end]), (start, end), denied)


def some(found: list[T]) -> list[T]:
    """The first and the last of what a text that repeats itself has by the thousand."""
    return found if len(found) <= 2 * MOST else [*found[:MOST], *found[-MOST:]]


def lead(text: str, start: int) -> int:
    """Where the words that lead to a mark begin: "the final", "so the correct"."""
    found = LEAD.search(text, max(0, start - 40), start)
    return found.start() if found else start


def answer_span(text: str, start: int, stop: int = sys.maxsize) -> tuple[int, int]:
    """From `start` to the end of the sentence or line, without surrounding white space and its full stop."""
    stop = min(stop, start + LONGEST)
    match = SENTENCE_END.search(text, start, stop)
    found = text[start : match.start() if match else stop].rstrip().removesuffix(".")
    start += len(found) - len(found.lstrip())
    return start, start + len(found.strip())


def _held(text: str, start: int, stop: int, kind: AnswerKind) -> tuple[int, int]:
    """The sentence after a mark; the whole list, where it is followed by one and several items are wanted."""
    if isinstance(kind, Set | Text):
        line = text.rfind("\n", 0, start) + 1
        end = line if not text[line:start].strip(" \t*") else start
        items = 0
        while item := ITEM.match(text, end, min(stop, end + LONGEST)):
            end, items = item.end(), items + 1
        if items > 1:
            return start, start + len(text[start:end].rstrip())
    return answer_span(text, start, stop)


def _without_emphasis(mark: str, held: str) -> str:
    """Without the other side of the emphasis that a mark has taken: "The answer is **18**"."""
    emphasis = mark[-1:] if mark[-1:] in "*_" else ""
    return held.rstrip(emphasis) or held if emphasis else held


def _doubled(between: str, distance: int) -> bool:
    """Whether a mark is followed by another at once: "The answer is: the final answer is 18"."""
    return distance <= 40 and not re.sub(rf"\b(?:the|my|so|{QUALITY})\b|\W", "", between, flags=re.I)


def _asked(text: str, start: int, end: int) -> bool:
    """Whether the sentence is a condition, or a question that the reply goes on from: neither states anything."""
    if CONDITIONAL.search(text, max(0, start - 60), start):
        return True
    return text[end : end + 1] == "?" and bool(text[end : end + 20].strip(" ?\n*\"'"))


def _opens(text: str, start: int, end: int, kind: AnswerKind) -> bool:
    """Whether "Answer:" is the heading of a rationale: more of it follows in the paragraph, and it begins with no answer."""
    if OPENING.match(text, start, end):
        return True
    rest = text[end : end + 200].lstrip(".!?*\"'”’)_ \t")
    goes_on = (
        bool(rest)
        and not re.match(r"\n\s*(?:\n|#|$)", rest)
        and not re.match(r"\s*(?:explanation|reason|because|note)\b", rest, re.I)
    )
    return goes_on and not begins(text[start:end], kind)


def heads_rationale(held: str) -> bool:
    """Whether what stands where an answer is due is a rationale: it opens like one, or comes to its answer only later on."""
    later = STATED.search(held)
    return OPENING.match(held) is not None or (later is not None and len(held[: later.start()].split()) > SHORT)


def begins(text: str, kind: AnswerKind) -> bool:
    """Whether a text is an answer from its first word on: `18 eggs`, `(B) blue ball`, not `Step 3` nor `2. Multiply`."""
    words = re.sub(r"^\W*(?:the|an|a)\s+(?=[a-z])", "", text.strip())
    if words.endswith(":") or ENUMERATED.match(words) or not kind.readable(words):
        return False
    if isinstance(kind, Text | Set):
        return len(words.split()) <= SHORT and not re.search(r"\S\s+(?:is|are|was|were|gives|means)[\s:]", words)
    if isinstance(kind, Choice | Label | YesNo):
        words = re.sub(r"^\W*(?:option|choice|letter)\s", "", words, flags=re.I)
    first = next(iter(kind.mentions(words)), None)
    return first is not None and not re.search(r"\w\w|\w\s+\w", words[: first[0]])
