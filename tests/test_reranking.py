"""Reranking through mteb, by rerankers of which everything is known: an oracle, its reverse, and one that remembers its pairs."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from experiments.embedding.parts import write_table
from fmtbench.embed.candidates import check_candidates, place
from fmtbench.embed.evaluation import evaluate
from fmtbench.embed.lexical import BM25
from fmtbench.embed.pairs import TextPair
from fmtbench.embed.reranking import rerank
from fmtbench.embed.scores import Score, read_scores
from fmtbench.errors import UserError
from tests.commanding import command
from tests.test_embed_evaluation import ENCODER, Given, Remembering, jsonl, made, write
from tests.test_embed_mteb import reranking

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")

WORDS = ["ash", "bay", "cod", "dew", "elm", "fog", "gem", "hay", "ivy", "jet", "kin", "log", "mud", "nut", "oak", "pea", "rye"]
DOCUMENTS = 60
BEST = 20


class Scorer:
    """Scores by a function of the pair; remembers what it was asked."""

    def __init__(self, score: Any) -> None:
        self.score, self.asked, self.closed = score, list[TextPair](), 0

    def scores(self, pairs: Sequence[TextPair]) -> Any:
        self.asked += pairs
        return SimpleNamespace(scores=np.array([self.score(one) for one in pairs], np.float32), tokens=2 * len(pairs), cut=1)

    def close(self) -> None:
        self.closed += 1


class Known:
    """A reranker that is already loaded."""

    def __init__(self, score: Any, name: str = "known") -> None:
        self.name, self.scorer, self.loaded = name, Scorer(score), 0

    def identity(self) -> str:
        return self.name

    def check(self) -> None:
        pass

    def load(self) -> Scorer:
        self.loaded += 1
        return self.scorer


def words(number: int) -> list[str]:
    return [WORDS[number % 17], WORDS[(number * 7 + 3) % 17], WORDS[(number * 3 + 11) % 17]]


@pytest.fixture
def search(tmp_path: Path) -> Any:
    """Queries that share words with many documents; the right document is the one of the same number, in its title."""
    corpus = [{"_id": f"d{i}", "title": f"n{i}", "text": " ".join(words(i) * (1 + i // 6 % 3))} for i in range(DOCUMENTS)]
    queries = [{"_id": f"q{i}", "text": " ".join(words(i)[:2])} for i in range(0, DOCUMENTS, 6)]
    write(tmp_path, "scifact/corpus.jsonl.gz", jsonl(corpus))
    write(tmp_path, "scifact/queries.train.jsonl", jsonl(queries))
    judged = "".join(f"{one['_id']}\td{one['_id'][1:]}\t1\n" for one in queries)
    write(tmp_path, "scifact/qrels/train.tsv", f"query-id\tcorpus-id\tscore\n{judged}")
    return made(tmp_path, "scifact")["scifact"]


def title(document: str) -> str:
    return document.split()[0]


def right(search: Any, pair: TextPair) -> bool:
    texts = dict(zip(search.dataset["default"]["test"]["queries"]["text"], search.dataset["default"]["test"]["queries"]["id"]))
    return title(pair.document) == f"n{texts[pair.query][1:]}"


def run(search: Any, reranker: Any, folder: Path, count: int = BEST, embedder: Any = None) -> tuple[Score, Score]:
    """The first stage and the reranked row."""
    journal, kept, backend = folder / "scores.jsonl", folder / "candidates", Given(Remembering())
    first = evaluate({"first": embedder or BM25()}, {"x": search}, backend, journal, folder / "mteb", kept)
    (again,) = rerank(first, {"x": search}, reranker, count, journal, kept, folder / "mteb")
    return first[0], again


def best(search: Any, count: int) -> dict[str, set[str]]:
    """By BM25's own search, apart from everything that keeps candidates: titles by the text of the query."""
    data, model = search.dataset["default"]["test"], BM25().model(search)
    assert model is not None
    model.index(data["corpus"])
    found = model.search(data["queries"], top_k=count)
    return {text: {f"n{one[1:]}" for one in found[query]} for query, text in zip(data["queries"]["id"], data["queries"]["text"])}


def test_a_reranker_sees_the_candidates_and_no_others(search: Any, tmp_path: Path) -> None:
    reranker = Known(lambda pair: 0.0)
    _, again = run(search, reranker, tmp_path)
    seen: dict[str, list[str]] = {}
    for pair in reranker.scorer.asked:
        seen.setdefault(pair.query, []).append(title(pair.document))
    expected = best(search, BEST)
    assert {query: set(titles) for query, titles in seen.items()} == expected
    assert all(len(titles) == BEST for titles in seen.values())
    assert (again.texts, again.tokens, again.cut) == (BEST * len(expected), 2 * BEST * len(expected), 1)
    assert {one.instruction for one in reranker.scorer.asked} == {search.metadata.prompt}


@pytest.mark.parametrize("embedder", [BM25(), ENCODER])
def test_an_oracle_ranks_perfectly_and_its_reverse_worst(search: Any, tmp_path: Path, embedder: Any) -> None:
    """Whether the first stage is a baseline or an encoder; without the reverse, a row that ignores the scores could pass."""
    first, oracle = run(search, Known(lambda pair: float(right(search, pair))), tmp_path, DOCUMENTS, embedder)
    _, reverse = run(search, Known(lambda pair: -float(right(search, pair)), "reverse"), tmp_path, DOCUMENTS, embedder)
    assert first.score is not None
    assert reverse.score == 0 < first.score < 1 == oracle.score
    assert (oracle.embedder, reverse.embedder) == ("first+known", "first+reverse")


def test_what_is_no_candidate_cannot_come_back(search: Any, tmp_path: Path) -> None:
    """With one candidate an oracle has what the first stage has in its first place."""
    _, again = run(search, Known(lambda pair: float(right(search, pair))), tmp_path, 1)
    data = search.dataset["default"]["test"]
    at_one = [titles == {f"n{query[1:]}"} for titles, query in zip(best(search, 1).values(), data["queries"]["id"])]
    assert again.score == pytest.approx(np.mean(at_one))
    assert 0 < np.mean(at_one) < 1


def test_candidates_that_a_task_brings_stay_the_only_ones(tmp_path: Path) -> None:
    """A reranking task of mteb's: its loud document is no candidate."""
    reranker = Known(lambda pair: float("river" in pair.document))
    first, again = run(reranking(), reranker, tmp_path, 2)
    assert sorted(pair.document for pair in reranker.scorer.asked) == ["a blue car by a river", "a red house on a hill"]
    assert (first.score, again.score) == (1.0, 0.5), "the wrong one is first now"


def test_nothing_is_run_twice(search: Any, tmp_path: Path) -> None:
    """Neither the reranker nor the first stage; another number of candidates is another score of the same first stage."""
    reranker, embedder = Known(lambda pair: float(right(search, pair))), Remembering()
    journal, kept, backend = tmp_path / "scores.jsonl", tmp_path / "candidates", Given(embedder)
    without = evaluate({"x": ENCODER}, {"s": search}, backend, journal)
    assert backend.opened == 1
    first = evaluate({"x": ENCODER}, {"s": search}, backend, journal, None, kept)
    assert backend.opened == 2, "the score was known, what was found was not"
    assert first == without
    rows = [rerank(first, {"s": search}, reranker, count, journal, kept)[0] for count in (20, 20, 5)]
    assert (reranker.loaded, reranker.scorer.closed) == (2, 2)
    assert rows[0] == rows[1] != rows[2]
    evaluate({"x": ENCODER}, {"s": search}, backend, journal, None, kept)
    assert backend.opened == 2
    assert len(read_scores(journal)) == 3
    assert not list(kept.glob("*.part-*"))


def test_a_first_stage_that_fails_leaves_no_candidates(search: Any, tmp_path: Path) -> None:
    class Failing(Remembering):
        def encode(self, texts: Any, role: Any = "query", instruction: str = "") -> Any:
            raise OSError("a socket of the machine")

    with pytest.raises(OSError, match="a socket"):
        evaluate({"x": ENCODER}, {"s": search}, Given(Failing()), tmp_path / "s.jsonl", None, tmp_path / "candidates")
    assert not list((tmp_path / "candidates").iterdir())


def test_the_table_has_the_seconds_of_a_query(search: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of the scoring alone; an STS task in the same table has no reranked score."""
    from tests.test_embed_mteb import sts

    tasks, journal, kept = {"x": search, "pairs": sts()}, tmp_path / "scores.jsonl", tmp_path / "candidates"
    first = evaluate({"letters": ENCODER}, tasks, Given(Remembering()), journal, None, kept)
    again = rerank(first, tasks, Known(lambda pair: 0.0), BEST, journal, kept)
    assert [one.score is None for one in again] == [False, True]
    assert again[0].query_seconds is not None
    assert 0 <= again[0].query_seconds * 10 <= again[0].seconds
    write_table([*first, *again], tmp_path)
    shown = [[one.strip() for one in line.split("|")[1:-1]] for line in capsys.readouterr().out.splitlines()]
    assert shown[0] == ["embedder", "x (nDCG@10)", "pairs (Spearman)", "x (s a query)"]
    assert [line[0] for line in shown[2:]] == ["letters", "letters+known"]
    assert (shown[2][3], shown[3][2]) == ("", "")
    lines = pd.read_csv(tmp_path / "table.csv", keep_default_na=False)
    assert [bool(one) for one in lines[lines.subset == ""].query_seconds] == [False, False, True, False]


def test_candidates_that_do_not_fit_the_corpus_are_a_mistake(search: Any, tmp_path: Path) -> None:
    check_candidates({"x": search}, DOCUMENTS)
    with pytest.raises(UserError, match=rf"candidates={DOCUMENTS + 1} is above the corpus of x, {DOCUMENTS} documents: lower it"):
        check_candidates({"x": search}, DOCUMENTS + 1)
    task = reranking()
    task.dataset["default"]["test"]["top_ranked"] = {"q": ["right", "nowhere"]}
    with pytest.raises(UserError, match=r"x, query q: 1 of its candidates are no documents of the corpus \(nowhere\)"):
        check_candidates({"x": task}, 1)
    first, _ = run(search, Known(lambda pair: 0.0), tmp_path)
    (path,) = place(tmp_path / "candidates", first.key).iterdir()
    found = json.loads(path.read_text())
    found["default"]["test"]["q0"] = {"d999": 1.0}
    path.write_text(json.dumps(found))
    with pytest.raises(UserError, match=r"x, query q0: 1 of its candidates are no documents of the corpus \(d999\)"):
        run(search, Known(lambda pair: 0.0, "other"), tmp_path)


# -- the command


COMMANDS: list[tuple[list[str], str]] = [
    (["reranker=local"], r"no reranker: path and hub_id are not set: give reranker\.path=FOLDER"),
    (
        ["reranker=local", "reranker.path=/no/such"],
        r"reranker /no/such holds no config\.json: give the folder of a cross-encoder",
    ),
    (["reranker=local", "reranker.hub_id=no/such"], r"cannot find no/such at revision main in the local cache or on the hub"),
    (["reranker=qwen3_reranker_0_6b"], r"cannot find Qwen/Qwen3-Reranker-0\.6B at revision 6e9e69830b95"),
    (["reranker=bge"], r"reranker=bge is no option .* bge_reranker_m3"),
    (["reranker=local", "reranker.max_tokens=1"], r"reranker\.max_tokens: .*greater than 1, got 1"),
    (
        ["reranker=qwen3_reranker_0_6b", "reranker.template=words"],
        r"reranker\.template: .*must hold \{query\} and, once, \{document\}",
    ),
    (["reranker=local", "candidates=0"], r"candidates=0: give a number from 1 to 1000"),
    (["reranker=local", "candidates=1001"], r"candidates=1001: give a number from 1 to 1000"),
    (["reranker=local", "embed_task=[]"], r"reranker= orders what embed_task= finds: give embed_task="),
]


@pytest.mark.parametrize(("arguments", "message"), COMMANDS, ids=[case[1][:30] for case in COMMANDS])
def test_a_mistake_ends_in_one_line_before_the_first_stage(
    search: Any, tmp_path: Path, arguments: list[str], message: str
) -> None:
    task = [f"data_root={tmp_path}", "embedder=bm25", "embed_task=[scifact]", f"output={tmp_path / 'out'}"]
    done = command("embed", *task, *arguments)
    assert done.code == 2, done.err
    assert re.search(message, done.error), done.error
    assert not (tmp_path / "out").exists()


# -- hard negatives


def test_mining_takes_no_text_that_a_reranker_scores_above_the_positive() -> None:
    """The nearest text is a positive that nobody marked. The encoder cannot tell, the reranker can."""
    from sentence_transformers.util import dot_score, pairwise_dot_score

    from fmtbench.embed.training.examples import Example
    from fmtbench.embed.training.mine import Mine, mine

    texts = ["p0", "p1", "p2", "p3", "p4", "p5"]
    examples = [Example(anchor=f"a{i}", positive=text, instruction=f"Find {i}.") for i, text in enumerate(texts)]
    places = {name: np.eye(8, dtype=np.float32)[i] for i, name in enumerate(texts)}
    near = places["p0"] + 0.9 * places["p1"] + 0.8 * places["p2"] + 0.1 * places["p3"]
    places |= {f"a{i}": near if i == 0 else places[f"p{i}"] + 0.1 * places[f"p{(i + 1) % 6}"] for i in range(6)}

    def encode(names: Sequence[str], **unused: Any) -> Any:
        return np.stack([places[one] / np.linalg.norm(places[one]) for one in names])

    finder = SimpleNamespace(
        encode_query=encode,
        encode_document=encode,
        similarity=dot_score,
        similarity_pairwise=pairwise_dot_score,
        device="cpu",
    )
    scorer = Scorer(
        lambda pair: {"p0": 2.0, "p1": 2.5, "p2": 1.0}.get(pair.document, -9.0 + 20 * (pair.query[1] == pair.document[1]))
    )
    plain = Mine(negatives=1, relative_margin=None)
    assert {one.anchor: one.negatives for one in mine(finder, examples, plain)}["a0"] == ("p1",)
    found = {one.anchor: one.negatives for one in mine(finder, examples, plain, scorer)}
    assert found["a0"] == ("p2",), "p1 is above the positive, and of the others p2 is the hardest"
    assert {one.instruction for one in scorer.asked if one.query == "a3"} == {"Find 3."}
    assert "reranker" not in plain.settings(), "keys of older stages stay"
    judged = [Mine(negatives=1, reranker=Known(lambda pair: 0.0, name)).settings()["reranker"] for name in ("one", "two")]  # type: ignore[arg-type]
    assert judged == ["one", "two"]


def test_mining_looks_among_all_documents_where_it_is_asked_to() -> None:
    """The nearest to the query is a document of no pair, and one of another training set is next."""
    from sentence_transformers.util import dot_score, pairwise_dot_score

    from fmtbench.embed.training.examples import Example, TrainSet
    from fmtbench.embed.training.mine import Mine, every_document, mine

    near = {"a0": [1, 0, 0], "p0": [1, 0, 0], "alone": [0.9, 0.4, 0], "other": [0.7, 0.7, 0], "p1": [0, 0, 1], "a1": [0, 0, 1]}

    def encode(names: Sequence[str], **unused: Any) -> Any:
        return np.array([near[one] for one in names], np.float32)

    finder = SimpleNamespace(
        encode_query=encode, encode_document=encode, similarity=dot_score, similarity_pairwise=pairwise_dot_score, device="cpu"
    )
    first = [Example(anchor=f"a{i}", positive=f"p{i}", source="first") for i in range(2)]
    data = TrainSet(
        examples=(*first, Example(anchor="x", positive="other", source="second")), texts=(), documents=("alone", "p1")
    )
    assert every_document(data) == ["p0", "p1", "other", "alone"]
    settings = Mine(negatives=1, relative_margin=None, corpus="data")
    assert mine(finder, first, settings)[0].negatives == ("p1",)
    assert mine(finder, first, settings, corpus=every_document(data))[0].negatives == ("alone",)
    assert settings.settings()["corpus"] == "data"
    assert "corpus" not in Mine().settings(), "keys of older stages stay"


def test_a_reranker_needs_a_search(tmp_path: Path) -> None:
    from tests.test_embed_mteb import sts

    with pytest.raises(UserError, match=r"reranker= orders what a search finds, and pairs is none"):
        check_candidates({"pairs": sts()}, 1)


@pytest.mark.model
def test_the_command_adds_a_row(search: Any, tmp_path: Path) -> None:
    """On a twin: as many decimals as the table has, and the same command again runs nothing."""
    from tests.reranker_twins import write_twin

    folder = write_twin(tmp_path / "twin", "bge_reranker_m3")
    words = [
        "embedder=bm25",
        "embed_task=[scifact]",
        "reranker=local",
        f"reranker.path={folder}",
        "reranker.name=mine",
        "candidates=5",
    ]
    for _ in range(2):
        done = command("embed", *words, f"data_root={tmp_path}", f"output={tmp_path / 'out'}")
        assert done.code == 0, done.err
        assert re.search(r"\| bm25 +\| .*\| bm25\+mine +\| +\d+\.\d +\| +\d\.\d{3} +\|", done.out.replace("\n", " ")), done.out
    assert len(read_scores(tmp_path / "out" / "scores.jsonl")) == 2
