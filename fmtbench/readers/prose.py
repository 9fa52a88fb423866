"""The last resort: the last sentence that mentions an answer, and what it says of it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from fmtbench.answers import AnswerKind, Choice, Label, Number, YesNo
from fmtbench.formats.statements import MOST

Place = tuple[int, int]

SENTENCE = re.compile(r"[^\n]+?(?:[.!?](?=[\s\"'*)\]]|$)|$)", re.M)
DENIED_BEFORE = re.compile(
    r"(?:\bnot|\bcannot|n['’]t|\bnever|\bneither|\brather than|\binstead of|\bruled? out)\s+(?:[^\s.,;]+\s+){0,3}\W{0,9}$", re.I
)
DENIED_AFTER = re.compile(
    r"[^.\n]{0,40}?\b(?:(?:is|are|was|seems?)\s+(?:not|wrong|incorrect|false|invalid)|isn['’]t|can(?:not|['’]t)\s+be)\b", re.I
)
LISTED = re.compile(r"(?:^|\n)[ \t>*_#]{0,9}(?:[-*]\s?)?$")
NUMBERED = re.compile(r"\b(?:step|part|case|line|equation|figure|example)\s?#?$", re.I)
SUPPOSED = re.compile(r"\b(?:if|whether|suppose|assuming|unless|were it)\b[^,;.]{0,120}$", re.I)
OFFERED = re.compile(r"\s{0,3}(?:could|might|may)\b", re.I)
"""Follows an answer that is only offered: "(B) could be right"."""
ABSTAINED = re.compile(
    r"\b(?:(?:can(?:not|['’]t| not)|could not|unable to|impossible to|hard to"
    r"|difficult to) (?:determine|tell|say|answer|know|decide|be (?:determined|answered|known|said))"
    r"|not enough (?:information|data)|insufficient (?:information|data)|(?:i am"
    r"|i['’]m) (?:unsure|not sure)|(?:no (?:clear|definitive|single|one|correct)|there is no) answer"
    r"|(?:do|does|did)(?: not|n['’]t) (?:know|have enough)|none of the (?:above|options|choices)|it depends)\b",
    re.I,
)
JOINED = re.compile(r"\s{0,3}(?:,|or|and|/|,\s?or|,\s?and)\s{1,3}(?:[a-z]{1,3}\s?[=:]\s?)?\W{0,3}$")
SOME = re.compile(r"\b(?:some|others|many)\b", re.I)
REMARK = re.compile(r"\s*\([^()\n]*\)?\.?\)?\s*")
RESULT = re.compile(
    r"\b(?:is|are|was|were|be|makes?|made|earns?|has|have|had|gets?|costs?|pays?|needs?|totals?|equals?|spends?|leaves?|takes?)\s"
    r"(?:(?:a total of|about|only|exactly|left with)\s)?$"
)
CONCLUDING = re.compile(r"\s*\W{0,3}(?:so|thus|hence|therefore|in total|in conclusion|finally)\b", re.I)
WINDOW = 5_000
"""The number of characters from the end that are searched for a conclusion."""
MOST_SENTENCES = 200
"""The most sentences in that window; earlier ones are a loop."""
WORD = re.compile(r"\w")


def concluded(text: str, kind: AnswerKind) -> Iterator[tuple[str | None, Place]]:
    """The last mention in the last sentence; None in its place if that sentence names two, or gives up."""
    offset = max(0, len(text) - WINDOW)
    recited = kind.recited(text)
    for sentence in reversed([one for one in SENTENCE.finditer(text, offset) if WORD.search(one[0])][-MOST_SENTENCES:]):
        if sentence[0].rstrip("\"'*) ").endswith("?") or REMARK.fullmatch(sentence[0]):
            continue
        if any(start <= sentence.start() < end for start, end in recited):
            continue
        asserted = _asserted(text, sentence, kind)
        if ABSTAINED.search(sentence[0]) or _several(text, asserted, kind):
            yield None, sentence.span()
            return
        if asserted:
            yield _last(text, sentence, asserted, kind)
            return


def denied(text: str, start: int, end: int) -> bool:
    before = text[max(0, start - 60) : start]
    return bool(DENIED_BEFORE.search(before.rpartition("\n")[2]) or DENIED_AFTER.match(text, end))


def _asserted(text: str, sentence: re.Match[str], kind: AnswerKind) -> list[Place]:
    """Places that a sentence asserts: not what it denies or supposes, and not the numbers of list items."""
    found = []
    for a, b in list(kind.mentions(sentence[0]))[-MOST:]:
        start, end = sentence.start() + a, sentence.start() + b
        supposed = not isinstance(kind, Number) and SUPPOSED.search(sentence[0], max(0, a - 140), a)
        if not supposed and not denied(text, start, end) and not _listed(text, start, end):
            found.append((start, end))
    return found


def _several(text: str, places: list[Place], kind: AnswerKind) -> bool:
    """Whether a sentence ends by naming two: `3 or 4`, `(A) or (B)`, "some would say yes, others no"."""
    if len(places) < 2 or not isinstance(kind, Choice | Number | YesNo | Label):
        return False
    values = [kind.canon(text[slice(*place)]) for place in places[-2:]]
    if values[0] == values[1] or None in values:
        return False
    between = text[places[-2][1] : places[-1][0]]
    if isinstance(kind, Choice | Number):
        # Two numbers joined by "and" may be separate amounts.
        return JOINED.fullmatch(between) is not None and not (isinstance(kind, Number) and between.strip().startswith("and"))
    turned = re.search(r"\b(?:but|so|thus|therefore|hence|rather|instead|it is)\b", between, re.I)
    return turned is None or SOME.search(between) is not None


def _last(text: str, sentence: re.Match[str], asserted: list[Place], kind: AnswerKind) -> tuple[str | None, Place]:
    result = sentence[0].rpartition("=")[2] if isinstance(kind, Number) else ""
    if result and result != sentence[0] and kind.canon(result) is not None:
        return result.strip(), (sentence.end() - len(result), sentence.end())
    place = asserted[-1]
    if isinstance(kind, Number) and CONCLUDING.match(sentence[0]):
        results = [one for one in asserted if RESULT.search(text, max(0, one[0] - 30), one[0])]
        place = results[-1] if results else place
    answer = text[slice(*place)]
    return (answer if kind.readable(answer) else None), place


def _listed(text: str, start: int, end: int) -> bool:
    """Whether it is the number of a list item or a step: `3. She sells`, `Step 3`."""
    if not text[start:end].isdigit():
        return False
    before = text[max(0, start - 20) : start]
    item = LISTED.search(before) and re.match(r"[.)]\s+[^\W\d]", text[end : end + 9])
    return bool(item or NUMBERED.search(before))
