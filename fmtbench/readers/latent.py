"""The latent reader: one lenient cascade for every condition, blind to which condition it reads.

It answers "what did the model say?" where the contract's reader answers "did it say so as agreed?"; the gap between
the two accuracies is the contract loss. The rules:

1. Only the reply counts (reply.py): what comes after the end of a thinking block and before an end-of-turn token; and once an
   answer is stated, nothing after a new "Question:".
2. A field named like an answer, in any format (whole, fenced, cut or in prose; a table row; a heading), outweighs all else.
   What it holds is the answer, whatever its length; where an answer of few words is wanted and a text is given, that text is
   read by the rules below. An empty field, or one that says "unknown", is no answer, and nothing else of the reply is.
3. After a retraction ("wait, no", "that is wrong") only what follows counts, where that can be read.
4. A mark comes next: `\\boxed{18}`, `#### 18`, "The answer is 18", "Answer: 18", "정답은 18", "(B) is the correct answer".
   The last one that states anything decides: where that cannot be read ("The answer is unclear", a letter of no option),
   nothing that was written before it is the answer.
5. Then what is set in bold and is an answer from its first word on, and what a label such as "Overall:" announces.
6. Then the whole reply, where it is at most eight words.
7. Then the word or letter that the reply opens with, for yes and no, options and labels.
8. Then the last sentence that mentions an answer: what follows its last `=`, or else its last mention. A sentence that
   asks, supposes, names two ("some say yes, some no") or gives up ("I cannot tell") says none.

Throughout: of several, the last one, since a model that corrects itself does so later. What a text denies ("the answer is not
B", "A is wrong") is passed over.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple

from fmtbench.answers import AnswerKind, Choice, Label, Math, Record, Set, Text, YesNo
from fmtbench.formats.base import Field
from fmtbench.formats.statements import LONGEST, MOST, SHORT, Statement, begins
from fmtbench.readers.fields import fields, surely
from fmtbench.readers.marks import statements
from fmtbench.readers.prose import ABSTAINED, OFFERED, concluded, denied
from fmtbench.readers.records import read_record
from fmtbench.readers.reply import ends, place_in_whole, reply_place
from fmtbench.types import Extraction

RETRACTION = re.compile(
    r"\b(?:wait,? (?:no|that|this)\b|no,? wait\b|scratch that|correction:|I made an? (?:mistake|error)"
    r"|(?:that|this)(?:['’]s| is| was) (?:wrong|incorrect|not right|a mistake))[^.\n:]{0,40}[.,:!]?",
    re.I,
)
BOLD = re.compile(r"\*\*(?:[A-Z][a-z]{1,20}(?: [a-z]{1,20}){0,2}:\s)?(?P<held>[^*\n]{1,300})\*\*")
LABELLED = re.compile(
    r"^[*_#> \t]{0,6}(?:overall|verdict|final verdict|conclusion|in conclusion|sentiment|result)\b[*_]{0,3}[:,][*_ \t]{0,6}",
    re.I | re.M,
)
ABSTENTION = re.compile(
    r"\W*(?:(?:not|never|neither|no)\b|un(?:known|clear|decided|determined|certain|answerable)|n/a\b|none\b|null\b|nil\b|moot|maybe"
    r"|(?:un)?determined|undefined|depends?\b|impossible|insufficient|indeterminate|missing|found\W*$|known\W*$|inconclusive)",
    re.I,
)
GIVEN_UP = re.compile(
    r"[\W_]*(?:unknown|n/a|null|none of the above|(?:can ?not|could not) be determined|undetermined|not given)[\W_]*", re.I
)
"""The same where any word may be an answer."""
REMARKED = re.compile(
    r"\W*(?:that|supported|consistent|based|correct|correctly|identified"
    r"|confirmed|obtained|found by|calculated|derived|the same)\b",
    re.I,
)
"""A remark about an answer that was given."""
BUT = re.compile(r"\W*not\b.{0,200}?\bbut\s+", re.I | re.S)
INSIDE = re.compile(
    r"(?:,?\s(?:so|thus|hence|therefore),?\s|,\s(?:which|that)\s(?:is|makes|gives|equals)\s|(?:Antwort|Answer|Respuesta)\s?:\s?)"
)
"""The place at which a clause comes to its point."""

Place = tuple[int, int]


class Reading(NamedTuple):
    """What a reader found: an answer and its place, or that there is none."""

    answer: str | None
    place: Place


Reader = Callable[[str, AnswerKind], Reading | None]


def read_latent(text: str, kind: AnswerKind) -> Extraction:
    """The answer that a lenient reader finds, whatever the format; `no_answer` where there is none."""
    return extraction(text, kind, read_reply)


def extraction(text: str, kind: AnswerKind, read: Reader) -> Extraction:
    """What a reader finds in the reply of a text."""
    start, end = reply_place(text, kind)
    if isinstance(kind, Record):  # has a reader of its own, the same for the marked and the latent reading
        located = read_record(ends(text[start:end]), kind)
        found = Reading(*located) if located else None
    else:
        found = read(ends(text[start:end]), kind)
    if found is None or found.answer is None:
        return Extraction(status="no_answer")
    return Extraction(status="ok", answer=found.answer, span=place_in_whole(found.place, end - start)).moved(start)


def read_reply(reply: str, kind: AnswerKind) -> Reading | None:
    """Rules 2 to 8."""
    return read_fields(reply, kind, read_prose) or read_prose(reply, kind)


def read_fields(reply: str, kind: AnswerKind, inside: Reader) -> Reading | None:
    """Rule 2."""
    found = [field for field in fields(reply) if field.held.strip() != kind.placeholder()]
    for before, field in reversed(list(enumerate(found))):
        reading = _in_field(field, kind, inside)
        if reading is not None:
            return Reading(reading.answer, field.span)
        cut = field.span[1] >= len(reply.rstrip(" \t\n`}\"'")) and any(map(surely, found[:before]))
        if not cut and (surely(field) or _says_something(field.held, kind)):
            return Reading(None, field.span)
    return None


def _says_something(held: str, kind: AnswerKind) -> bool:
    """Whether a short text speaks of an answer, though none can be read, as in "more than 18"."""
    return len(held.split()) <= SHORT and _mentions(held, kind) and not kind.readable(held)


def _in_field(field: Field, kind: AnswerKind, inside: Reader) -> Reading | None:
    """A field that holds an answer and nothing more, or whose text can be read."""
    held = field.held
    worded = isinstance(kind, Text | Set | Math)
    if not held.strip() or ((GIVEN_UP if worded else ABSTENTION).fullmatch(held) and (worded or not kind.readable(held))):
        return None
    stated, words = statements(held, kind), len(held.split())
    lines = {} if worded else _readable_lines(held, kind)
    if not stated and len(lines) == 1:
        return Reading(next(iter(lines.values())), field.span)
    if not stated and not lines and (worded or words <= SHORT or begins(held, kind)) and kind.readable(held):
        return Reading(_named(held, (0, 0), kind)[0], field.span)
    reading = inside(held, kind) if stated or words > SHORT or "\n" in held else None
    return reading if reading and reading.answer is not None else None


def _readable_lines(held: str, kind: AnswerKind) -> dict[str | None, str]:
    """The lines that can be read, by their answers. Of the values of an object in a field, only the one that is meant can."""
    if "\n" not in held or len(held) > LONGEST:
        return {}
    return {kind.canon(line): line for line in held.split("\n") if kind.readable(line)}


def read_prose(reply: str, kind: AnswerKind) -> Reading | None:
    """Rules 3 to 8, from the last retraction backwards."""
    starts = [0, *[match.end() for match in RETRACTION.finditer(reply)][-MOST:]]
    for start, end in zip(reversed(starts), [len(reply), *reversed(starts[1:])]):
        found = _read_part(reply[start:end], kind)
        if found is not None:
            return Reading(found.answer, (start + found.place[0], start + found.place[1]))
    return None


def _read_part(text: str, kind: AnswerKind) -> Reading | None:
    found, floor = _stated(text, kind)
    if found is not None:
        return found
    rest = text[floor:]
    for rule in (_bold, _labelled, _short, _opening, concluded):
        for answer, place in rule(rest, kind):
            return Reading(answer, (floor + place[0], floor + place[1]))
    return Reading(None, (0, 0)) if floor else None


def read_stated(text: str, kind: AnswerKind) -> Reading | None:
    """Rule 4 alone."""
    return _stated(text, kind)[0]


def _stated(text: str, kind: AnswerKind) -> tuple[Reading | None, int]:
    """What the last statement says, if it says anything, and where the prose begins that a clause leaves open."""
    empty = ("", kind.placeholder().strip("<>"))
    found = [one for one in statements(text, kind) if one.answer.strip(" .*`[]<>") not in empty]
    found = _without_cut_repetition(text, found)
    for one in reversed(found[-MOST:]):
        says = _judged(one, kind)
        if says == "answer":
            skipped = BUT.match(one.answer)
            answer, place = _named(one.answer[skipped.end() :] if skipped else one.answer, one.span, kind)
            return Reading(answer, place), 0
        if says == "none":
            return Reading(None, one.span), 0
        if says == "point":
            return Reading(INSIDE.split(one.answer)[-1], one.span), 0
    return None, found[-1].span[1] if found and _judged(found[-1], kind) == "clause" else 0


def _judged(one: Statement, kind: AnswerKind) -> Literal["answer", "none", "clause", "point", "denial"]:
    """Whether a statement is an answer, says that there is none, is a clause that leads on, or denies an answer."""
    readable = kind.readable(one.answer)
    if BUT.match(one.answer):
        return "answer" if readable else "none"
    if one.denied or re.match(r"\W*(?:not|never|neither)\b", one.answer, re.I):
        return "denial" if _mentions(one.answer, kind) else "none"
    if readable and not (isinstance(kind, Text | Set | Math) and GIVEN_UP.fullmatch(one.answer)):
        return "answer"
    point = INSIDE.split(one.answer)[-1]
    if point != one.answer and kind.readable(point):
        return "point"
    if REMARKED.match(one.answer):
        return "clause"
    if ABSTENTION.match(one.answer) or len(one.answer.split()) <= SHORT or _mentions(one.answer, kind):
        return "none"
    return "clause"


def _mentions(text: str, kind: AnswerKind) -> bool:
    return any(True for _ in kind.mentions(text))


def _without_cut_repetition(text: str, found: list[Statement]) -> list[Statement]:
    """Without a last statement that the end of the text has cut: "The answer is 18. The answer is 1"."""
    if len(found) > 1 and found[-1].span[1] == len(text.rstrip()) and not text.rstrip().endswith((".", "}", "*")):
        last, before = found[-1].answer.strip(), found[-2].answer.strip()
        if last != before and before.startswith(last) and before[len(last) : len(last) + 1].isalnum():
            return found[:-1]
    return found


def _named(answer: str, place: Place, kind: AnswerKind) -> tuple[str, Place]:
    """The name in a whole sentence that was given for a short text ("The capital of Peru is Lima")."""
    if not isinstance(kind, Text) or len(answer.split()) < 4:
        return answer, place
    names = [(answer[start:end], (place[0] + start, place[0] + end)) for start, end in kind.mentions(answer)]
    return names[-1] if names else (answer, place)


def _bold(text: str, kind: AnswerKind) -> Iterator[tuple[str, Place]]:
    for match in reversed(list(BOLD.finditer(text))):
        if begins(match["held"], kind) and not denied(text, *match.span()):
            yield match["held"], match.span("held")


def _labelled(text: str, kind: AnswerKind) -> Iterator[tuple[str, Place]]:
    for match in reversed(list(LABELLED.finditer(text))):
        line = re.compile(r"[^.\n]{1,200}").match(text, match.end())
        if line and begins(line[0], kind):
            yield line[0], line.span()


def _short(text: str, kind: AnswerKind) -> Iterator[tuple[str | None, Place]]:
    if len(text) > LONGEST or len(text.split()) > SHORT or not kind.readable(text) or ABSTAINED.search(text):
        return
    if begins(text, kind) or not _mentions(text, kind):
        yield text.strip(), (0, len(text))


def _opening(text: str, kind: AnswerKind) -> Iterator[tuple[str, Place]]:
    opening = re.match(r"[\W_]{0,20}(\w[^\n.,:;!)]{0,60})[.,:;!)\n]", text)
    if opening is None or not isinstance(kind, YesNo | Choice | Label) or len(opening[1].split()) > 3:
        return
    if begins(opening[0], kind) and not denied(text, *opening.span(1)) and not OFFERED.match(text, opening.end()):
        yield opening[0], opening.span(0)
