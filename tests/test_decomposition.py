"""Parts of a loss: they sum exactly, each planted effect is found where it was planted, and what is unknown says so."""

from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import pytest

from fmtbench.analysis.tables.decomposition import COMPONENTS, decomposition_table
from fmtbench.errors import UserError
from tests.made_rows import coins, made_rows

SETTINGS: dict[str, dict[str, Any]] = {
    "asking": {"asked": "json"},
    "masking": {"enforced": "schema"},
    "order": {"order": "answer_first"},
    "length": {"reasoning": "budget", "words": 25},
}
N = 400


def factorial() -> dict[str, dict[str, Any]]:
    """All 16 cells over four axes; the name says which are switched."""
    cells = {}
    for switched in product((False, True), repeat=len(SETTINGS)):
        names = [name for name, on in zip(SETTINGS, switched) if on]
        cells["+".join(names) or "free_cot"] = {key: value for name in names for key, value in SETTINGS[name].items()}
    return cells


ALL = "+".join(SETTINGS)


def planted(effects: dict[str, int]) -> dict[str, Any]:
    """Verdicts in which each switched axis makes its own block of items wrong."""
    verdicts = {}
    for cell in factorial():
        right, start = np.ones(N), 0
        for name, size in effects.items():
            right[start : start + size] = name not in cell.split("+")
            start += size
        verdicts[cell] = right
    return verdicts


def parts(table: pd.DataFrame, condition: str) -> pd.Series:
    return table[table.condition == condition].set_index("component")["value"]


def test_planted_effects_are_recovered() -> None:
    effects = {"asking": 40, "masking": 8, "order": 60, "length": 20}
    table = decomposition_table(made_rows(planted(effects)), factorial(), draws=200)
    found = parts(table, ALL)
    for name, size in effects.items():
        assert found[name] == pytest.approx(size / N, abs=1e-12)
    assert found.total == pytest.approx(sum(effects.values()) / N, abs=1e-12)
    assert found[["wording", "residual", "truncation", "reading"]].eq(0).all()


def test_an_interaction_is_shared_equally() -> None:
    verdicts = {name: np.ones(N) for name in ("free_cot", "asking", "masking")} | {"asking+masking": np.arange(N) >= 100}
    found = parts(decomposition_table(made_rows(verdicts), factorial(), draws=200), "asking+masking")
    assert found[["asking", "masking"]].to_numpy() == pytest.approx([0.125, 0.125])


@pytest.mark.parametrize("seed", range(5))
def test_parts_sum_to_the_total(seed: int) -> None:
    """On noise, with verdicts that differ by reader, cut replies, and cells left out at random."""
    rng = np.random.default_rng(seed)
    cells = [name for name in factorial() if name in ("free_cot", ALL) or rng.random() < 0.6]
    strict = {name: coins(100 * seed + i, 90, 2) for i, name in enumerate(cells)}
    latent = {name: coins(1000 + 100 * seed + i, 90, 2) for i, name in enumerate(cells)}
    status = {name: np.where(coins(7 + i, 90, 2, p=0.2), "truncated", "ok") for i, name in enumerate(cells)}
    rows = made_rows(strict, latent_correct=latent, status=status)
    table = decomposition_table(rows, factorial(), draws=100)
    wide = table.pivot(index="condition", columns="component", values="value")
    assert set(wide.columns) == set(COMPONENTS)
    assert (wide.drop(columns="total").sum(axis=1) - wide.total).abs().max() < 1e-12
    for condition in wide.index:
        assert wide.total[condition] == pytest.approx(strict["free_cot"].mean() - strict[condition].mean(), abs=1e-12)


def test_truncation_and_reading() -> None:
    right = np.ones(N)
    strict = {"free_cot": right, "asking": np.arange(N) >= 80}
    latent = {"free_cot": right, "asking": np.arange(N) >= 30}
    status = {"asking": np.where(np.arange(N) < 30, "truncated", "ok")}
    rows = made_rows(strict, latent_correct=latent, status=status)
    found = parts(decomposition_table(rows, factorial(), draws=200), "asking")
    assert found[["truncation", "reading", "asking"]].to_numpy() == pytest.approx([30 / N, 50 / N, 0])


def test_a_rerun_of_truncated_items_replaces_the_bound() -> None:
    strict = {"free_cot": np.ones(N), "asking": np.arange(N) >= 30}
    rows = made_rows(strict, status={"asking": np.where(np.arange(N) < 30, "truncated", "ok")})
    rerun = made_rows({"asking_rerun": np.arange(30) < 10})
    table = decomposition_table(pd.concat([rows, rerun]), factorial(), draws=200)
    assert parts(table, "asking")[["truncation", "asking"]].to_numpy() == pytest.approx([10 / N, 20 / N])
    assert set(table.condition) == {"asking"}


def test_what_cannot_be_separated_is_named() -> None:
    verdicts = {
        name: values for name, values in planted({"asking": 40, "masking": 8}).items() if name in ("free_cot", "asking+masking")
    }
    table = decomposition_table(made_rows(verdicts), factorial(), draws=200).set_index("component")
    assert table.value.residual == pytest.approx(48 / N)
    assert table.value[["asking", "masking"]].eq(0).all()
    assert table.note.residual == "asking + masking: not separated without asking, masking"
    assert table.note.asking == "in residual"


def test_one_path_is_taken_and_the_missing_cell_named() -> None:
    verdicts = planted({"asking": 40, "masking": 8})
    some = {name: verdicts[name] for name in ("free_cot", "asking", "asking+masking")}
    table = decomposition_table(made_rows(some), factorial(), draws=200)
    line = table[table.condition == "asking+masking"].set_index("component")
    assert line.value[["asking", "masking"]].to_numpy() == pytest.approx([40 / N, 8 / N])
    assert "missing: masking" in line.note.masking


def test_prose_that_names_the_fields_tells_wording_from_asking() -> None:
    axes = {"free_cot": {}, "prose_fields": {"asked": "prose"}, "json_prompt": {"asked": "json"}}
    verdicts = {"free_cot": np.ones(N), "prose_fields": np.arange(N) >= 10, "json_prompt": np.arange(N) >= 50}
    found = parts(decomposition_table(made_rows(verdicts), axes, draws=100), "json_prompt")
    assert found[["wording", "asking", "residual"]].to_numpy() == pytest.approx([10 / N, 40 / N, 0])
    del verdicts["prose_fields"]
    found = parts(decomposition_table(made_rows(verdicts), axes, draws=100), "json_prompt")
    assert found[["wording", "asking"]].to_numpy() == pytest.approx([0, 50 / N])


OTHERS: dict[str, dict[str, Any]] = {
    "json_mode": {"asked": "json", "enforced": "object"},
    "think_then_json": {"asked": "json", "enforced": "schema", "when": "answer"},
    "nl_to_json": {"asked": "json", "when": "second_pass"},
    "chain_of_draft": {"reasoning": "draft"},
    "restricted_cot_25_hard": {"reasoning": "budget", "words": 25, "budget": "hard"},
    "yaml_prompt": {"asked": "yaml"},
    "free_cot_3_shot": {"shots": 3},
    "json_schema_hidden": {"asked": "json", "enforced": "schema", "schema_shown": False},
    "from_elsewhere": {"asked": "toml", "temperature_note": "hot"},
}


SINGLE = {
    **{"json_mode": "masking", "nl_to_json": "asking", "yaml_prompt": "asking", "free_cot_3_shot": "wording"},
    **{"chain_of_draft": "length", "restricted_cot_25_hard": "length"},
}


@pytest.mark.parametrize("name", OTHERS)
def test_every_condition_has_its_place(name: str) -> None:
    """Alone beside the reference: what one axis makes is named, what several make is residual and says what is missing."""
    axes = {"free_cot": {}, "json_prompt": {"asked": "json"}, **OTHERS}
    rows = made_rows({other: coins(i, 60, p=0.9 - 0.2 * i) for i, other in enumerate(["free_cot", "json_prompt", name])})
    table = decomposition_table(rows, axes, draws=100)
    found, notes = parts(table, name), table[table.condition == name].set_index("component").note
    assert found.drop("total").sum() == pytest.approx(found.total, abs=1e-12)
    single = SINGLE.get(name, "residual")
    assert found[single] != 0
    if single == "residual":
        assert "not separated without" in notes.residual


def test_a_format_for_the_answer_alone_is_not_compared_through_one_for_the_whole() -> None:
    axes = {"free_cot": {}, "json_prompt": {"asked": "json"}, "think_then_json": OTHERS["think_then_json"]}
    rows = made_rows({other: coins(i, 60, p=0.9 - 0.2 * i) for i, other in enumerate(axes)})
    table = decomposition_table(rows, axes, draws=100)
    notes = table[table.condition == "think_then_json"].set_index("component").note
    assert "asked=json enforced=no when=answer" in notes.residual


def test_the_same_settings_under_another_name_are_residual() -> None:
    rows = made_rows({"free_cot": coins(1, 50), "again": coins(2, 50)})
    found = parts(decomposition_table(rows, {"free_cot": {}, "again": {}}, draws=100), "again")
    assert found.residual == found.total != 0


def test_without_axes_nothing_can_be_said() -> None:
    with pytest.raises(UserError, match="no condition with known axes shares an item with free_cot"):
        decomposition_table(made_rows({"free_cot": coins(1, 9), "mine": coins(2, 9)}), {"free_cot": {}})
