"""The README's tables are those of conf/."""

import re

from experiments.catalogue import BLOCK, README, TABLES, described, renewed
from tests.conftest import options


def test_the_readme_is_up_to_date() -> None:
    page = README.read_text(encoding="utf-8")
    assert {block[2] for block in BLOCK.finditer(page)} == set(TABLES)
    assert renewed(page) == page, "run python -m experiments.catalogue"


def test_every_condition_says_what_it_is_and_the_presets_of_papers_cite_them() -> None:
    said = list(described("condition"))
    assert sorted(name for name, *_ in said) == options("condition")
    assert all(text.endswith((".", ":")) and "  " not in text for _, _, text, _ in said)
    sources = {name: source for name, _, _, source in said if source}
    assert len(sources) >= 20
    assert all(re.search(r"arXiv \d{4}\.\d{4,5}|dottxt|Castillo", source) for source in sources.values()), sources


def test_every_condition_is_in_the_experiment_that_runs_them_all() -> None:
    from tests.conftest import composed

    assert list(composed("experiment=every_condition").condition) == options("condition")
