"""Thinking as an axis of the design: a part of its own in a decomposition, and none where nothing thinks."""

from typing import Any

import numpy as np
import pytest

from fmtbench.analysis.rows.levels import between, describe, levels
from fmtbench.analysis.tables.decomposition import COMPONENTS, decomposition_table
from fmtbench.analysis.tables.dose import dose_table
from fmtbench.conditions.condition import Condition
from fmtbench.errors import UserError
from tests.made_rows import made_rows
from tests.test_levels import preset

N = 60
JSON: dict[str, Any] = {"asked": "json", "enforced": "schema"}
CELLS = {
    "free_cot": {},
    "free_cot_thinking": {"thinking": "free"},
    "json_prompt": {"asked": "json"},
    "json_prompt_thinking": {"asked": "json", "thinking": "free"},
    "json_schema": JSON,
    "json_schema_after_thinking": JSON | {"thinking": "free"},
}


def verdicts(asking: int, masking: int, thinking: int) -> dict[str, Any]:
    """Blocks of items that asking and masking make wrong, and one that thinking makes right."""
    right = {}
    for name, settings in CELLS.items():
        one = np.ones(N)
        one[:asking] = "asked" not in settings
        one[asking : asking + masking] = "enforced" not in settings
        one[-thinking:] = "thinking" in settings
        right[name] = one
    return right


def test_thinking_is_a_part_of_a_loss_and_takes_nothing_from_the_others() -> None:
    table = decomposition_table(made_rows(verdicts(6, 3, 12)), CELLS, draws=200)
    values = table.pivot(index="condition", columns="component", values="value")
    whole = values.loc["json_schema_after_thinking"]
    planted = {"asking": 6 / N, "masking": 3 / N, "thinking": -12 / N, "residual": 0.0, "wording": 0.0, "total": -3 / N}
    assert whole[list(planted)].to_dict() == pytest.approx(planted)
    assert values.loc["json_schema", ["asking", "masking"]].tolist() == pytest.approx([6 / N, 3 / N])


def test_a_table_in_which_nothing_thinks_has_no_such_line() -> None:
    still = {name: one for name, one in CELLS.items() if "thinking" not in one}
    right = {name: one for name, one in verdicts(6, 3, 12).items() if name in still}
    table = decomposition_table(made_rows(right), still, draws=200)
    assert {name for name in table.component if " x " not in name} == set(COMPONENTS)
    assert "thinking" not in table.component.tolist()


def test_a_thought_of_free_length_is_on_no_curve_of_words() -> None:
    cells = {"free_cot": {}, "free_cot_thinking": {"thinking": "free"}, "direct": {"reasoning": "none", "order": "answer_only"}}
    right = {name: np.ones(N) for name in cells}
    assert set(dose_table(made_rows(right), cells).condition) == {"free_cot", "direct"}
    with pytest.raises(UserError, match="needs one format under two budgets"):
        dose_table(made_rows({name: np.ones(N) for name in ("free_cot", "free_cot_thinking")}), cells)


def test_the_cell_that_lies_between_two_conditions_has_its_name() -> None:
    names = {levels(preset(name)): name for name in ("free_cot_thinking", "json_schema_after_thinking", "json_schema")}
    free, masked = levels({}), levels(preset("json_schema_after_thinking"))
    assert describe(between(free, masked, frozenset({5})), names) == "free_cot_thinking"
    assert describe(between(free, masked, frozenset({1, 2})), names) == "json_schema"
    unnamed = levels(JSON | {"thinking": "budget", "thinking_tokens": 64})
    assert describe(unnamed, {}).endswith("thinking=budget thinking_tokens=64")
    assert "thinking" not in describe(free, {})


def test_off_without_quotes_in_a_yaml_is_off() -> None:
    assert Condition(thinking=False) == Condition()
    assert levels({"thinking": False}) == levels({})
