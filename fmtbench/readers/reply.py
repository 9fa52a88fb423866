"""Where the reply is in a text: after the model's thinking, before an end-of-turn token, before the next question it makes up.

The same for every reader, strict or lenient, and for every format: what is not the reply neither keeps nor breaks a contract.
"""

from __future__ import annotations

import re

from fmtbench.answers import AnswerKind
from fmtbench.formats.statements import MOST
from fmtbench.readers.marks import statements

LONGEST = 32_000
"""In characters. Of longer texts, the first and the last half of this length are read."""

THOUGHT = r"think|thinking|thought|thoughts|scratchpad|reflection"
THINKING = re.compile(rf"\s{{0,9}}<(?:{THOUGHT})>", re.I)
THOUGHT_END = re.compile(rf"</(?:{THOUGHT})>|\[/THINK\]|<\|channel\|>\s{{0,9}}final\s{{0,9}}<\|message\|>|◁/think▷", re.I)
END_OF_TURN = re.compile(r"<\|(?:eot_id|im_end|endoftext|end|return|end_of_text)\|>|</s>|<end_of_turn>")
NEXT_QUESTION = re.compile(
    r"(?:^|\n)[#* \t]{0,9}(?:Q|Question|Problem|Human|User|Instruction|질문|문제)[ \t]{0,3}\d{0,4}[*]{0,2}[:：]"
)


def reply_place(text: str, kind: AnswerKind) -> tuple[int, int]:
    """Start and end of the reply; an empty place if the model never stopped thinking."""
    start = _after_thinking(text)
    turn = next((match.start() for match in END_OF_TURN.finditer(text, start) if text[start : match.start()].strip()), len(text))
    return start, _before_next_question(text, start, turn, kind)


def ends(text: str) -> str:
    """The text that is read: the whole, or both ends of one longer than `LONGEST`."""
    return text if len(text) <= LONGEST else text[: LONGEST // 2] + "\n\n" + text[-LONGEST // 2 :]


def place_in_whole(place: tuple[int, int], length: int) -> tuple[int, int]:
    """Where a place in the `ends` of a reply of this length lies in the reply."""
    left_out = max(0, length - LONGEST - 2)
    return tuple(at if at <= LONGEST // 2 else at + left_out for at in place)  # type: ignore[return-value]


def _after_thinking(text: str) -> int:
    closed = [match.end() for match in THOUGHT_END.finditer(text)]
    start = next((end for end in reversed(closed) if text[end:].strip()), 0)
    if not closed and THINKING.match(text):
        return len(text)
    return start + len(text[start:]) - len(text[start:].lstrip("\ufeff \t\r\n\f\v"))


def _before_next_question(text: str, start: int, end: int, kind: AnswerKind) -> int:
    """The first made-up question after a stated answer; none where the reply repeats a question before it answers."""
    question = NEXT_QUESTION.search(text, start, end)
    if question is None:
        return end
    stated = ends(text[start : question.start()])
    return question.start() if any(kind.readable(one.answer) for one in statements(stated, kind)[-MOST:]) else end
