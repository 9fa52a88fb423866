"""Which levels of the axes cannot go together, and why: a condition that contradicts itself is refused by its reason."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fmtbench.conditions.condition import Condition


def contradiction(condition: Condition) -> str | None:
    """The first reason why a condition cannot be, or None."""
    return next(_reasons(condition), None)


def _reasons(c: Condition) -> Iterator[str]:
    if (c.reasoning == "none") != (c.order == "answer_only"):
        yield (
            f"reasoning={c.reasoning} contradicts order={c.order}: reasoning=none goes with order=answer_only, and only with it"
        )
    if (c.reasoning == "budget") != (c.words is not None):
        yield f"reasoning={c.reasoning} contradicts words={c.words}: reasoning=budget needs words, others have none"
    if len(set(c.layout.fields)) < len(c.layout.fields):
        yield f"the fields {list(c.layout.fields)} are not all different: rename one of them"
    yield from _of_when(c)
    yield from _of_formats(c)
    yield from _of_budget(c)
    if c.shots and c.reasoning not in ("none", "free"):
        yield f"shots={c.shots} contradicts reasoning={c.reasoning}: a worked example holds one rationale of free length"


def _of_when(c: Condition) -> Iterator[str]:
    if c.when == "whole":
        return
    if c.order != "reasoning_first":
        yield f"when={c.when} contradicts order={c.order}: what is thought freely comes before the answer"
    if c.when == "answer" and c.asked != "json":
        yield f"when=answer contradicts asked={c.asked}: the answer behind the trigger is JSON, so set asked=json"
    if c.when == "second_pass" and c.asked == "text":
        yield "when=second_pass contradicts asked=text: the first pass is text already; ask for the format to convert to"
    if c.when == "second_pass" and c.enforced == "sham":
        yield "when=second_pass contradicts enforced=sham: test the machinery on the first pass, with when=whole"


def _of_formats(c: Condition) -> Iterator[str]:
    if c.enforced in ("object", "schema") and c.asked not in ("text", "json"):
        yield f"enforced={c.enforced} contradicts asked={c.asked}: what is enforced is JSON, so ask for json, or for text"
    if c.enforced == "object" and c.asked == "text":
        yield "enforced=object contradicts asked=text: nothing would name the keys; set asked=json, or enforced=schema"
    if not c.schema_shown and (c.asked != "json" or c.enforced != "schema"):
        yield (
            f"schema_shown=false contradicts asked={c.asked}, enforced={c.enforced}: "
            "only where JSON is asked for and its schema enforced can the prompt leave the fields out"
        )


def _of_budget(c: Condition) -> Iterator[str]:
    if c.budget == "soft":
        return
    if c.reasoning != "budget":
        yield f"budget=hard contradicts reasoning={c.reasoning}: only reasoning=budget has words to count"
    if c.when != "whole" or c.order != "reasoning_first":
        yield f"budget=hard contradicts when={c.when}, order={c.order}: words are counted from the start up to the answer"
    if (c.asked, c.enforced) not in (("text", "no"), ("text", "schema"), ("json", "schema")):
        yield (
            f"budget=hard contradicts asked={c.asked}, enforced={c.enforced}: "
            "words are counted in free text (asked=text, enforced=no) or in enforced JSON (enforced=schema)"
        )
