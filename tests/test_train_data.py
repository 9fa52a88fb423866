"""Training sets: what is a positive, what is a negative, and every mistake in one line."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from experiments.starting.build import build_group
from fmtbench.embed.training.examples import Example, joined
from fmtbench.errors import UserError
from tests.conftest import composed, options


def load(*overrides: str) -> Any:
    config = composed("output=x", *overrides, root="train")
    return joined({name: data.load() for name, data in build_group(config.train_data).items()})


@pytest.mark.parametrize("name", options("train_data"))
def test_every_training_set_builds_under_its_own_name(name: str) -> None:
    overrides = [f"train_data.{name}.source.file=x"] if name in ("jsonl", "synthetic") else []
    assert list(build_group(composed(f"train_data={name}", "output=x", *overrides, root="train").train_data)) == [name]


def test_scored_pairs_are_positives_from_a_score_on(tmp_path: Path) -> None:
    path = tmp_path / "korsts" / "sts-train.tsv.gz"
    path.parent.mkdir()
    lines = ["sentence1\tsentence2\tscore", "a b\tb a\t4.0", "c\td\t3.9", "e\te\t5.0"]
    path.write_bytes(gzip.compress("\n".join(lines).encode()))
    found = load("train_data=korsts", f"data_root={tmp_path}")
    assert [(one.anchor, one.positive, one.symmetric) for one in found.examples] == [("a b", "b a", True)], "a text is no pair"
    assert found.texts == ("a b", "b a", "c", "d", "e")
    with pytest.raises(UserError, match=r"no pair has a score of at least 6\.0: lower least"):
        load("train_data=korsts", f"data_root={tmp_path}", "train_data.korsts.least=6")


@pytest.mark.parametrize("score", ["nan", "inf", "-inf", "much"])
def test_a_score_that_is_no_number_is_named(tmp_path: Path, score: str) -> None:
    (tmp_path / "korsts").mkdir()
    with gzip.open(tmp_path / "korsts" / "sts-train.tsv.gz", "wt") as lines:
        lines.write(f"sentence1\tsentence2\tscore\na\tb\t4.5\nc\td\t{score}\n")
    with pytest.raises(UserError, match=r"row 1: score must be a (finite )?number, got"):
        load("train_data=korsts", f"data_root={tmp_path}")


def test_inference_gives_triples(tmp_path: Path) -> None:
    path = tmp_path / "kornli" / "xnli.dev.ko.tsv"
    path.parent.mkdir()
    rows = [("p", "so", "entailment"), ("p", "not", "contradiction"), ("q", "so", "entailment"), ("p", "may", "neutral")]
    path.write_text("\n".join(map("\t".join, [("sentence1", "sentence2", "gold_label"), *rows])))
    (found,) = load("train_data=kornli", f"data_root={tmp_path}").examples
    assert (found.anchor, found.positive, found.negatives) == ("p", "so", ("not",))
    with pytest.raises(UserError, match=r"no premise has both 'yes' and 'contradiction'; labels there: \['contradiction', 'ent"):
        load("train_data=kornli", f"data_root={tmp_path}", "train_data.kornli.entailment=yes")


def triples(tmp_path: Path, *rows: Any) -> Any:
    path = tmp_path / "t.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return load("train_data=jsonl", f"train_data.jsonl.source.file={path}")


def test_json_lines_of_triples(tmp_path: Path) -> None:
    whole = {"anchor": "a", "positive": "b", "negative": ["c", "d"], "scores": [3, 1.5, -1], "instruction": "Find.", "id": 7}
    (found,) = triples(tmp_path, whole).examples
    assert found == Example(anchor="a", positive="b", negatives=("c", "d"), scores=(3, 1.5, -1), instruction="Find.")
    assert found.other_role == "document"
    (found,) = triples(tmp_path, {"query": "a", "positive": "b", "negative": "c"}).examples
    assert (found.negatives, found.instruction) == (("c",), "Retrieve text that answers the query.")


def test_synthetic_triples_take_their_task_as_instruction(tmp_path: Path) -> None:
    row = {"id": "triple/1", "query": "a", "positive": "b", "negative": "c", "task": "Find it.", "attributes": {}, "key": "4"}
    (tmp_path / "triples.jsonl").write_text(json.dumps(row))
    (found,) = load("train_data=synthetic", f"train_data.synthetic.source.file={tmp_path / 'triples.jsonl'}").examples
    assert found == Example(anchor="a", positive="b", negatives=("c",), instruction="Find it.")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], r"holds no rows"),
        ([{"query": "a"}], r"row 0: needs query \(or anchor\) and positive, has no positive: got \['query'\]"),
        ([{"positive": "a"}], r"has no anchor"),
        ([{"q": "a", "p": "b"}], r"row 0: unknown columns p, q: allowed are .*leave others out by ignore=\[p,q\]"),
        ([{"query": "a", "positive": "b", "negative": "c"}, {"query": "d", "positive": "e"}], r"rows have 0 to 1 negatives"),
        ([{"query": "a", "positive": " "}], r"field 'positive' must be a text"),
        ([{"query": "a", "positive": "b", "negative": [3]}], r"must be a text or a list of texts"),
        ([{"query": "a", "positive": "b", "negative": "c", "scores": [1]}], r"must be 2 finite numbers"),
        ([{"query": "a", "positive": "b", "negative": "c", "scores": [1, float("nan")]}], r"row 0, .*must be 2 finite numbers"),
        ([{"query": "a", "positive": "b", "negative": "c", "scores": [float("inf"), 1]}], r"row 0, .*must be 2 finite numbers"),
    ],
)
def test_mistakes_in_triples(tmp_path: Path, rows: list[Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        triples(tmp_path, *rows)


def test_no_data_is_said_so() -> None:
    with pytest.raises(UserError, match="no training data: choose train_data=NAME"):
        load()


# -- asymmetric sets


def write_scifact(root: Path) -> None:
    (root / "scifact" / "qrels").mkdir(parents=True)
    corpus = [{"_id": str(i), "title": f"Title {i}" if i != 3 else "", "text": f"Abstract {i}."} for i in range(6)]
    with gzip.open(root / "scifact" / "corpus.jsonl.gz", "wt") as lines:
        lines.writelines(json.dumps(row) + "\n" for row in corpus)
    (root / "scifact" / "qrels" / "train.tsv").write_text("query-id\tcorpus-id\tscore\n7\t1\t1\n8\t4\t0\n")


def test_titles_are_queries_and_nothing_that_is_judged_by_is_trained_on(tmp_path: Path) -> None:
    write_scifact(tmp_path)
    found = load("train_data=scifact_titles", f"data_root={tmp_path}").examples
    assert [(one.anchor, one.positive) for one in found] == [(f"Title {i}", f"Abstract {i}.") for i in (0, 2, 5)]
    assert {one.other_role for one in found} == {"document"}


def test_no_article_is_both_trained_on_and_judged_on(tmp_path: Path) -> None:
    (tmp_path / "korquad").mkdir()
    articles = [
        {"title": f"a{i}", "paragraphs": [{"context": f"Context {i}.", "qas": [{"id": f"q{i}", "question": f"Question {i}?"}]}]}
        for i in range(7)
    ]
    with gzip.open(tmp_path / "korquad" / "KorQuAD_v1.0_dev.json.gz", "wt") as file:
        json.dump({"data": articles}, file)
    trained = load("train_data=korquad_questions", f"data_root={tmp_path}").examples
    assert [(one.anchor, one.positive) for one in trained] == [(f"Question {i}?", f"Context {i}.") for i in range(3)]
    assert {one.other_role for one in trained} == {"document"}
    (task,) = build_group(composed("embed_task=korquad", f"data_root={tmp_path}", "output=x", root="embed").embed_task).values()
    data = task.make("korquad", None).dataset["default"]["test"]
    judged = set(data["corpus"]["text"])
    assert judged == {f"Context {i}." for i in range(3, 7)}
    assert not judged & {one.positive for one in trained}
    with gzip.open(tmp_path / "korquad" / "KorQuAD_v1.0_dev.json.gz", "wt") as file:
        json.dump({"data": [{"title": "x", "paragraphs": []}]}, file)
    with pytest.raises(UserError, match="gives no pair to train on"):
        load("train_data=korquad_questions", f"data_root={tmp_path}")
