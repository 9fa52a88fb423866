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
    assert found[["wording", "residual", "truncation", "another mark", "reading"]].eq(0).all()


def line(table: pd.DataFrame, condition: str, component: str) -> Any:
    return table[(table.condition == condition) & (table.component == component)].iloc[0]


def test_an_interaction_is_shared_equally_and_said() -> None:
    verdicts = {name: np.ones(N) for name in ("free_cot", "asking", "masking")} | {"asking+masking": np.arange(N) >= 100}
    table = decomposition_table(made_rows(verdicts), factorial(), draws=200)
    for name in ("asking", "masking"):
        found = line(table, "asking+masking", name)
        assert (found.value, found.range_low, found.range_high, found.orders) == pytest.approx((0.125, 0.0, 0.25, 2))
    assert line(table, "asking+masking", "asking x masking").value == pytest.approx(0.25)
    assert line(table, "asking+masking", "asking x masking").low > 0.15


def test_without_an_interaction_all_orders_agree() -> None:
    table = decomposition_table(made_rows(planted({"asking": 40, "masking": 8, "order": 60})), factorial(), draws=200)
    whole = table[table.condition == "asking+masking+order"].set_index("component")
    for name, size in {"asking": 40, "masking": 8, "order": 60}.items():
        assert whole.loc[name, ["range_low", "range_high"]].tolist() == pytest.approx([size / N] * 2)
        assert whole.orders[name] == 6
    assert whole.value[[name for name in whole.index if " x " in name]].abs().max() < 1e-12


def test_a_cell_more_does_not_lose_the_mean_over_orders() -> None:
    """A loss that only JSON with a mask makes; the control in prose adds a longer chain, and masking still has two orders."""
    axes = {
        "free_cot": {},
        "prose_fields": {"asked": "prose"},
        "json_prompt": {"asked": "json"},
        "json_schema_unasked": {"enforced": "schema"},
        "json_schema": {"asked": "json", "enforced": "schema"},
    }
    verdicts = dict.fromkeys(axes, np.ones(N)) | {"json_schema": np.arange(N) >= 100}
    presets = {"json_schema_hidden": {"asked": "json", "enforced": "schema", "schema_shown": False}}
    table = decomposition_table(made_rows(verdicts), axes, draws=100, presets=presets)
    masking = line(table, "json_schema", "masking")
    assert (masking.value, masking.range_low, masking.range_high, masking.orders) == pytest.approx((0.125, 0, 0.25, 2))
    assert line(table, "json_schema", "wording").orders == line(table, "json_schema", "asking").orders == 1
    assert "1 order;" in line(table, "json_schema", "asking").note
    residual = line(table, "json_schema", "residual")
    assert residual.value == pytest.approx(0.125), "wording and asking under the mask, which no cell tells apart"
    assert residual.note.startswith("wording + asking: not separated without")
    assert "json_schema_hidden" in residual.note


def test_every_sample_of_the_reference_counts() -> None:
    free = coins(1, 100, 2, 2)
    rows = made_rows({"free_cot": free, "asking": coins(2, 100, 2)})
    total = line(decomposition_table(rows, factorial(), draws=100), "asking", "total")
    assert total.value == pytest.approx(free.mean() - coins(2, 100, 2).mean(), abs=1e-12)


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
    assert {name for name in wide.columns if " x " not in name} == set(COMPONENTS)
    assert (wide[list(COMPONENTS[:-1])].sum(axis=1) - wide.total).abs().max() < 1e-12
    for condition in wide.index:
        assert wide.total[condition] == pytest.approx(strict["free_cot"].mean() - strict[condition].mean(), abs=1e-12)


def test_truncation_is_a_range_and_reading_is_not() -> None:
    right = np.ones(N)
    strict = {"free_cot": right, "asking": np.arange(N) >= 80}
    latent = {"free_cot": right, "asking": np.arange(N) >= 30}
    status = {"asking": np.where(np.arange(N) < 30, "truncated", "ok")}
    rows = made_rows(strict, latent_correct=latent, status=status)
    table = decomposition_table(rows, factorial(), draws=200)
    assert parts(table, "asking")[["truncation", "reading", "asking"]].to_numpy() == pytest.approx([0, 50 / N, 30 / N])
    found = line(table, "asking", "truncation")
    assert (found.range_low, found.range_high) == pytest.approx((0, 30 / N))


def test_a_box_in_place_of_the_statement_is_another_mark_and_not_reading() -> None:
    right, boxed, announced = np.ones(N, dtype=bool), np.arange(N) >= 100, np.arange(N) >= 20
    rows = made_rows(
        {"free_cot": boxed, "asking": right},
        marked_correct={"free_cot": announced, "asking": right},
        latent_correct={"free_cot": right, "asking": right},
    )
    found = parts(decomposition_table(rows, factorial(), draws=200), "asking")
    assert found[["another mark", "reading", "asking", "total"]].to_numpy() == pytest.approx([-80 / N, -20 / N, 0, -100 / N])


def test_replies_that_were_cut_and_would_have_failed_are_not_called_truncation() -> None:
    """Masking makes 52 items wrong, and all of these replies run on until they are cut."""
    strict = {"free_cot": np.ones(N), "masking": np.arange(N) >= 52}
    cut = np.where(np.arange(N) < 52, "truncated", "ok")
    rows = made_rows(strict, status={"masking": cut})
    assert parts(decomposition_table(rows, factorial(), draws=100), "masking").masking == pytest.approx(0.13)
    rerun = made_rows({"masking_rerun": np.zeros(52)})
    found = decomposition_table(pd.concat([rows, rerun]), factorial(), draws=100)
    truncation = line(found, "masking", "truncation")
    assert (truncation.value, truncation.range_low, truncation.range_high) == (0, 0, 0)
    assert parts(found, "masking").masking == pytest.approx(0.13)


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
    whole = table[table.condition == "asking+masking"].set_index("component")
    assert whole.value[["asking", "masking"]].to_numpy() == pytest.approx([40 / N, 8 / N])
    assert whole.note.masking == "1 order; missing: masking"


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
