"""Somebody else's study as results of our own: parts of rows from fields and paths, arms that pair, contracts, the ladder."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from fmtbench.analysis.tables.ladder import OBJECTS, STEPS, ladder_table
from fmtbench.answers import Number
from fmtbench.errors import UserError
from fmtbench.readers.contract import DemandedMark, DemandedObject
from fmtbench.readers.ladder import STEPS as READERS
from fmtbench.readers.ladder import climb
from fmtbench.running.sources import Sources
from tests.commanding import Done, command

PATTERN = "backbone=path:{backbone}/{condition}/{task}.jsonl"


def write(path: Path, records: Sequence[Mapping[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(record) + "\n" for record in records))


def planted(folder: Path, rights: Mapping[tuple[str, str], int], items: int = 20) -> None:
    """For each backbone and arm so many right replies, by a mark of the study's own."""
    for (backbone, arm), right in rights.items():
        replies = [{"id": f"q{i}", "gold": i, "text": f"... Verdict <<{i if i < right else i + 1}>>"} for i in range(items)]
        write(folder / backbone / arm / "sums.jsonl", replies)


def rescore(folder: Path, *words: str) -> Done:
    return command("rescore", f"transcripts={folder}/logs/**/*.jsonl", "answer=number", f"output={folder / 'out'}", *words)


def rows_of(folder: Path) -> pd.DataFrame:
    return pd.read_parquet(folder / "out" / "rows.parquet")


MARK = r"contract.mark=Verdict <<(?P<answer>\d+)>>"


@pytest.fixture
def study(tmp_path: Path) -> Path:
    planted(tmp_path / "logs", {("big", "free"): 18, ("big", "short"): 9, ("small", "free"): 12, ("small", "short"): 12})
    return tmp_path


def test_arms_of_a_path_pair_and_keep_their_axes(study: Path) -> None:
    axes = ("conditions.short={reasoning: budget, words: 50}", "conditions.free={reasoning: free}")
    done = rescore(study, PATTERN, MARK, *axes)
    assert done.code == 0, done.err
    found = rows_of(study).groupby(["backbone", "task", "condition"]).correct.mean()
    assert found.to_dict() == {
        ("big", "sums", "free"): 0.9,
        ("big", "sums", "short"): 0.45,
        ("small", "sums", "free"): 0.6,
        ("small", "sums", "short"): 0.6,
    }
    made = command(
        "tables",
        f"results={study / 'out'}",
        f"output={study / 't'}",
        "draws=200",
        "reference=free",
        "table=[contrasts,decomposition]",
    )
    assert made.code == 0, made.err
    contrasts = pd.read_csv(study / "t" / "appendix" / "contrasts.csv").set_index("backbone")
    assert contrasts.n.to_dict() == {"big": 20, "small": 20}
    assert contrasts.difference.abs().round(9).to_dict() == {"big": 0.45, "small": 0.0}
    parts = next((study / "t").rglob("decomposition.csv"))
    length = pd.read_csv(parts).query("component == 'length'").set_index("backbone").value
    assert length.abs().round(9).to_dict() == {"big": 0.45, "small": 0.0}, "the arm differs in its budget of words alone"


def test_parts_of_fields_constants_and_samples(tmp_path: Path) -> None:
    records = [
        {"meta": {"model": name}, "q": i, "k": k, "out": f"The answer is {i}.", "want": i}
        for name in ("a", "b")
        for i in range(3)
        for k in range(2)
    ]
    write(tmp_path / "logs" / "one.jsonl", records)
    parts = ("backbone=field:meta.model", "task=sums", "condition=free", "prompt=theirs", "sample=field:k", "item=field:q")
    done = rescore(tmp_path, *parts, "text=field:out", "gold=field:want")
    assert done.code == 0, done.err
    rows = rows_of(tmp_path)
    assert len(rows.drop_duplicates(["backbone", "sample", "item_id"])) == len(rows) == 12
    assert set(rows["prompt"]) == {"theirs"}
    assert rows.correct.all()


def test_without_the_sample_the_first_reply_of_an_item_is_scored_and_the_rest_are_counted(tmp_path: Path) -> None:
    write(tmp_path / "logs" / "one.jsonl", [{"id": "q", "gold": 1, "text": f"The answer is {k}."} for k in (1, 2, 3)])
    done = rescore(tmp_path, "backbone=a", "condition=free")
    assert done.code == 0
    assert "2 rows are not scored" in done.out
    assert "'q' occurs before, in row 1; ids must be unique, or say what tells them apart (task=, prompt=, sample=)" in done.out
    assert rows_of(tmp_path).correct.tolist() == [True]
    assert rescore(tmp_path, "backbone=a", "condition=free", "strict_input=true").code == 2


def test_a_field_that_some_rows_lack_is_counted_and_the_others_are_scored(tmp_path: Path) -> None:
    write(tmp_path / "logs" / "one.jsonl", [{"model": "a", "gold": 1, "text": "1"}, {"gold": 1, "text": "1"}])
    done = rescore(tmp_path, "backbone=field:model")
    assert done.code == 0
    assert "row 2, field 'model': is missing, and backbone is in it" in done.out
    assert len(rows_of(tmp_path)) == 1


MISTAKES = [
    (("transcripts=nowhere/*.jsonl",), "transcripts=nowhere/*.jsonl matches no file"),
    (("backbone=path:{backbone}/{task}.csv",), "does not fit the path"),
    (("backbone=path:{model}.jsonl",), "{model} is no part of a row; allowed are backbone, task"),
    (("backbone=path:{task}.jsonl",), "it must hold {backbone}"),
    (("backbone=field:name",), "field 'name': is missing"),
    ((r"contract.mark=Verdict (\d+)",), "it needs a group of the name answer"),
    (("contract.mark=(?P<answer>",), "is no regular expression"),
    (("contract.mark=Lösung (?P<answer>.)",), "matches in none of 80 replies"),
    (("contract.answer=final",), "without contract.fields"),
    (("contract.fields=[a,b,c]", "contract.answer=b"), "the answer must be the first key or the last"),
    (("conditions.short={reasoning: budget}",), "conditions.short"),
    (("conditions.short={thinking: long}",), "conditions.short.thinking"),
    (("conditions.short=3",), "give its axes"),
]


@pytest.mark.parametrize(("words", "message"), MISTAKES, ids=[" ".join(words) for words, _ in MISTAKES])
def test_a_mistake_is_one_line_and_writes_no_rows(study: Path, words: tuple[str, ...], message: str) -> None:
    done = rescore(study, *([] if words[0].startswith("backbone") else [PATTERN]), *words)
    assert done.code == 2
    assert message in done.error
    assert not (study / "out" / "rows.parquet").exists()


def test_arms_without_a_common_item_are_refused_and_some_of_them_named(tmp_path: Path) -> None:
    for arm, ids in {"free": "ab", "short": "cd"}.items():
        write(tmp_path / "logs" / f"{arm}.jsonl", [{"id": name, "gold": 1, "text": "1"} for name in ids])
    words = ("backbone=m", "condition=path:{condition}.jsonl")
    refused = rescore(tmp_path, *words)
    assert refused.code == 2
    assert "m/number: free and short have no item in common (nor have any other two arms), such as 'a' and 'c'" in refused.error
    write(tmp_path / "logs" / "long.jsonl", [{"id": "a", "gold": 1, "text": "1"}])
    done = rescore(tmp_path, *words)
    assert done.code == 0
    assert "m/number: free and short have no item in common" in done.out


def test_a_mark_that_backtracks_without_end_is_stopped() -> None:
    with pytest.raises(UserError, match="takes longer than 1 s on one reply"):
        DemandedMark(r"(?P<answer>(a+)+)$").read("a" * 60 + "b", Number())


def test_a_demanded_mark_is_the_last_one_and_no_other_keeps_the_contract() -> None:
    mark = DemandedMark(r"\[(?P<answer>\d+)\]")
    assert mark.read("[3], or rather [4].", Number()).answer == "4"
    assert mark.read("[3], or rather [4].", Number()).span == (16, 17)
    assert mark.read("The answer is 4.", Number()).status == "no_mark"


def test_strict_is_what_the_study_asked_for(tmp_path: Path) -> None:
    texts = ['{"thoughts": "t", "final": 1}', '{"final": 1, "thoughts": "t"}', '{"reasoning": "t", "answer": 1}', "[1]"]
    write(tmp_path / "logs" / "one.jsonl", [{"gold": 1, "text": text} for text in texts])
    for words in (
        ["contract.fields=[thoughts,final]"],
        ["conditions.j={asked: json, reasoning_field: thoughts, answer_field: final}"],
    ):
        assert rescore(tmp_path, "condition=j", *words).code == 0
        assert rows_of(tmp_path).correct.tolist() == [True, False, False, False]
    assert DemandedObject(fields=("final", "thoughts"), answer="final").read(texts[1], Number()).status == "ok"


def test_a_path_gives_its_other_parts_unless_they_are_given() -> None:
    sources = Sources(given={"backbone": "path:{backbone}/*/{task}.jsonl", "task": "mine"})
    of_path = sources.of_path(Path("/logs/gpt/x/sums.jsonl.gz"))
    assert of_path == {"backbone": "gpt"}
    assert sources.value("task", {}, of_path) == "mine"


FIVE = r'{"reasoning": "2 + 3", "answer": 5}'
CLIMBED = {
    FIVE: "bare",
    f"```json\n{FIVE}\n```": "unfenced",
    f"``` json\n{FIVE}\n```": "unfenced",
    f"Here it is:\n```json\n{FIVE}\n```\nDone.": "in_prose",
    '{"reasoning": "2\n+ 3", "answer": 5}': "control",
    r'{"reasoning": "\(2 + 3\)", "answer": "5"}': "escapes",
    "The answer is 5.": None,
    '{"reasoning": "2 + 3", "answer": null}': None,
}


@pytest.mark.parametrize(("text", "step"), CLIMBED.items())
def test_a_reply_is_read_at_the_step_that_forgives_what_is_wrong_with_it(text: str, step: str | None) -> None:
    assert climb(text)[:2] == (step, "5" if step else None)


NEEDED = {
    FIVE: "",
    f"```json\n{FIVE}\n```": "fence",
    f"So: {FIVE}": "prose",
    '{"reasoning": "2\n+ 3", "answer": 5}': "control",
    '```json\n{"reasoning": "2\n+ 3", "answer": 5}\n```': "control",
    'So:\n```json\n{"reasoning": "2\n+ 3", "answer": 5}\n```': "prose+control",
    r'{"reasoning": "\(2 + 3\)", "answer": "5"}': "escapes",
    'So: {"reasoning": "\\(2\n+ 3\\)", "answer": "5"}': "prose+control+escapes",
}


@pytest.mark.parametrize(("text", "needed"), NEEDED.items())
def test_what_must_be_forgiven_is_as_little_as_possible(text: str, needed: str) -> None:
    assert "+".join(climb(text).forgiven) == needed


def test_of_several_objects_the_last_with_an_answer_counts() -> None:
    assert climb(f'First {{"answer": 4}}, no: {FIVE}, as in {{"x": 1}}').answer == "5"


def test_the_ladder_shows_what_was_planted(tmp_path: Path) -> None:
    """Three models of 10 right replies each: of the first, 9 need no mercy, of the second 5, of the third none."""
    for name, bare in {"tidy": 9, "mixed": 5, "prose": 0}.items():
        texts = [FIVE] * bare + [f"So: {FIVE}"] * (9 - bare) + ["The answer is 5."] + [FIVE.replace("5", "6")] * 2
        write(tmp_path / "logs" / f"{name}.jsonl", [{"gold": 5, "text": text} for text in texts])
    assert rescore(tmp_path, "backbone=path:{backbone}.jsonl", "condition=json").code == 0
    table = ladder_table(rows_of(tmp_path), draws=200).set_index(["backbone", "step"])
    found = (12 * table.accuracy).round(9)
    assert found["tidy"].tolist() == [9, 9, 9, 9, 9, 10, 10]
    assert found["mixed"].tolist() == [5, 5, 9, 9, 9, 10, 10]
    assert found["prose"].tolist() == [0, 0, 9, 9, 9, 10, 10]
    assert table.forgave["all"].tolist() == [14, 0, 13, 0, 0, 3, 0]
    assert not table.turned.any()
    assert table.rank_before["all", "unfenced"] == pytest.approx(1.0)
    assert np.isnan(table.rank_latent["all", "bare"]), "all are alike for the latent reader, so that no rank is kept or lost"
    assert (table.accuracy_low["tidy"] <= table.accuracy["tidy"]).all()


def test_ranks_that_a_parser_turns_round_correlate_by_minus_one() -> None:
    lines = []
    for backbone, bare, latent in (("a", 3, 7), ("b", 2, 8), ("c", 1, 9)):
        for i in range(10):
            step, right = ("bare", i < bare) if i < bare else (None, False)
            lines.append([backbone, f"q{i}", step, right, i < latent, i < latent])
    names = ["backbone", "item_id", "ladder_step", "ladder_correct", "marked_correct", "latent_correct"]
    rows = pd.DataFrame(lines, columns=names).assign(task="t", condition="c")
    table = ladder_table(rows, draws=200).query("backbone == 'all'").set_index("step")
    assert table.rank_latent["bare"] == pytest.approx(-1.0)
    assert table.rank_latent["marked"] == pytest.approx(1.0)


def test_rows_that_the_ladder_never_read_say_so() -> None:
    with pytest.raises(UserError, match="needs texts that were read by the ladder"):
        ladder_table(pd.DataFrame({"task": ["t"]}))


def test_the_table_has_the_steps_of_the_readers() -> None:
    assert tuple(READERS) == OBJECTS == STEPS[: len(OBJECTS)]


def test_rescored_rows_are_scored_again_by_rescore_alone(study: Path) -> None:
    assert rescore(study, PATTERN).code == 0
    done = command("score", f"results={study / 'out'}")
    assert done.code == 2
    assert "was made of transcripts: run experiments.rescore on these again" in done.error
