"""Conditions as points on the axes: what is not said has its default, and no axis is forgotten."""

from dataclasses import asdict
from typing import Any

import pytest
import yaml

from fmtbench.analysis.rows.levels import AXES, TAKEN, between, describe, levels
from fmtbench.conditions.axes import DEFAULTS
from fmtbench.conditions.condition import Condition
from tests.conftest import CONF, options

WHEN_ANSWER = {"asked": "json", "enforced": "schema", "when": "answer"}
CALL: dict[str, Any] = {"asked": "tool", "enforced": "schema"}
RETRY = {"asked": "json", "remedy": "retry", "tries": 2}
MOVED: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "reasoning": ({}, {"reasoning": "draft"}),
    "asked": ({}, {"asked": "json"}),
    "enforced": ({"asked": "json"}, {"asked": "json", "enforced": "schema"}),
    "when": ({"asked": "json"}, {"asked": "json", "when": "second_pass"}),
    "order": ({}, {"order": "answer_first"}),
    "words": ({"reasoning": "budget", "words": 10}, {"reasoning": "budget", "words": 25}),
    "budget": ({"reasoning": "budget", "words": 10}, {"reasoning": "budget", "words": 10, "budget": "hard"}),
    "stages": ({"reasoning": "staged"}, {"reasoning": "staged", "stages": ("first", "then")}),
    "rationale": ({"asked": "json"}, {"asked": "json", "rationale": "list"}),
    "reasoning_field": ({"asked": "json"}, {"asked": "json", "reasoning_field": "thoughts"}),
    "answer_field": ({"asked": "json"}, {"asked": "json", "answer_field": "final"}),
    "schema_shown": ({"asked": "json", "enforced": "schema"}, {"asked": "json", "enforced": "schema", "schema_shown": False}),
    "trigger": (WHEN_ANSWER, WHEN_ANSWER | {"trigger": "So:"}),
    "calls": (CALL, CALL | {"calls": "llama"}),
    "shots": ({}, {"shots": 3}),
    "rendering": ({"asked": "json"}, {"asked": "json", "rendering": "typescript"}),
    "descriptions": ({}, {"descriptions": "nowhere"}),
    "optional_fields": ({}, {"optional_fields": "required"}),
    "nulls": ({}, {"nulls": "allowed"}),
    "field_order": ({}, {"field_order": "sorted"}),
    "last_fields": ({}, {"last_fields": ("total",)}),
    "enums": ({"asked": "json", "enforced": "schema"}, {"asked": "json", "enforced": "schema", "enums": "open"}),
    "whitespace": ({"asked": "json"}, {"asked": "json", "whitespace": "pretty"}),
    "thinking": ({}, {"thinking": "free"}),
    "thinking_tokens": ({"thinking": "budget", "thinking_tokens": 64}, {"thinking": "budget", "thinking_tokens": 256}),
    "remedy": (RETRY, RETRY | {"remedy": "first_valid"}),
    "tries": (RETRY, RETRY | {"tries": 3}),
    "formatter": ({"asked": "json", "when": "second_pass"}, {"asked": "json", "when": "second_pass", "formatter": "other"}),
}
"""For each axis two conditions that differ in it alone."""


def preset(name: str) -> dict[str, Any]:
    (settings,) = yaml.safe_load((CONF / "condition" / f"{name}.yaml").read_text()).values()
    return {axis: level for axis, level in settings.items() if axis != "_target_"}


@pytest.mark.parametrize("fields", [False, True])
@pytest.mark.parametrize("name", options("condition"))
def test_a_preset_with_its_defaults_spelled_out_is_the_same_point(name: str, fields: bool) -> None:
    settings = preset(name)
    assert levels(settings, fields) == levels(asdict(Condition(**settings)), fields)


def test_the_defaults_are_those_that_committed_results_were_made_with() -> None:
    """A cell's config leaves out what it did not set: another default would place old results on other points."""
    assert DEFAULTS == {
        "reasoning": "free",
        "asked": "text",
        "enforced": "no",
        "when": "whole",
        "order": "reasoning_first",
        "words": None,
        "budget": "soft",
        "stages": ("phenomenon", "observation", "conclusion"),
        "rationale": "string",
        "reasoning_field": "reasoning",
        "answer_field": "answer",
        "schema_shown": True,
        "trigger": "Final answer:",
        "shots": 0,
        "rendering": "form",
        "descriptions": "prompt",
        "optional_fields": "as_given",
        "nulls": "as_given",
        "field_order": "as_given",
        "last_fields": (),
        "enums": "as_given",
        "whitespace": "one_space",
        "calls": None,
        "thinking": "off",
        "thinking_tokens": None,
        "remedy": "none",
        "tries": 1,
        "formatter": "same",
    }
    assert levels({}) == ((), "text", "no", "reasoning_first", ("free", None, None), ("off", None))


@pytest.mark.parametrize("axis", DEFAULTS)
def test_every_axis_moves_a_level(axis: str) -> None:
    one, other = (asdict(Condition(**settings)) for settings in MOVED[axis])
    assert [name for name in one if one[name] != other[name]] == [axis]
    assert levels(one) != levels(other)


def test_reconsidering_is_a_step_of_its_own_beside_asking_and_masking() -> None:
    """So the control lies between free and reconsidered JSON, and the decomposition can go by way of it."""
    free, control, schema, both = (
        levels(preset(name)) for name in ("free_cot", "free_cot_reconsidered", "json_schema", "json_schema_reconsidered")
    )
    wording = AXES.index("wording")
    assert control == between(free, both, frozenset({wording})) != free
    assert schema == between(both, free, frozenset({wording})) != both
    assert " when=reconsider" in describe(control, {})


def test_line_breaks_are_discouraged_by_words_and_forbidden_by_the_decoder() -> None:
    free = levels(preset("free_cot"))
    for name, axis in (("one_paragraph", "wording"), ("no_line_breaks", "masking")):
        found = levels(preset(name))
        assert [one for one, a, b in zip(AXES, free, found) if a != b] == [axis]


def test_axes_are_called_as_in_the_design() -> None:
    assert set(DEFAULTS) >= TAKEN
