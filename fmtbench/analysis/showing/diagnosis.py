"""A diagnosis in words, for an engineer: does it hurt, at which step, which part, what to change, and at what cost.

A page is a list of blocks, so that Markdown and HTML say the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from fmtbench.analysis.showing.markdown import to_markdown
from fmtbench.analysis.statistics.cheapest import PricedArm, cheapest
from fmtbench.analysis.statistics.diagnosis import STEPS, Diagnosis, Effect, PartEffect
from fmtbench.analysis.statistics.per_item import Interval


class Heading(NamedTuple):
    text: str


class Paragraph(NamedTuple):
    text: str


class Headline(NamedTuple):
    """The line that a reader should not miss."""

    text: str


class Bars(NamedTuple):
    """Differences with their intervals, in points, as a figure; Markdown shows them in its tables instead."""

    labels: tuple[str, ...]
    effects: tuple[Effect, ...]


class Listing(NamedTuple):
    cells: pd.DataFrame


Block = Heading | Paragraph | Headline | Bars | Listing


class Said(NamedTuple):
    """What a page says besides the diagnosis itself."""

    model: str
    task: str
    available: int
    """Items in the data."""
    untried: Mapping[str, str]
    """Parts that were not tried, and why."""
    ignored: Sequence[str]
    """What the decoder does not enforce of the schema."""
    notes: Sequence[str]
    priced: Sequence[PricedArm] = ()
    """The arms that write a machine-readable record, cheapest first."""


def blocks(found: Diagnosis, arms: pd.DataFrame, said: Said) -> Iterator[Block]:
    """The whole page except its title."""
    yield Paragraph(f"{said.model}, {found.items} of {said.available} items of {said.task}, share of fields right.")
    yield from map(Paragraph, said.notes)
    yield Heading("Does it hurt?")
    yield Headline(whole(found, arms))
    yield from map(Paragraph, at_a_glance(found))
    yield Bars(*_bars(found))
    yield Heading("Where does it come in?")
    yield Paragraph("From free text to the schema, one thing at a time. The steps add up to the whole difference.")
    yield Listing(steps_table(found))
    yield Heading("Which part of the schema, and what to change?")
    yield from map(Paragraph, parts_in_words(found))
    if found.parts:
        yield Listing(parts_table(found))
    yield from (Paragraph(f"Not tried: {spoken(name)}, since {why}.") for name, why in said.untried.items())
    if said.ignored:
        yield Paragraph(f"The decoder does not enforce: {'; '.join(said.ignored)}.")
    if said.priced:
        yield Heading("Which way is the cheapest?")
        yield Paragraph(cheapest_in_words(said.priced, found.margin))
        yield Listing(prices_table(said.priced))
    yield Heading("All arms")
    yield Listing(arms_in_words(arms))
    yield from map(Paragraph, LEGEND)


LEGEND = (
    "Differences in points, with 95% intervals for the prompts that were asked (bootstrap over items). A part is named where its "
    "change gains after Holm's correction over all parts that were tried (exact sign test, 5%).",
    "Fields right: by a reader that is the same for every arm, wherever in the reply they are. Whole records: the schema is kept "
    "and every field is right. Left out: of the values that the right record has. Made up: of the fields that are empty in it.",
    "The cheapest way: fields that are right in a reply which keeps the schema, against those that are right in free text. "
    "Tokens in all: of prompts and replies, of every try and pass.",
)


def whole(found: Diagnosis, arms: pd.DataFrame) -> str:
    """The verdict on the schema as a whole."""
    one, known = found.whole, arms.set_index("condition")["fields"]
    apart = f"{points(one)} points against free text ({percent(known[one.condition])} and {percent(known[one.reference])})"
    margin = f"{100 * found.margin:g}"
    return {
        "worse": f"Yes: under the schema fewer fields are right, {apart}.",
        "better": f"No: under the schema more fields are right, {apart}.",
        "alike": f"No: it makes a difference of less than {margin} points, {apart}.",
        "open": f"Not enough data: {apart}; {enough(one.deciding(found.margin))}.",
    }[one.standing(found.margin)]


def at_a_glance(found: Diagnosis) -> Iterator[str]:
    """For readers who stop here: where a schema that hurts does so, and what helps."""
    if found.whole.standing(found.margin) != "worse":
        return
    if losing := [f"{STEPS[one.condition]} ({points(one)})" for one in found.steps if one.high < 0]:
        yield f"It comes in with: {'; '.join(losing)}."
    if found.named:
        helping = sorted(found.named, key=lambda one: -one.effect.value)
        yield f"What helps: {'; or '.join(f'{one.part.change} ({points(one.effect)})' for one in helping)}."


def enough(many: int | None) -> str:
    """How many items would be enough."""
    return "no number of items would do" if many is None else f"about {many:,} items would do"


def parts_in_words(found: Diagnosis) -> Iterator[str]:
    for one in found.named:
        fields = f" Fields: {', '.join(one.fields)}." if one.fields else ""
        gain = f"That gains {points(one.effect)} points and costs {cost(one)}."
        yield f"{spoken(one.part.name).capitalize()}: {one.part.fault}.{fields} To change: {one.part.change}. {gain}"
    if not found.named:
        lost = found.whole.standing(found.margin) == "worse"
        yield (
            "No part that was tried can be blamed: what the schema costs comes in where the steps above show it."
            if lost
            else "No part that was tried can be blamed."
        )
    unsure = [one for one in found.parts if standing(one, found.margin) == OPEN]
    if unsure:
        parts = [f"{spoken(one.part.name)} ({enough(one.effect.deciding(found.margin))})" for one in unsure]
        yield f"Not enough data to say whether a change gains {100 * found.margin:g} points or more: {', '.join(parts)}."


def cheapest_in_words(priced: Sequence[PricedArm], margin: float) -> str:
    """The arm with the fewest tokens that is not shown to have fewer fields right than free text."""
    found = cheapest(priced, margin)
    if found is None:
        return "Every way to a record that keeps the schema has fewer fields right than free text."
    unsure = found.effect.standing(margin) == "open"
    more = f" Not enough data to say that it costs less than {100 * margin:g} points; {enough(found.effect.deciding(margin))}."
    return (
        f"{found.condition} takes the fewest tokens of all ways to a record that do not lie below free text: {found.tokens:.0f} "
        f"an item, {points(found.effect)} points.{more if unsure else ''}"
    )


def prices_table(priced: Sequence[PricedArm]) -> pd.DataFrame:
    return pd.DataFrame(
        {"condition": one.condition, "tokens in all": f"{one.tokens:.0f}", "against free text": points(one.effect)}
        for one in priced
    )


OPEN = "not enough data"


def standing(one: PartEffect, margin: float) -> str:
    """The verdict on a part in its row of the table."""
    if one.named:
        return "hurts"
    if one.effect.high < 0:
        return "the change is worse"
    return f"gains less than {100 * margin:g}" if one.effect.high < margin else OPEN


def steps_table(found: Diagnosis) -> pd.DataFrame:
    lines = [{"step": STEPS[one.condition], "difference": points(one)} for one in found.steps]
    return pd.DataFrame([*lines, {"step": "together", "difference": points(found.whole)}])


def parts_table(found: Diagnosis) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "part": spoken(one.part.name),
            "if it is changed": points(one.effect),
            "p (Holm)": f"{one.p_adjusted:.3f}" if one.p_adjusted >= 0.001 else "<0.001",
            "verdict": standing(one, found.margin),
            "more tokens": number(one.tokens),
            "more prompt tokens": number(one.prompt_tokens),
        }
        for one in found.parts
    )


def arms_in_words(arms: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "condition": list(arms["condition"]),
            "fields right": [
                f"{percent(one.fields)} [{100 * one.fields_low:.0f}, {100 * one.fields_high:.0f}]" for one in arms.itertuples()
            ],
            "whole records": list(map(percent, arms["whole"])),
            "left out": list(map(percent, arms["omitted"])),
            "made up": list(map(percent, arms["hallucinated"])),
            "tokens": [f"{one:.0f}" for one in arms["tokens"]],
            "prompt tokens": [f"{one:.0f}" for one in arms["prompt_tokens"]],
        }
    )


def _bars(found: Diagnosis) -> tuple[tuple[str, ...], tuple[Effect, ...]]:
    parts = [(f"if changed: {spoken(one.part.name)}", one.effect) for one in found.parts]
    labels, shown = zip(("the schema, against free text", found.whole), *parts)
    return tuple(labels), tuple(shown)


def cost(one: PartEffect) -> str:
    return f"{number(one.tokens)} tokens a reply and {number(one.prompt_tokens)} in its prompt"


def points(one: Effect) -> str:
    return f"{signed(100 * one.value, 1)} [{signed(100 * one.low, 1)}, {signed(100 * one.high, 1)}]"


def number(one: Interval) -> str:
    """A number of tokens; an interval of zero width is not shown."""
    if np.isnan(one.low) or round(one.low) == round(one.high):
        return signed(one.value, 0)
    return f"{signed(one.value, 0)} [{signed(one.low, 0)}, {signed(one.high, 0)}]"


def signed(value: float, places: int) -> str:
    text = f"{value:+.{places}f}"
    return text[1:] if float(text) == 0 else text


def percent(share: float) -> str:
    return "" if np.isnan(share) else f"{100 * share:.1f}%"


def spoken(name: str) -> str:
    return name.replace("_", " ")


def markdown(title: str, page: Sequence[Block]) -> str:
    return "\n\n".join([f"# {title}", *filter(None, map(_markdown, page))]) + "\n"


def _markdown(block: Block) -> str:
    if isinstance(block, Heading):
        return f"## {block.text}"
    if isinstance(block, Paragraph):
        return block.text
    if isinstance(block, Headline):
        return f"**{block.text}**"
    return to_markdown(block.cells).rstrip("\n") if isinstance(block, Listing) else ""
