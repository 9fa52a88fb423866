"""What becomes of locked answers that are reconsidered: planted rates come out, and a format that does nothing has no excess."""

from typing import Any

import numpy as np
import pytest

from fmtbench.analysis.tables.lockin import ONE_SAMPLE
from fmtbench.analysis.tables.reconsidered import chains, reconsidered_table
from fmtbench.errors import UserError
from tests.made_rows import coins, made_rows

AXES: dict[str, dict[str, Any]] = {
    "free_cot": {},
    "free_cot_reconsidered": {"when": "reconsider"},
    "json_schema": {"asked": "json", "enforced": "schema"},
    "json_schema_reconsidered": {"asked": "json", "enforced": "schema", "when": "reconsider"},
}
NAMES = list(AXES)


def line(table: Any, condition: str = "json_schema_reconsidered", reading: str = "strict") -> Any:
    (found,) = table[(table.condition == condition) & (table.reading == reading)].itertuples()
    return found


def planted() -> dict[str, Any]:
    """100 items that are solved freely, of which JSON loses 50, and 100 that are not.

    Afterwards 40 of the 50 are right again, 5 of the kept 50 are not any more, and of the free failures 20 are mended.
    """
    solved = np.arange(200) < 100
    return {
        "free_cot": solved,
        "free_cot_reconsidered": np.where(solved, True, np.arange(200) >= 180),
        "json_schema": np.arange(200) < 50,
        "json_schema_reconsidered": np.where(np.arange(200) < 50, np.arange(200) >= 5, (np.arange(200) < 90)),
    }


def test_planted_rates_come_out() -> None:
    found = line(reconsidered_table(made_rows(planted()), AXES, draws=200))
    assert (found.before, found.reference, found.n, found.locked) == ("json_schema", "free_cot", 200, 50)
    assert (found.unlocked, found.corrected, found.spoilt) == pytest.approx((0.8, 0.2, 0.1))
    assert found.self_unlock == pytest.approx(0.6)
    assert 0.4 < found.self_unlock_low < 0.6 < found.self_unlock_high < 0.75
    assert np.isnan([found.floor, found.excess, found.excess_low]).all()
    assert found.note == ONE_SAMPLE


def test_what_was_wrong_freely_too_is_not_locked() -> None:
    """All that JSON and free text both miss is mended afterwards: that unlocks nothing."""
    world = planted()
    before = line(reconsidered_table(made_rows(world), AXES, draws=100))
    world["json_schema_reconsidered"] = world["json_schema_reconsidered"] | (np.arange(200) >= 100)
    after = line(reconsidered_table(made_rows(world), AXES, draws=100))
    assert after.unlocked == before.unlocked == pytest.approx(0.8)
    assert after.self_unlock == before.self_unlock


def test_the_readings_are_apart() -> None:
    """Second replies that are right and do not state it are unlocked by the latent reading alone."""
    world = planted()
    rows = made_rows(world | {"json_schema_reconsidered": np.zeros(200)})
    again = rows.condition == "json_schema_reconsidered"
    rows.loc[again, "latent_correct"] = world["json_schema_reconsidered"]
    table = reconsidered_table(rows, AXES, draws=100)
    assert line(table).unlocked == 0
    assert line(table, reading="latent").unlocked == pytest.approx(0.8)


def draws_of(rate: Any, rng: np.random.Generator, unlock: float = 0.0) -> dict[str, Any]:
    """Every reply is right at the rate of its item, whatever it is asked under; `unlock` adds to what follows JSON."""
    free, ours = rng.random((len(rate), 1, 2)) < rate[:, None, None], rng.random((len(rate), 1, 2)) < rate[:, None, None]
    again, after = (rng.random((len(rate), 1, 2)) for _ in range(2))
    return {
        "free_cot": free,
        "free_cot_reconsidered": again < rate[:, None, None],
        "json_schema": ours,
        "json_schema_reconsidered": after < np.minimum(1, rate[:, None, None] + unlock),
    }


def test_a_format_that_does_nothing_has_self_unlock_by_chance_and_no_excess() -> None:
    """Items differ in how hard they are, and nothing else happens: locked ones are those that may go either way."""
    rng = np.random.default_rng(0)
    found = line(reconsidered_table(made_rows(draws_of(rng.beta(0.7, 0.7, 3000), rng)), AXES, draws=200))
    assert found.self_unlock_low > 0.1, "the difference that the floor is there for"
    assert found.excess_low < 0 < found.excess_high
    assert abs(found.excess) < 0.05


def test_the_interval_of_the_excess_covers_a_planted_one() -> None:
    rng = np.random.default_rng(1)
    held = {0.0: 0, 0.3: 0}
    for planted_excess in held:
        for _ in range(20):
            rate = rng.choice([0.1, 0.5], 150)
            table = reconsidered_table(made_rows(draws_of(rate, rng, planted_excess)), AXES, draws=100)
            found = line(table)
            held[planted_excess] += found.excess_low <= planted_excess <= found.excess_high
    assert min(held.values()) >= 17
    assert found.excess_low > 0


def test_the_control_is_its_own_floor() -> None:
    rng = np.random.default_rng(2)
    table = reconsidered_table(made_rows(draws_of(rng.random(200), rng)), AXES, draws=100)
    control = line(table, "free_cot_reconsidered")
    assert (control.before, control.excess, control.excess_low, control.excess_high) == ("free_cot", 0, 0, 0)
    assert control.unlocked == control.floor == line(table).floor


def test_without_the_control_there_is_no_difference_and_a_note() -> None:
    world = {name: verdicts for name, verdicts in planted().items() if name != "free_cot_reconsidered"}
    found = line(reconsidered_table(made_rows(world), AXES, draws=100))
    assert found.unlocked == pytest.approx(0.8)
    assert np.isnan([found.corrected, found.self_unlock, found.self_unlock_high]).all()
    assert found.note == "self_unlock needs free_cot_reconsidered"


def test_where_nothing_is_locked_nothing_is_unlocked() -> None:
    world = planted() | {"json_schema": planted()["free_cot"]}
    found = line(reconsidered_table(made_rows(world), AXES, draws=100))
    assert found.locked == 0
    assert np.isnan([found.unlocked, found.self_unlock]).all()
    assert found.note.startswith("no reply is locked")


def test_a_condition_is_held_against_the_one_that_it_reconsiders_by_its_levels() -> None:
    axes = AXES | {
        "mine": {"asked": "json", "enforced": "schema", "rationale": "list"},
        "mine_again": {"asked": "json", "enforced": "schema", "rationale": "list", "when": "reconsider"},
        "yaml_again": {"asked": "yaml", "when": "reconsider"},
    }
    found = {(one.condition, one.before, one.control) for one in chains(tuple(sorted(axes)), axes, "free_cot")}
    assert found == {
        ("free_cot_reconsidered", "free_cot", "free_cot_reconsidered"),
        ("json_schema_reconsidered", "json_schema", "free_cot_reconsidered"),
        ("mine_again", "mine", "free_cot_reconsidered"),
    }


def test_what_is_missing_is_said() -> None:
    for left_out in ("json_schema", "free_cot"):
        names = [name for name in NAMES if name not in (left_out, "free_cot_reconsidered")]
        rows = made_rows({name: coins(i, 20) for i, name in enumerate(names)})
        with pytest.raises(UserError, match=r"no reply was reconsidered: run condition=\[free_cot,free_cot_reconsidered,json"):
            reconsidered_table(rows, AXES)
