"""The cells that a decomposition lacks are named, and running one of them leaves less in its residual."""

from experiments.reporting.presets import condition_presets
from fmtbench.analysis.rows.levels import AXES
from fmtbench.analysis.statistics.separating import Separation, separations

PRESETS = condition_presets()


def of(*names: str) -> list[Separation]:
    return separations({name: PRESETS[name] for name in ("free_cot", *names)}, PRESETS)


def test_either_half_of_a_schema_separates_it() -> None:
    (one,) = of("json_schema")
    assert (one.condition, one.axes, one.cells) == ("json_schema", ("asking", "masking"), ("json_prompt", "json_schema_unasked"))
    for cell in one.cells:
        assert of("json_schema", cell) == []


def test_naming_the_fields_is_separated_from_the_format_by_a_schema_hidden_or_its_fields_in_prose() -> None:
    there = ("json_schema", "json_prompt", "prose_fields", "json_schema_unasked")
    (one,) = of(*there)
    assert one.axes == ("wording", "asking")
    assert one.cells[:2] == ("prose_fields_schema", "json_schema_hidden")
    for cell in one.cells[:2]:
        assert of(*there, cell) == []


def test_every_proposal_of_a_single_cell_helps() -> None:
    for name in PRESETS:
        for one in of(name):
            known = [cell for cell in one.cells if cell in PRESETS]
            for cell in known:
                after = {other.condition: other.axes for other in of(name, cell)}
                assert len(after.get(name, ())) <= len(one.axes)
            assert set(one.axes) <= set(AXES)


def test_no_cell_is_proposed_whose_levels_contradict_each_other() -> None:
    """A list of steps is no free text, so of it only what is asked for or enforced can be run."""
    (one,) = of("json_schema_list")
    assert not [cell for cell in one.cells if "rationale=list" in cell and "asked=text enforced=no" in cell]
    assert {"json_prompt", "json_prompt_list"} & set(one.cells)
