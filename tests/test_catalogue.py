"""The generated parts of README.md and docs/ are up to date."""

import re
from pathlib import Path

import pytest

from experiments.catalogue import BLOCK, PAGES, PARTS, described, renewed
from tests.conftest import options


def marks(path: Path) -> tuple[pytest.MarkDecorator, ...]:
    """The table of formats counts tokens by the embedded model's tokenizer."""
    return (pytest.mark.model,) if path.name == "formats.md" else ()


@pytest.mark.parametrize("path", [pytest.param(path, marks=marks(path), id=path.name) for path in PAGES])
def test_a_page_is_up_to_date(path: Path) -> None:
    page = path.read_text(encoding="utf-8")
    assert renewed(page) == page, "run python -m experiments.catalogue"


def test_every_generated_part_is_on_a_page() -> None:
    assert {block[2] for path in PAGES for block in BLOCK.finditer(path.read_text(encoding="utf-8"))} == set(PARTS)


def test_every_condition_says_what_it_is_and_the_presets_of_papers_cite_them() -> None:
    said = list(described("condition"))
    assert sorted(name for name, *_ in said) == options("condition")
    assert all(text.endswith((".", ":")) and "  " not in text for _, _, text, _ in said)
    sources = {name: source for name, _, _, source in said if source}
    assert len(sources) >= 20
    assert all(re.search(r"arXiv \d{4}\.\d{4,5}|dottxt|Castillo|OpenAI", source) for source in sources.values()), sources


def test_every_condition_is_in_the_experiment_that_runs_them_all() -> None:
    from tests.conftest import composed

    assert list(composed("experiment=every_condition").condition) == options("condition")
