"""Systems of an experiment: trained, judged and compared; and the table of what a part adds, on planted scores."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hydra import initialize_config_dir

from experiments.embedding.systems import check_systems, composed_of
from experiments.reporting.systems_table import Judged, pairs_table, shown, shown_pairs, systems_table
from experiments.starting.build import build, build_group
from experiments.starting.conf import options_of
from fmtbench.embed.scores import Score
from fmtbench.errors import UserError
from fmtbench.presets import CONF
from tests.commanding import command
from tests.conftest import composed
from tests.tiny_backbone import sentences, write_backbone


def judged(row: str, seed: int, ndcg: Any, task: str = "scifact") -> Judged:
    queries = pd.DataFrame({"nDCG@10": ndcg, "recall@100": 1.0}, index=[f"q{i}" for i in range(len(ndcg))])
    score = Score(
        key="",
        embedder=row,
        task=task,
        metric="ndcg_at_10",
        score=float(np.mean(ndcg)),
        seconds=3.0,
        texts=2000,
        document_bytes=1536,
    )
    return Judged(row=row, seed=seed, score=score, queries=queries)


def test_what_a_part_adds_is_found_and_nothing_is_nothing() -> None:
    """Planted: 0.1 for every query with a noise of the seed, beside a copy of the same row."""
    rng = np.random.default_rng(0)
    hard = rng.uniform(0.2, 0.8, 200)
    plain = [judged("plain", seed, hard + rng.normal(0, 0.02, 200)) for seed in range(3)]
    better = [judged("better", one.seed, one.queries["nDCG@10"].to_numpy() + 0.08 + 0.02 * one.seed) for one in plain]  # type: ignore[index]
    same = [judged("same", one.seed, one.queries["nDCG@10"].to_numpy()) for one in plain]  # type: ignore[index]
    other = [judged("other", seed, hard + rng.normal(0, 0.1, 200)) for seed in range(3)]
    made = [*plain, *better, *same, *other]
    table = pairs_table(made, {"part": ["better", "plain"], "null": ["same", "plain"], "noise": ["other", "plain"]})
    part, null, noise = table.itertuples()
    assert part.low - 1e-6 <= 10 <= part.high + 1e-6
    assert (part.smallest, part.largest) == pytest.approx((8, 12))
    assert (part.seeds, part.queries) == (3, 200)
    assert (null.difference, null.low, null.high, null.smallest, null.largest) == (0, 0, 0, 0, 0)
    assert noise.low < 0 < noise.high
    assert noise.high - noise.low > 1
    assert shown_pairs(table)["nDCG@10"].tolist()[:2] == ["+10.0", "+0.0"]


def test_the_table_shows_means_with_the_seeds_beside_them() -> None:
    made = [judged("a", 0, np.array([0.5, 0.7])), judged("a", 1, np.array([0.9, 0.7])), judged("b", 0, np.array([0.25, 0.25]))]
    line, other = shown(systems_table(made)).to_dict("records")
    assert (line["scifact nDCG@10"], other["scifact nDCG@10"]) == ("70.0 (60.0 to 80.0)", "25.0")
    assert (line["scifact recall@100"], line["scifact s per 1,000 texts"], line["scifact bytes a document"]) == (
        "100.0",
        "1.5",
        "1,536",
    )
    with pytest.raises(UserError, match="there is no row c with a score on scifact: the rows are a, b"):
        pairs_table(made, {"x": ["a", "c"]})


EXPERIMENT = """\
# @package _global_
defaults:
  - override /embed_task: [scifact, stsb]
study: systems
sizes:
  full: {{limit: null, seeds: [0, 1], steps: 2, examples: 40}}
systems:
  bm25: {{embed: [embedder=bm25]}}
  plain: {{embed: [embedder=mean, {backbone}]}}
  again: {{embed: [embedder=mean, {backbone}]}}
  taught: {{train: [recipe=e5_distilled, train_data=jsonl, 'train_data.jsonl.source.file={root}/t.jsonl', {backbone},
    max_tokens=32, recipe.stages.contrastive.batch_size=8, recipe.stages.cross_encoder.batch_size=4,
    recipe.stages.distill.batch_size=4]}}
  m3: {{train: [recipe=bge_m3, train_data=jsonl, 'train_data.jsonl.source.file={root}/t.jsonl', {backbone}, max_tokens=32,
    recipe.stages.m3.batch_size=8], heads: [dense, sparse, multi], candidates: 5}}
  reranked: {{embed: [embedder=bm25], reranker: taught, candidates: 5}}
pairs:
  training: [taught, plain]
  nothing: [again, plain]
  terms: [m3 dense+sparse, m3 dense]
  reranking: [reranked, bm25]
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny backbone, triples, a search, pairs, and an experiment of the user's own."""
    from tests.test_embed_evaluation import jsonl, write

    root = tmp_path_factory.mktemp("systems")
    write_backbone(root / "tiny")
    rows = sentences()
    write(root, "t.jsonl", jsonl([{"query": a, "positive": b, "negative": c} for a, b, c in rows]))
    write(root, "stsb_en/stsb-en-dev.csv", "\n".join(f"{a},{b},{5 * i / 84:.2f}" for i, (a, b, _) in enumerate(rows[:20])))
    write(root, "scifact/corpus.jsonl.gz", jsonl([{"_id": f"d{i}", "title": "", "text": b} for i, (_, b, _) in enumerate(rows)]))
    write(root, "scifact/queries.train.jsonl", jsonl([{"_id": f"q{i}", "text": a} for i, (a, _, _) in enumerate(rows[:20])]))
    judgements = "".join(f"q{i}\td{i}\t1\n" for i in range(20))
    write(root, "scifact/qrels/train.tsv", f"query-id\tcorpus-id\tscore\n{judgements}")
    backbone = f"backbone=local, backbone.name=tiny, 'backbone.path={root}/tiny', backbone.context=128"
    write(root, "conf/experiment/mine.yaml", EXPERIMENT.format(root=root, backbone=backbone))
    return root


def words(place: Path, output: Path, *more: str) -> list[str]:
    return [f"--config-dir={place / 'conf'}", "experiment=mine", f"data_root={place}", f"output={output}", *more]


def test_systems_are_trained_judged_and_compared_and_the_same_command_trains_nothing(place: Path, tmp_path: Path) -> None:
    done = command("embed", *words(place, tmp_path / "out"))
    assert done.code == 0, done.err
    table = pd.read_csv(tmp_path / "out" / "table.csv").set_index(["row", "task", "metric"])
    rows = ["bm25", "plain", "again", "taught", "m3 dense", "m3 sparse", "m3 multi", "m3 dense+sparse", "m3 all", "reranked"]
    assert list(dict.fromkeys(table.index.get_level_values("row"))) == rows
    assert table.seeds["taught", "scifact", "nDCG@10"] == table.seeds["reranked", "scifact", "nDCG@10"] == 2
    assert table["mean"]["bm25", "scifact", "recall@100"] == 100
    assert table["mean"]["plain", "scifact", "bytes a document"] == 4 * 32
    whole = [table["mean"][f"m3 {row}", "scifact", "bytes a document"] for row in ("all", "dense", "sparse", "multi")]
    assert whole[0] == pytest.approx(sum(whole[1:]))
    from fmtbench.embed.scores import read_scores

    for one in read_scores(tmp_path / "out" / "scores.jsonl"):
        if one.metric == "ndcg_at_10" and one.embedder in ("bm25", "plain") and one.score is not None:
            assert table["mean"][one.embedder, "scifact", "nDCG@10"] == pytest.approx(100 * one.score, abs=1e-3), "mteb's own"
    pairs = pd.read_csv(tmp_path / "out" / "pairs.csv").set_index("what")
    assert pairs.loc["nothing", ["difference", "low", "high"]].tolist() == [0, 0, 0]
    assert pairs.loc["reranking", "queries"] == 20
    before = {path: path.read_bytes() for path in (tmp_path / "out").glob("*.*")}
    again = command("embed", *words(place, tmp_path / "out"))
    assert again.code == 0
    assert "already trained" in again.err
    assert {path: path.read_bytes() for path in (tmp_path / "out").glob("*.*")} == before


MISTAKES = [
    (["size=small"], r"size=small: allowed are full"),
    (["embed_task=[]"], r"study=systems judges on embed_task="),
    (["+systems.x={embed: ['embedder=bm25'], train: []}"], r"systems\.x: give either embed: or train:"),
    (["+systems.x={embed: ['embedder=bm25'], head: dense}"], r"systems\.x\.head: no such setting: allowed are embed, train"),
    (
        ["+systems.x={embed: ['embedder=bm25'], reranker: plain}"],
        r"systems\.x\.reranker=plain: give a system above it that is trained",
    ),
    (["+systems.x={embed: ['embedder=bm52']}"], r"systems\.x: embedder=bm52 is no option"),
    (["+pairs.x=[m3, nothing]"], r"pairs\.x: nothing is no system: give two rows of bm25, "),
    (["study=null"], r"study=systems and its systems: come together"),
]


@pytest.mark.parametrize(("more", "message"), MISTAKES, ids=[case[1][:30] for case in MISTAKES])
def test_a_mistake_ends_in_one_line_before_anything_is_trained(
    place: Path, tmp_path: Path, more: list[str], message: str
) -> None:
    done = command("embed", *words(place, tmp_path / "out", *more))
    assert done.code == 2, done.err
    assert re.search(message, done.error), done.error
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", options_of("embed", "experiment"))
def test_every_experiment_of_systems_composes_and_builds(name: str) -> None:
    config = composed(f"experiment={name}", "data_root=somewhere", "output=x", root="embed")
    with initialize_config_dir(str(CONF), version_base="1.3"):
        check_systems(config)
        made = {str(system): composed_of(config, str(system)) for system in config.systems}
    for one in made.values():
        assert one.data_root == "somewhere"
        assert build(one.recipe, "recipe").stages if "recipe" in one else build_group(one.embedder)
        assert "recipe" not in one or build_group(one.train_data)
