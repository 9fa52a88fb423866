"""Cutting a reply's rationale, and writing its beginning as the beginning of a reply under another condition, which then goes on.

    cut(rationale_of(json_schema, reply, kind), 0.5)        First, 7 + 5 is 12. Then
    begun(free_cot, kind, "First, 7 + 5 is 12. Then")       First, 7 + 5 is 12. Then
    begun(json_schema, kind, "First, 7 + 5 is 12. Then")    {"reasoning": "First, 7 + 5 is 12. Then

`begun` also gives the grammar of what may follow there.

A rationale survives the way from prose to JSON and back to the character, so two continuations differ in their format alone.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from fmtbench.answers import AnswerKind
from fmtbench.conditions.condition import Condition
from fmtbench.decoding.grammar import ANYTHING
from fmtbench.decoding.residual import inside_first
from fmtbench.errors import UserError
from fmtbench.formats.base import Format
from fmtbench.readers.reply import reply_place
from fmtbench.types import Constraint

WORD = re.compile(r"\S+")
SAID = "So"
"""A rationale that all formats write alike."""


class Begun(NamedTuple):
    """The beginning of a reply, and what the decoder allows after it."""

    prefix: str
    constraint: Constraint | None


def begun(condition: Condition, kind: AnswerKind, rationale: str) -> Begun:
    """A reply of this condition up to the end of `rationale`. Raises `UserError` where `why_not_begun` says why."""
    if why := why_not_begun(condition):
        raise UserError(why)
    return Begun(written(condition, rationale), allowed_after(condition, kind))


def written(condition: Condition, rationale: str) -> str:
    """The beginning of a reply up to the end of `rationale`."""
    prefix = _format(condition).begin(condition.layout, rationale)
    assert prefix is not None, "see why_not_begun"
    return prefix


def allowed_after(condition: Condition, kind: AnswerKind) -> Constraint | None:
    """What the decoder allows from inside the rationale on: the same after every prefix."""
    allowed = condition.constraint(kind)
    if allowed is None or allowed == ANYTHING:
        return allowed
    return inside_first(allowed, condition.layout.stages[0])


def stated_after(condition: Condition, kind: AnswerKind, answer: str) -> str:
    """What a reply under this condition writes after its rationale to state an answer: the same after every rationale.

    It closes the rationale as the format does: `", "answer": 12}` in JSON, and a sentence on a line of its own in text.
    """
    return condition.example(kind, SAID, answer).removeprefix(written(condition, SAID))


def why_not_begun(condition: Condition) -> str:
    """Why a condition's rationale cannot be cut and continued; empty if it can."""
    stages = len(condition.layout.stages)
    reasons = {
        "several_stages: its rationale has several parts": stages > 1,
        "no_rationale: it asks for an answer alone": stages == 0,
        "answer_first: its rationale comes when the answer is given": condition.order == "answer_first",
        f"when={condition.when}: its format does not hold from the first token": condition.when != "whole",
        f"thinking={condition.thinking}: what comes before its reply is no part of a rationale": condition.thinking != "off",
        f"remedy={condition.remedy}: its reply may be that of a further try": condition.remedy != "none",
        "budget=hard: how many words are left is not known after a prefix": condition.budget == "hard",
        "rationale=list: its rationale is several strings": condition.rationale == "list",
        "enforced=one_line: what was begun elsewhere may have line breaks": condition.enforced == "one_line",
        "enforced=object: the keys of its object are not known": condition.enforced == "object",
        f"whitespace={condition.whitespace}: its grammar cannot be taken up in its middle": condition.whitespace != "one_space",
    }
    reason = next((told for told, holds in reasons.items() if holds), "")
    if not reason and _format(condition).begin(condition.layout, "") is None:
        reason = f"asked={condition.asked}: no reply of this format can be taken up in its middle"
    return reason


def rationale_of(condition: Condition, text: str, kind: AnswerKind) -> str | None:
    """What a finished reply of this condition says before its answer; empty where it says nothing, or breaks its contract in a
    way that hides it. None where the answer comes first."""
    kind = condition.layout.arranged(kind)
    start, end = reply_place(text, kind)
    said = _format(condition).rationale(text[start:end], condition.layout, kind)
    lead = text[:start] if said and text.startswith(said, start) and not text[:start].strip() else ""
    return said if said is None else lead + said


def cut(rationale: str, fraction: float) -> str:
    """The first round(fraction x N) of its N words, up to the end of the last of them."""
    ends = [word.end() for word in WORD.finditer(rationale)]
    kept = round(fraction * len(ends))
    return rationale[: ends[kept - 1]] if kept else ""


def _format(condition: Condition) -> Format:
    found = condition.produced
    assert isinstance(found, Format), "see why_not_begun"
    return found
