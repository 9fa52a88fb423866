"""The tables of the studies of published replies: planted shares, groups, agreements and effects; and the committed pages."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from fmtbench.analysis.rows.frame import load_rows
from fmtbench.analysis.tables.agreement import agreement_table
from fmtbench.analysis.tables.breaches import breaches_table
from fmtbench.analysis.tables.effects import effects_table
from fmtbench.analysis.tables.families import class_of, families_table, family_of, size_of
from fmtbench.errors import UserError
from tests.conftest import ROOT
from tests.made_rows import coins, made_rows

PUBLISHED = ROOT / "paper" / "published"
STUDIES = ("json_asked", "concise", "key_order")


def test_breaches_sum_to_one_and_are_what_was_planted() -> None:
    forgave = ["", "", "fence", "prose", "control", "prose+control", "escapes", "prose+escapes", None, "fence"]
    rows = made_rows({"c": np.ones(10)}, ladder_forgave=forgave)
    line = breaches_table(rows).set_index("backbone").loc["all"]
    found = line[["bare", "fence", "prose", "control", "prose_control", "escapes", "none"]].astype(float)
    assert found.tolist() == [0.2, 0.2, 0.1, 0.1, 0.1, 0.2, 0.1]
    with pytest.raises(UserError, match="read by the ladder"):
        breaches_table(made_rows({"c": [1]}))


SIZES = {
    "Meta-Llama-3-8B-Instruct": 8,
    "Mixtral-8x7B-Instruct-v0.1": 56,
    "qwen2_5_coder_0_5b": 0.5,
    "smollm2_135m": 0.135,
    "gpt-4": None,
}


@pytest.mark.parametrize(("name", "size"), SIZES.items())
def test_a_size_is_what_the_name_says(name: str, size: float | None) -> None:
    assert size_of(name) == size


def test_classes_and_families() -> None:
    assert [class_of(name) for name in SIZES] == ["up to 10B", "10B to 100B", "up to 10B", "up to 10B", "not published"]
    assert [family_of(name, {"GPT": "^gpt", "Llama": "llama"}) for name in SIZES] == ["Llama", "other", "other", "other", "GPT"]


def test_a_group_is_the_mean_of_its_models_and_not_of_their_replies() -> None:
    one = made_rows({"c": np.ones(30)}, backbone="a-7B", ladder_step="bare", ladder_correct=True)
    two = made_rows({"c": np.zeros(10)}, backbone="b-8B", ladder_step="bare", ladder_correct=False)
    table = families_table(pd.concat([one, two], ignore_index=True), {"A": "^a"}).set_index("group")
    assert table.latent.to_dict() == {"A": 1.0, "other": 0.0, "up to 10B": 0.5}


def test_agreement_counts_who_is_right_alone(tmp_path: Path) -> None:
    rows = made_rows({"c": [1, 1, 1, 0]}, published_rule=[True, False, True, True])
    (tmp_path / "p.csv").write_text("backbone,accuracy\nb,0.5\n")
    (line,) = agreement_table(rows, str(tmp_path / "p.csv")).itertuples()
    assert (line.latent, line.rule, line.published, line.difference) == (0.75, 0.75, 0.5, 0.25)
    assert (line.only_latent, line.only_rule) == (1, 1)
    (tmp_path / "p.csv").write_text("backbone,accuracy\nx,0.5\n")
    with pytest.raises(UserError, match="names none of these backbones"):
        agreement_table(rows, str(tmp_path / "p.csv"))


def test_an_effect_is_the_mean_over_items_of_all_its_tasks() -> None:
    one = made_rows({"free": np.ones(30), "c": np.zeros(30)}, task="one")
    two = made_rows({"free": np.ones(10), "c": np.ones(10)}, task="two")
    rows = pd.concat([one, two], ignore_index=True)
    named = {"effect": "length", "condition": "c", "reference": "free"}
    (line,) = effects_table(rows, [named | {"tasks": ["one", "two"], "pooled": "both"}], draws=500).itertuples()
    assert (line.n, line.difference, line.task, line.equivalent) == (40, -0.75, "both", False)
    assert effects_table(rows, [named], draws=500).difference.tolist() == [-1.0, 0.0]
    with pytest.raises(UserError, match="no backbone has both"):
        effects_table(rows, [named | {"condition": "absent"}])


def test_reading_is_a_difference_of_two_readings_of_one_reply() -> None:
    rows = made_rows({"c": np.zeros(20)}, latent_correct=True)
    effect = {"effect": "reading", "condition": "c", "reading": "strict", "reference_reading": "latent"}
    (line,) = effects_table(rows, [effect], draws=500).itertuples()
    assert (line.difference, line.reading) == (-1.0, "strict-latent")


def test_the_null_of_an_effect_holds_zero() -> None:
    outside = 0
    for seed in range(100):
        rows = made_rows({"free": coins(seed, 60), "c": coins(1000 + seed, 60)})
        (line,) = effects_table(rows, [{"effect": "x", "condition": "c", "reference": "free"}], draws=300).itertuples()
        outside += not line.difference_low <= 0 <= line.difference_high
    assert outside <= 12


# -- what is committed


@pytest.mark.parametrize("study", STUDIES)
def test_a_pack_has_its_licence_no_question_and_no_machine(study: str) -> None:
    folder = PUBLISHED / study
    assert (folder / "LICENSE").is_file()
    rows = load_rows(folder / "data")
    assert set(rows.question) == {""}
    assert {"realised_order", "latent_start", "latent_end", "ladder_step"} <= set(rows.columns)
    for cell in pq.read_table(folder / "data" / "cells.parquet").to_pylist():
        assert not re.search(r'"/', cell["config"] + cell["manifest"])
    if study == "concise":
        assert set(rows.text) == {""}, "replies to exams repeat their questions"


def test_what_is_committed_is_small() -> None:
    assert sum(path.stat().st_size for path in PUBLISHED.rglob("*") if path.is_file()) < 8_000_000


def test_published_accuracies_are_found_again_or_the_difference_is_explained() -> None:
    """Within half a point, or the authors' own rule explains it, which gives what they published: it reads the first number of a
    calculation, and the first of two objects."""
    table = pd.read_csv(PUBLISHED / "json_asked" / "agreement.csv")
    assert len(table) == 36
    assert table.published.notna().all()
    left = (table.rule - table.published).abs()
    assert left.max() < 0.003
    assert (left < 0.001).sum() == 35
    off = table[table.difference.abs() > 0.005]
    assert set(off.backbone) == {"Yi-1.5-34B-Chat", "Yi-1.5-9B-Chat", "yi-large", "gemma-2-2b-it"}
    assert (off.only_latent >= 5 * off.only_rule).all()


def test_the_drift_of_primes_is_the_published_one() -> None:
    rows = load_rows(PUBLISHED / "key_order" / "data")
    right = rows.groupby(["backbone", "condition"]).latent_correct.mean()
    assert (round(right["gpt-4", "march"], 3), round(right["gpt-4", "june"], 3)) == (0.84, 0.511)


NAMED = re.compile(r"\[(?P<table>[a-z_]+)(?::[^\]]*)?\]")


@pytest.mark.parametrize("study", STUDIES)
def test_every_finding_points_at_a_table_that_is_there(study: str) -> None:
    page = (PUBLISHED / f"{study}.md").read_text(encoding="utf-8")
    findings = page.partition("## Findings")[2].partition("\n## ")[0]
    items = [one for one in re.split(r"\n(?=\d+\. )", findings) if re.match(r"\d+\. ", one)]
    assert len(items) >= 4
    tables = {path.stem for path in PUBLISHED.rglob("*.csv")}
    for one in items:
        named = {match["table"] for match in NAMED.finditer(one)}
        assert named, one
        assert named <= tables, one


FIRST_READING = "-17.7 [-21.4, -13.9] and -2.9 [-5.1, -0.8]"
"""By other means, before the tables."""
INTERVAL = re.compile(r"[-+]?\d+\.\d \[[-+]?\d+\.\d, [-+]?\d+\.\d\]")


@pytest.mark.parametrize("study", STUDIES)
def test_every_interval_of_a_page_is_in_a_table(study: str) -> None:
    """Tables are made anew, and pages are not: a page must say what the tables say now."""
    page = (PUBLISHED / f"{study}.md").read_text(encoding="utf-8").partition("## Appendix")[0]
    page = page.replace(FIRST_READING, "")
    said = [match[0].replace("+", "") for match in INTERVAL.finditer(" ".join(page.split()))]
    tables = [*(PUBLISHED / study).rglob("*.md"), *(PUBLISHED / "together").rglob("*.md")]
    there = "\n".join(path.read_text(encoding="utf-8") for path in tables).replace("+", "")
    assert not [one for one in said if one not in there]


def test_the_published_votes_are_those_of_the_authors_rule() -> None:
    """As far as ties, and questions that the logs lack, leave it open."""
    votes = pd.read_csv(PUBLISHED / "concise" / "votes.csv")
    assert len(votes) == 64
    assert ((votes.rule_low - 1e-6 <= votes.published) & (votes.published <= votes.rule_high + 1e-6)).all()
    assert (votes.rule_high - votes.rule_low).median() < 0.05
