"""Tasks from files through mteb's own evaluators, with rows of our own; a small embedder that remembers what it was asked."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from experiments.starting.build import build_group
from fmtbench.embed.embedder import EmbedBackend, Embedder, Encoded
from fmtbench.embed.evaluation import evaluate
from fmtbench.embed.lexical import BM25, TfIdf
from fmtbench.embed.scores import read_scores, table
from fmtbench.embed.spec import EncoderSpec
from fmtbench.embed.templates import Template
from fmtbench.errors import UserError
from tests.conftest import composed

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")

CITIES = ["Lima", "Oslo", "Cairo", "Quito", "Hanoi", "Dakar", "Minsk", "Sofia", "Tunis", "Accra", "Doha", "Baku"]
PAIRS = [
    ("a red house on a hill", "a red house on the hill", 5.0),
    ("a dog sleeps in the sun", "the dog is sleeping in the sun", 4.0),
    ("two men play chess", "two men are playing cards", 2.0),
    ('he said "no" to it', "rain is expected tomorrow", 0.5),
    ("the train is late", "bananas are yellow", 0.0),
]


def write(root: Path, file: str, text: str) -> None:
    path = root / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())


def jsonl(rows: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Rows of our own in each set's format and place."""
    tabbed = "".join(f"g\tf\ty\t{i}\t{score}\t{one}\t{other}\n" for i, (one, other, score) in enumerate(PAIRS))
    write(tmp_path, "korsts/sts-dev.tsv", f"genre\tfilename\tyear\tid\tscore\tsentence1\tsentence2\n{tabbed}")
    quoted = "".join('"{}","{}",{}\n'.format(a.replace('"', '""'), b, score) for a, b, score in PAIRS)
    write(tmp_path, "stsb_en/stsb-en-dev.csv", quoted)
    klue = [{"sentence1": a, "sentence2": b, "labels": {"real-label": score}} for a, b, score in PAIRS]
    write(tmp_path, "klue/klue-sts-v1.1_dev.json", json.dumps(klue))
    corpus = [{"_id": f"d{i}", "title": f"About {city}", "text": f"{city} is a city."} for i, city in enumerate(CITIES)]
    write(tmp_path, "scifact/corpus.jsonl.gz", jsonl(corpus))
    queries = [{"_id": f"q{i}", "text": f"What is {city}?"} for i, city in enumerate(CITIES)]
    write(tmp_path, "scifact/queries.train.jsonl", jsonl(queries))
    judged = "".join(f"q{i}\td{i}\t1\n" for i in range(len(CITIES)))
    write(tmp_path, "scifact/qrels/train.tsv", f"query-id\tcorpus-id\tscore\n{judged}")
    articles = [
        {"paragraphs": [{"context": f"{city} is a city.", "qas": [{"id": f"k{i}", "question": f"What is {city}?"}]}]}
        for i, city in enumerate(CITIES)
    ]
    write(tmp_path, "korquad/KorQuAD_v1.0_dev.json.gz", json.dumps({"data": articles}))
    labelled = "".join(f"my card {i} is lost,lost\nthe rate {i} is wrong,rate\n" for i in range(10))
    write(tmp_path, "banking77/train.csv.gz", f"text,category\n{labelled}")
    write(
        tmp_path, "banking77/test.csv", "text,category\na lost card,lost\na card I lost,lost\na wrong rate,rate\nbad rate,rate\n"
    )
    return tmp_path


LOCAL = ["stsb", "korsts", "klue_sts", "scifact", "korquad", "banking77"]


def made(data: Path, *names: str, limit: int | None = None) -> dict[str, Any]:
    config = composed(f"embed_task=[{','.join(names)}]", f"data_root={data}", "output=x", root="embed")
    return {
        name: made for option, task in build_group(config.embed_task).items() for name, made in task.tasks(option, limit).items()
    }


class Remembering(Embedder):
    """Counts of letters as vectors; remembers texts, roles and instructions."""

    def __init__(self) -> None:
        self.spec = EncoderSpec(template=Template(query="Instruct: {instruction}\nQuery: {text}", document="{text}"))
        self.asked: list[tuple[str, str, str]] = []

    def encode(self, texts: Sequence[str], role: Any = "query", instruction: str = "") -> Encoded:
        self.asked += [(text, role, self.spec.template.render(text, role, instruction).text) for text in texts]
        counts = np.array([[text.lower().count(chr(97 + i)) for i in range(26)] for text in texts], np.float32)
        return Encoded(counts / np.linalg.norm(counts, axis=1, keepdims=True), 3 * len(texts), 0)

    def vectors(self, tokens: Any) -> Any:
        raise AssertionError("not used")

    def facts(self) -> dict[str, Any]:
        return {}

    def close(self) -> None:
        pass


class Given(EmbedBackend):
    """Opens what it was given."""

    score_key = "Given"

    def __init__(self, embedder: Embedder) -> None:
        self.embedder, self.opened = embedder, 0

    def open(self, encoder: Any) -> Embedder:
        self.opened += 1
        return self.embedder


ENCODER = SimpleNamespace(identity=lambda: "letters", published=lambda: None)


def test_every_local_task_and_every_baseline_in_one_table(data: Path, tmp_path: Path) -> None:
    embedders = {"letters": ENCODER, "tfidf": TfIdf(analyzer="char", ngram_range=(2, 4)), "bm25": BM25()}
    scores = evaluate(embedders, made(data, *LOCAL), Given(Remembering()), tmp_path / "scores.jsonl")
    found = {(score.embedder, score.task): score.score for score in scores}
    assert set(found) == {(embedder, task) for embedder in embedders for task in LOCAL}
    assert found["tfidf", "korsts"] == found["tfidf", "klue_sts"] == found["tfidf", "stsb"] > 0.8, "one content, three formats"
    assert found["bm25", "scifact"] == found["bm25", "korquad"] == found["tfidf", "scifact"] == found["letters", "scifact"] == 1
    assert found["tfidf", "banking77"] == 1
    assert found["bm25", "stsb"] is found["bm25", "banking77"] is None
    lines = table(scores)
    assert [line["embedder"] for line in lines] == list(embedders)
    assert lines[2]["scifact (nDCG@10)"] == "100.0"
    assert lines[2]["stsb (Spearman)"] == lines[2]["banking77 (accuracy)"] == ""


def test_the_instruction_is_on_both_sides_of_symmetric_tasks_else_on_queries_only(data: Path, tmp_path: Path) -> None:
    for name, documents in (("stsb", 0), ("banking77", 0), ("scifact", len(CITIES))):
        embedder = Remembering()
        evaluate({"x": ENCODER}, made(data, name), Given(embedder), tmp_path / f"{name}.jsonl")
        roles = [role for _, role, _ in embedder.asked]
        assert roles.count("document") == documents
        assert {shown.startswith("Instruct: ") for _, role, shown in embedder.asked if role == "query"} == {True}
        assert all(shown == text for text, role, shown in embedder.asked if role == "document")
    assert ("About Lima Lima is a city.", "document", "About Lima Lima is a city.") in embedder.asked, "title and text"


def test_what_the_journal_holds_is_not_run_again(data: Path, tmp_path: Path) -> None:
    journal, backend = tmp_path / "scores.jsonl", Given(Remembering())
    first = evaluate({"x": ENCODER}, made(data, "stsb"), backend, journal)
    with open(journal, "a") as lines:
        lines.write('{"key": "cut off by a kill')
    assert evaluate({"x": ENCODER}, made(data, "stsb"), backend, journal) == first
    assert backend.opened == 1
    assert len(evaluate({"x": ENCODER}, made(data, "stsb", "korsts"), backend, journal)) == 2
    assert backend.opened == 2
    assert len(read_scores(journal)) == 2
    write(data, "stsb_en/stsb-en-dev.csv", (data / "stsb_en/stsb-en-dev.csv").read_text().replace("hill", "mountain"))
    assert evaluate({"x": ENCODER}, made(data, "stsb"), backend, journal)[0].key != first[0].key, "other data, another score"
    journal.write_text("{\n")
    with pytest.raises(UserError, match="is damaged"):
        read_scores(journal)


def test_a_limit_takes_the_first_queries_with_ten_documents_each_and_spaces_classes_out(data: Path) -> None:
    (task,) = made(data, "scifact", limit=1).values()
    found = task.dataset["default"]["test"]
    assert (len(found["queries"]), len(found["corpus"]), found["relevant_docs"]) == (1, 10, {"q0": {"d0": 1}})
    (task,) = made(data, "banking77", limit=2).values()
    assert sorted(task.dataset["test"]["label"]) == [0, 1]
    (task,) = made(data, "stsb", limit=3).values()
    assert len(task.dataset["test"]) == 3


BROKEN = [
    ("scifact", "scifact/qrels/train.tsv", "query-id\tcorpus-id\tscore\nq0\tnone\t1\n", r"names 1 documents that .* \(none\)"),
    ("scifact", "scifact/qrels/train.tsv", "query-id\tcorpus-id\tscore\nno\td0\t1\n", r"names 1 queries that .* \(no\)"),
    ("scifact", "scifact/qrels/train.tsv", "query-id\tcorpus-id\tscore\nq0\td0\t0\n", r"no query has a relevant document"),
    ("stsb", "stsb_en/stsb-en-dev.csv", "a,b,much\n", r"row 0, field 'score': must be a number from 0 to 5, got 'much'"),
    ("stsb", "stsb_en/stsb-en-dev.csv", "a,b,7\n", r"must lie from 0 to 5, got 7"),
    ("stsb", "stsb_en/stsb-en-dev.csv", "a,,3\n", r"field 'sentence2' must be a text"),
    ("stsb", "stsb_en/stsb-en-dev.csv", "a,3\n", r"2 columns, expected 3"),
    ("korsts", "korsts/sts-dev.tsv", "score\tsentence1\n1\ta\n", r"field 'sentence2' must be a text"),
    ("banking77", "banking77/test.csv", "text,category\nx,unheard\n", r"labels that .* does not have: unheard"),
    ("korquad", "korquad/KorQuAD_v1.0_dev.json.gz", '{"data": [{"title": "x"}]}', r"no row has paragraphs"),
]


@pytest.mark.parametrize(("name", "file", "text", "message"), BROKEN, ids=[case[3][:30] for case in BROKEN])
def test_a_mistake_in_the_data_names_its_place(data: Path, name: str, file: str, text: str, message: str) -> None:
    write(data, file, text)
    with pytest.raises(UserError, match=message):
        made(data, name)


def test_a_task_of_mteb_itself_is_judged_through_the_same_protocol(tmp_path: Path) -> None:
    """mteb's own mock tasks, which need no network: other kinds than the local ones."""
    from mteb.mocks.mock_tasks.clustering import MockClusteringTask
    from mteb.mocks.mock_tasks.pair_classification import MockPairClassificationTask
    from mteb.mocks.mock_tasks.reranking import MockRerankingTask

    for make in (MockClusteringTask, MockPairClassificationTask, MockRerankingTask):
        task = make()
        task.load_data()
        (score,) = evaluate({"x": ENCODER}, {make.__name__: task}, Given(Remembering()), tmp_path / "scores.jsonl")
        assert score.score is not None
        assert 0 <= score.score <= 1
        assert score.metric == task.metadata.main_score
