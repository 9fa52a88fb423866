"""mteb's tasks in our table: subsets, candidates, several at once, and mteb's own result files. Its data needs a network, so
the tasks here are classes of mteb's on rows of our own."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from experiments.embedding.parts import write_table
from fmtbench.embed import mteb_tasks
from fmtbench.embed.evaluation import evaluate
from fmtbench.embed.lexical import BM25, TfIdf
from fmtbench.embed.mteb_tasks import Mteb
from fmtbench.errors import UserError
from tests.test_embed_evaluation import ENCODER, PAIRS, Given, Remembering

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


def sts(*subsets: str) -> Any:
    """Two languages: the scores of `eng` follow the shared letters, those of `fra` run the other way."""
    from datasets import Dataset
    from mteb.mocks.mock_tasks.sts import MockMultilingualSTSTask

    task = MockMultilingualSTSTask().filter_languages(list(subsets) or ["eng", "fra"])
    columns = {"sentence1": [one for one, _, _ in PAIRS], "sentence2": [other for _, other, _ in PAIRS]}
    scores = [score for _, _, score in PAIRS]
    made = {"eng": scores, "fra": scores[::-1]}
    task.dataset = {name: {"test": Dataset.from_dict(columns | {"score": made[name]})} for name in task.hf_subsets}
    task.data_loaded = True
    return task


def reranking() -> Any:
    """The document that shares most with the query is no candidate; of the candidates, the right one shares most."""
    from datasets import Dataset
    from mteb.abstasks.retrieval_dataset_loaders import RetrievalSplitData
    from mteb.mocks.mock_tasks.reranking import MockRerankingTask

    texts = {"loud": "red house red house red house", "right": "a red house on a hill", "wrong": "a blue car by a river"}
    task = MockRerankingTask()
    data = RetrievalSplitData(
        corpus=Dataset.from_list([{"id": one, "title": "", "text": text} for one, text in texts.items()]),
        queries=Dataset.from_list([{"id": "q", "text": "red house"}]),
        relevant_docs={"q": {"right": 1}},
        top_ranked={"q": ["wrong", "right"]},
    )
    task.dataset, task.data_loaded = {"default": {"test": data}}, True
    return task


def test_a_language_that_was_not_judged_is_judged(tmp_path: Path) -> None:
    journal = tmp_path / "scores.jsonl"
    found: dict[str, Any] = {}
    for language in ("eng", "fra"):
        (found[language],) = evaluate({"tfidf": TfIdf()}, {"x": sts(language)}, Given(Remembering()), journal)
    assert found["eng"].score > 0.5 > -0.5 > found["fra"].score
    (both,) = evaluate({"tfidf": TfIdf()}, {"x": sts()}, Given(Remembering()), journal)
    assert both.subsets == {"eng": found["eng"].score, "fra": found["fra"].score}
    assert both.score == pytest.approx((found["eng"].score + found["fra"].score) / 2)


@pytest.mark.parametrize("change", ["splits", "prompt", "revision", "version"])
def test_the_key_holds_all_that_makes_a_score(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str) -> None:
    """Run twice with one thing changed in between: both must be in the journal."""
    journal, task = tmp_path / "scores.jsonl", sts()
    evaluate({"x": ENCODER}, {"x": task}, Given(Remembering()), journal)
    if change == "version":
        monkeypatch.setattr("fmtbench.embed.evaluation.version", lambda package: "9.9")
    else:
        made = {name: {"test": one["test"], "dev": one["test"]} for name, one in task.dataset.items()}
        task.dataset = made
        changed: Any = {"splits": {"eval_splits": ["dev"]}, "prompt": {"prompt": "Find it."}}.get(
            change, {"dataset": {"path": "NA", "revision": "two"}}
        )
        task.metadata = task.metadata.model_copy(update=changed)
        task._eval_splits = changed.get("eval_splits")
    evaluate({"x": ENCODER}, {"x": task}, Given(Remembering()), journal)
    assert len(journal.read_text().splitlines()) == 2


@pytest.mark.parametrize("baseline", [TfIdf(), BM25(), TfIdf(analyzer="char", ngram_range=(2, 4))])
def test_baselines_rank_the_candidates_of_a_reranking_task_and_no_others(tmp_path: Path, baseline: Any) -> None:
    """Over the whole corpus the loud document comes first, and the mean average precision is a half."""
    (score,) = evaluate({"x": baseline}, {"x": reranking()}, Given(Remembering()), tmp_path / "scores.jsonl")
    assert score.score == 1.0
    whole = reranking()
    whole.dataset["default"]["test"]["top_ranked"] = None
    (score,) = evaluate({"x": baseline}, {"x": whole}, Given(Remembering()), tmp_path / "whole.jsonl")
    assert score.score == 0.5


def test_a_candidate_that_is_no_document_is_a_mistake(tmp_path: Path) -> None:
    task = reranking()
    task.dataset["default"]["test"]["top_ranked"] = {"q": ["right", "nowhere"]}
    with pytest.raises(UserError, match=r"query q: 1 of its candidates are no documents of the corpus \(nowhere\)"):
        evaluate({"x": BM25()}, {"x": task}, Given(Remembering()), tmp_path / "scores.jsonl")


def test_tfidf_is_fitted_for_each_subset(tmp_path: Path) -> None:
    """Every subset has the score that it has alone; classification and similarity both."""
    from datasets import Dataset, DatasetDict
    from mteb.mocks.mock_tasks.classification import MockMultilingualClassificationTask

    task = MockMultilingualClassificationTask()
    rows = {"text": ["my card is lost", "the rate is wrong"] * 8, "label": [0, 1] * 8}
    task.dataset = {name: DatasetDict(train=Dataset.from_dict(rows), test=Dataset.from_dict(rows)) for name in task.hf_subsets}
    task.data_loaded = True
    tasks = {"labels": task, "pairs": sts()}
    labels, pairs = evaluate({"tfidf": TfIdf()}, tasks, Given(Remembering()), tmp_path / "scores.jsonl")
    assert labels.subsets == {"eng": 1.0, "fra": 1.0}
    assert set(pairs.subsets) == {"eng", "fra"}


def test_a_baseline_that_does_not_apply_leaves_its_place_empty(tmp_path: Path) -> None:
    from mteb.mocks.mock_tasks.clustering import MockClusteringTask

    task = MockClusteringTask()
    task.load_data()
    (score,) = evaluate({"tfidf": TfIdf()}, {"x": task}, Given(Remembering()), tmp_path / "scores.jsonl")
    assert score.score is None


def test_each_subset_is_a_line_of_the_long_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scores = evaluate({"tfidf": TfIdf()}, {"STS17": sts(), "Ko": sts("eng")}, Given(Remembering()), tmp_path / "scores.jsonl")
    write_table(scores, tmp_path)
    table = pd.read_csv(tmp_path / "table.csv", keep_default_na=False)
    assert [(row.task, row.subset) for row in table.itertuples()] == [
        ("STS17", ""),
        ("STS17", "eng"),
        ("STS17", "fra"),
        ("Ko", ""),
    ]
    assert float(table.score[1]) == scores[0].subsets["eng"]
    assert "STS17 (Spearman)" in capsys.readouterr().out
    assert list(table.texts) == ["0", "", "", "0"]


# -- mteb's own files


def test_mteb_writes_its_own_results_and_a_second_language_joins_the_first(tmp_path: Path) -> None:
    files = tmp_path / "mteb"
    for language in ("eng", "fra"):
        evaluate({"x": ENCODER}, {"x": sts(language)}, Given(Remembering()), tmp_path / "scores.jsonl", files)
    (path,) = files.glob("results/fmtbench__x/*/MockMultilingualSTSTask.json")
    found = json.loads(path.read_text())
    assert [one["hf_subset"] for one in found["scores"]["test"]] == ["eng", "fra"]
    assert {"pearson", "cosine_spearman", "main_score"} <= set(found["scores"]["test"][0])
    assert json.loads((path.parent / "model_meta.json").read_text())["name"] == "fmtbench/x"


def test_another_encoder_of_a_name_has_other_files(tmp_path: Path) -> None:
    for identity in ("one", "two"):
        encoder = SimpleNamespace(identity=lambda identity=identity: identity, published=lambda: None)
        evaluate({"x": encoder}, {"x": sts()}, Given(Remembering()), tmp_path / "scores.jsonl", tmp_path / "mteb")
    assert len(list(tmp_path.glob("mteb/results/fmtbench__x/*/MockMultilingualSTSTask.json"))) == 2


@pytest.mark.parametrize("hub_id", ["BAAI/bge-m3", "nobody/knows-it"])
def test_files_of_a_model_from_the_hub_carry_its_name_and_revision(tmp_path: Path, hub_id: str) -> None:
    """The second has another template: it must not stand under the model's own name as if it were the model."""
    for identity in ("as published", "other template"):
        encoder = SimpleNamespace(identity=lambda identity=identity: identity, published=lambda: (hub_id, "5617a9f"))
        evaluate({"m3": encoder}, {"x": sts()}, Given(Remembering()), tmp_path / "scores.jsonl", tmp_path / "mteb")
    place = tmp_path / "mteb" / "results" / hub_id.replace("/", "__") / "5617a9f"
    assert (place / "MockMultilingualSTSTask.json").is_file()
    meta = json.loads((place / "model_meta.json").read_text())
    assert (meta["name"], meta["revision"]) == (hub_id, "5617a9f")
    assert [path.parent.parent.name for path in place.rglob("MockMultilingualSTSTask.json")].count("experiments") == 1


# -- which tasks


@pytest.fixture
def unloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The data of these tasks is on the hub."""
    monkeypatch.setattr(mteb_tasks, "_load", lambda task: None)


def test_several_tasks_and_benchmarks_are_columns_of_their_own_names(unloaded: None) -> None:
    assert list(Mteb(name=("KLUE-STS", "Ko-StrategyQA")).tasks("mteb", None)) == ["KLUE-STS", "Ko-StrategyQA"]
    korean = Mteb(benchmark="MTEB(kor, v1)").tasks("mteb", None)
    assert {"KLUE-TC", "KLUE-STS", "MIRACLRetrieval"} <= set(korean)
    assert korean["MIRACLRetrieval"].hf_subsets == ["ko"]
    assert {"CQADupstackGamingRetrieval", "CQADupstackUnixRetrieval"} <= set(
        Mteb(name="CQADupstackRetrieval").tasks("mteb", None)
    )
    assert Mteb(name="STS17", languages=("kor",)).tasks("mteb", None)["STS17"].hf_subsets == ["ko-ko"]


MISTAKES = [
    ({"name": "STSBenchmrk"}, None, r"mteb_task=STSBenchmrk is no task of mteb: near are .*STSBenchmark"),
    ({"name": ("KLUE-STS", "KLUE-ST")}, None, r"mteb_task=KLUE-ST is no task"),
    ({"benchmark": "MTEB(kor, v7)"}, None, r"benchmark=MTEB\(kor, v7\) is no benchmark of mteb: near are .*MTEB\(kor, v1\)"),
    ({}, None, r"needs mteb_task=TASK"),
    ({"name": "STS17", "benchmark": "MTEB(kor, v1)"}, None, r"needs mteb_task=TASK"),
    ({"name": "STS17", "languages": ("jpn",)}, None, r"STS17 has no subset in languages=\['jpn'\]: it has .*kor"),
    ({"benchmark": "MTEB(kor, v1)", "languages": ("kor",)}, None, r"languages= does not apply to benchmark="),
    ({"name": "STSBenchmark"}, 3, r"limit= does not apply"),
]


@pytest.mark.parametrize(("settings", "limit", "message"), MISTAKES, ids=[case[2][:30] for case in MISTAKES])
def test_a_mistake_in_the_choice_names_what_is_near(settings: dict[str, Any], limit: int | None, message: str) -> None:
    with pytest.raises(UserError, match=message):
        Mteb(**settings).tasks("mteb", limit)
