"""BGE-M3: three heads from one forward pass against loops over transformers' hidden states, and search by each of them."""

from __future__ import annotations

import dataclasses
import json
import pickle
import re
import shutil
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array

from fmtbench.backbone import Backbone
from fmtbench.embed import hub
from fmtbench.embed.encoder import Encoder
from fmtbench.embed.evaluation import evaluate
from fmtbench.embed.head_rows import ROWS, head_rows
from fmtbench.embed.lexical import BM25
from fmtbench.embed.m3 import FILES, fresh_heads, read_heads, write_heads
from fmtbench.embed.representations import Represented, represent
from fmtbench.embed.saved import SavedEncoder
from fmtbench.embed.search import Corpus, candidates, fused, max_sim
from fmtbench.embed.st import STEmbedBackend, STEmbedder
from fmtbench.errors import UserError
from tests.commanding import command
from tests.test_embed_evaluation import data, made
from tests.test_embed_mteb import reranking
from tests.tiny_backbone import write_backbone
from tests.twins import LIMIT, WIDTH, write_twin

__all__ = ["data"]

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")

TEXTS = ["Hi", "The capital of Peru is Lima.", "오늘은 맑다.", "one two three four five six seven " * 20, "</s>"]
"""One is cut, one has special tokens only."""
HEADS = ("dense", "sparse", "multi")


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """BGE-M3's twin, as the hub's cache leaves it."""
    folder = write_twin(tmp_path_factory.mktemp("m3") / "twin", "bge_m3")
    hub._convert(folder, folder.with_name("safe"))
    return folder.with_name("safe")


def rows(folder: Path, index: Path, heads: Any = HEADS, name: str = "m3", **more: Any) -> dict[str, Any]:
    settings = {"candidates": 100, "fusion": "sum"} | more
    return head_rows({name: SavedEncoder(path=str(folder))}, heads=heads, index=index, **settings)


@pytest.fixture(scope="module")
def embedder(twin: Path) -> Any:
    with STEmbedBackend().open(rows(twin, twin)["m3 all"]) as opened:
        yield opened


# -- heads


@cache
def alone(folder: Path) -> tuple[Any, Any]:
    from transformers import AutoModel, AutoTokenizer

    return AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()


@torch.inference_mode()
def by_hand(folder: Path, text: str) -> tuple[np.ndarray, dict[int, float], np.ndarray]:
    """Dense vector, weights by id, and vectors of tokens, of one text alone."""
    tokenizer, model = alone(folder)
    inside = tokenizer(text, add_special_tokens=False).input_ids[: LIMIT - 2]
    ids = [tokenizer.bos_token_id, *inside, tokenizer.eos_token_id]
    states = model(input_ids=torch.tensor([ids])).last_hidden_state[0].double().numpy()
    files = [torch.load(folder / FILES[name], weights_only=True) for name in ("sparse", "multi")]
    (w_lex, b_lex), (w_mul, b_mul) = ((one["weight"].double().numpy(), one["bias"].double().numpy()) for one in files)
    weights: dict[int, float] = {}
    for token, state in zip(ids, states):
        weight = max(0.0, float(w_lex[0] @ state + b_lex[0]))
        if token not in tokenizer.all_special_ids and weight > weights.get(token, 0.0):
            weights[token] = weight
    vectors = [w_mul @ state + b_mul for state in states[1:]]
    return states[0] / np.linalg.norm(states[0]), weights, np.array([one / np.linalg.norm(one) for one in vectors])


def test_one_pass_gives_what_loops_over_the_hidden_states_give(twin: Path, embedder: STEmbedder) -> None:
    """In a batch and alone, whole and cut; the terms of a text are some of its tokens and never special ones."""
    single = [represent(embedder, [text], "document", "") for text in TEXTS]
    batched = represent(embedder, TEXTS, "query", "")
    assert (batched.cut, sum(one.cut for one in single)) == (1, 1)
    assert batched.tokens_TM is not None
    for number, text in enumerate(TEXTS):
        dense, weights, vectors = by_hand(twin, text)
        first, last = batched.spans_N2[number]
        for found, row, token_vectors in (
            (batched, number, batched.tokens_TM[first:last]),
            (single[number], 0, single[number].tokens_TM),
        ):
            assert found.dense_ND[row] @ dense > 1 - 1e-5
            sparse = found.sparse_NV[[row]].tocoo()
            assert dict(zip(sparse.coords[1].tolist(), sparse.data.tolist())) == pytest.approx(weights, rel=1e-4, abs=1e-4)
            assert token_vectors is not None
            assert token_vectors.shape == vectors.shape
            assert (token_vectors * vectors).sum(1).min() > 1 - 1e-5
    counts = batched.sparse_NV.count_nonzero(axis=1)
    assert counts[-1] == 0, "special tokens only"
    assert 0 < counts[1] < len(set(TEXTS[1])), "else a head without effect would pass"


def test_a_tokenizer_without_a_first_token_keeps_every_vector_and_no_end_of_text_is_a_term(tmp_path: Path) -> None:
    """Decoders: there is no CLS to leave out, and the padding token is the end-of-text token."""
    backbone = Backbone(**write_backbone(tmp_path / "tiny"))
    loaded = Encoder(backbone=backbone, attention="bidirectional", pooling="mean", max_tokens=24).load()
    assert loaded.model.tokenizer.cls_token_id is None
    torch.manual_seed(0)
    heads = fresh_heads(32)
    heads.sparse.bias.data.fill_(9.0)  # type: ignore[union-attr]
    found = represent(
        STEmbedder(dataclasses.replace(loaded, heads=heads), STEmbedBackend()), ["the dog runs", "a cat"], "query", ""
    )
    tokenizer = loaded.model.tokenizer
    ids = [tokenizer(text).input_ids for text in ("the dog runs", "a cat")]
    assert [one[-1] for one in ids] == [tokenizer.eos_token_id] * 2
    assert (found.spans_N2[:, 1] - found.spans_N2[:, 0]).tolist() == [len(one) for one in ids]
    assert [set(row.indices.tolist()) for row in (found.sparse_NV[[0]], found.sparse_NV[[1]])] == [set(one[:-1]) for one in ids]


def test_files_are_flagembeddings_and_read_again_equal(tmp_path: Path) -> None:
    heads = fresh_heads(8)
    write_heads(tmp_path, heads)
    layers = {"sparse": torch.nn.Linear(8, 1), "multi": torch.nn.Linear(8, 8)}
    for name, file in FILES.items():
        layers[name].load_state_dict(torch.load(tmp_path / file, weights_only=True))
        assert torch.equal(layers[name].weight, getattr(heads, name).weight)
    read = read_heads(tmp_path, HEADS, 8)
    assert all(torch.equal(one, other) for one, other in zip(read.state_dict().values(), heads.state_dict().values()))
    assert read_heads(tmp_path, ["dense", "sparse"], 8).multi is None


class Trap:
    """What runs where a pickle is read by an ordinary unpickler."""

    def __init__(self, touched: Path) -> None:
        self.touched = touched

    def __reduce__(self) -> Any:
        return (Path.touch, (self.touched,))


def test_a_head_that_is_missing_or_something_else_is_refused_and_not_run(twin: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(twin, tmp_path / "m3")
    for weights in folder.glob("*.safetensors"):
        weights.unlink()  # every mistake is found before weights are looked for
    (folder / FILES["sparse"]).write_bytes(pickle.dumps(Trap(tmp_path / "ran"), protocol=2))
    with pytest.raises(UserError, match=r"sparse_linear\.pt is no file of tensors \(UnpicklingError\): it is not read"):
        rows(folder, tmp_path)
    assert not (tmp_path / "ran").exists()
    for content in ([1, 2], {"weight": torch.zeros(1, 7), "bias": torch.zeros(1)}, {"weight": torch.zeros(1, WIDTH)}, {"a": 1}):
        torch.save(content, folder / FILES["sparse"])
        with pytest.raises(UserError, match=r"sparse_linear\.pt holds .*, needed are .*\(1, 32\).*: it belongs to another model"):
            rows(folder, tmp_path)
    (folder / FILES["sparse"]).unlink()
    with pytest.raises(UserError, match=r"heads= has sparse, but .* holds no sparse_linear\.pt: leave it out, or train it"):
        rows(folder, tmp_path)
    assert list(rows(folder, tmp_path, heads=("multi",))) == ["m3 multi"]


# -- search, on representations that are planted


def planted(sparse: Any, dense: Any = None, lengths: Any = None, seed: int = 0) -> Represented:
    """Rows of given lexical weights; dense vectors and vectors of tokens at random where they are not given."""
    random = np.random.default_rng(seed)
    sparse = np.array(sparse, np.float32)
    lengths = np.array(lengths if lengths is not None else [3] * len(sparse))
    ends = np.cumsum(lengths)
    vectors = random.normal(size=(max(1, int(ends[-1])), 4)).astype(np.float32)
    return Represented(
        dense_ND=np.array(dense if dense is not None else random.normal(size=(len(sparse), 4)), np.float32),
        sparse_NV=csr_array(sparse),
        tokens_TM=vectors / np.linalg.norm(vectors, axis=1, keepdims=True),
        spans_N2=np.stack([ends - lengths, ends], 1),
        tokens=0,
        cut=0,
    )


def test_the_inverted_index_scores_as_products_of_all_pairs_do() -> None:
    random = np.random.default_rng(3)
    weights = [np.maximum(0, random.normal(size=(n, 50))) for n in (30, 5)]
    corpus, queries = planted(weights[0]), planted(weights[1], seed=1)
    for number in range(5):
        found = Corpus(corpus).scores(queries, number)
        assert found["sparse"] == pytest.approx([float(weights[1][number] @ one) for one in weights[0]], rel=1e-5)
        assert found["dense"] == pytest.approx([float(queries.dense_ND[number] @ one) for one in corpus.dense_ND], rel=1e-4)


def test_vectors_of_tokens_score_as_sentence_transformers_does_and_an_empty_side_is_zero() -> None:
    from sentence_transformers.multi_vector_encoder.scoring import mean_colbert_scores

    lengths = [3, 0, 5, 1, 0, 4]
    corpus, query = planted(np.zeros((6, 2)), lengths=lengths), planted(np.zeros((1, 2)), lengths=[7], seed=1)
    among = np.array([5, 1, 0, 3, 2])
    found = max_sim(query.tokens_TM, corpus, among)
    assert corpus.tokens_TM is not None
    for number, score in zip(among, found):
        first, last = corpus.spans_N2[number]
        own = torch.tensor(corpus.tokens_TM[first:last])
        expected = float(mean_colbert_scores(torch.tensor(query.tokens_TM)[None], own[None, None])) if len(own) else 0.0
        assert score == pytest.approx(expected, abs=1e-6)
    assert max_sim(query.tokens_TM[:0], corpus, among).tolist() == [0] * 5  # type: ignore[index]
    assert max_sim(query.tokens_TM, corpus, np.array([1, 4])).tolist() == [0, 0]


def test_candidates_are_the_best_of_each_head_and_lexically_none_without_a_term() -> None:
    dense, sparse = np.array([0.1, 0.9, 0.5, 0.2, 0.3]), np.array([0.0, 0.0, 0.0, 2.0, 0.0])
    assert candidates({"dense": dense, "sparse": sparse}, 1).tolist() == [1, 3]
    assert candidates({"dense": dense, "sparse": sparse}, 2).tolist() == [1, 2, 3]
    assert candidates({"dense": dense}, 2).tolist() == [1, 2]
    assert candidates({"dense": dense, "sparse": sparse}, 99).tolist() == [0, 1, 2, 3, 4], "there are no more"


def test_sums_weigh_as_the_model_was_trained_and_ranks_count_only_documents_with_a_term() -> None:
    parts = {"dense": np.array([0.5, 0.6, 0.1]), "sparse": np.array([1.0, 0.0, 0.0]), "multi": np.array([0.2, 0.1, 0.4])}
    assert fused(parts, "sum") == pytest.approx([0.5 + 0.3 + 0.2, 0.7, 0.5])
    del parts["multi"]
    assert fused(parts, "sum") == pytest.approx([0.8, 0.6, 0.1])
    assert fused(parts, "rrf") == pytest.approx([1 / 62 + 1 / 61, 1 / 61, 1 / 63])
    assert fused({"sparse": parts["sparse"]}, "rrf").tolist() == [1, 0, 0]


# -- search, by a model


def search(made_row: Any, embedder: STEmbedder, task: Any, top_k: int = 100) -> dict[str, dict[str, float]]:
    model, split = made_row.model(embedder, "m3", task), task.dataset["default"]["test"]
    model.index(split["corpus"], hf_split="test", hf_subset="default")
    return model.search(split["queries"], top_k=top_k, top_ranked=split["top_ranked"])


def test_every_row_ranks_as_its_scores_by_hand_do(twin: Path, embedder: STEmbedder, data: Path, tmp_path: Path) -> None:
    """Of whole rankings: of the dense row what the encoder alone gives, of the others loops over all pairs."""
    (task,) = made(data, "scifact").values()
    split = task.dataset["default"]["test"]
    documents = {one["id"]: by_hand(twin, f"{one['title']} {one['text']}") for one in split["corpus"]}
    query = split["queries"][2]
    q_dense, q_weights, q_vectors = by_hand(twin, query["text"])
    dense = {one: float(q_dense @ d) for one, (d, _, _) in documents.items()}
    sparse = {one: sum(q_weights.get(i, 0) * w for i, w in ws.items()) for one, (_, ws, _) in documents.items()}
    multi = {one: float((q_vectors @ vs.T).max(1).mean()) for one, (_, _, vs) in documents.items()}
    expected = {
        "dense": dense,
        "sparse": {one: score for one, score in sparse.items() if score},
        "multi": multi,
        "dense+sparse": {one: dense[one] + 0.3 * sparse[one] for one in dense},
        "all": {one: dense[one] + 0.3 * sparse[one] + multi[one] for one in dense},
    }
    assert len(expected["sparse"]) > 2
    for name, row in rows(twin, tmp_path).items():
        found = search(row, embedder, task)[query["id"]]
        assert found == pytest.approx(expected[name.removeprefix("m3 ")], rel=1e-3, abs=1e-4), name
        assert list(found.values()) == sorted(found.values(), reverse=True)
    few = rows(twin, tmp_path, candidates=1)["m3 multi"]
    best = {max(dense, key=lambda one: dense[one]), max(sparse, key=lambda one: sparse[one])}
    assert set(search(few, embedder, task)[query["id"]]) == best, "the vectors of tokens see only the best of the others"


def test_the_table_has_five_rows_from_one_pass_over_the_corpus(
    twin: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    states = STEmbedder.states

    def counted(self: STEmbedder, batch: Any) -> Any:
        seen.append(len(batch))
        return states(self, batch)

    monkeypatch.setattr(STEmbedder, "states", counted)
    tasks = made(data, "scifact", "stsb")
    embedders = {**rows(twin, tmp_path / "index"), "bm25": BM25(), "plain": SavedEncoder(path=str(twin))}
    found = evaluate(embedders, {"scifact": tasks["scifact"]}, STEmbedBackend(), tmp_path / "scores.jsonl", tmp_path / "mteb")
    scores = {one.embedder: one for one in found}
    assert list(scores) == [*(f"m3 {row}" for row in ROWS), "bm25", "plain"]
    assert scores["m3 dense"].score == pytest.approx(scores["plain"].score)
    assert {one.texts for name, one in scores.items() if name != "bm25"} == {24}
    assert {one.tokens for name, one in scores.items() if name != "bm25"} == {scores["plain"].tokens}
    assert sum(seen) == 12 + 5 * 12 + 24, "documents once, queries for each row, and all of it for the plain encoder"
    similar = evaluate(rows(twin, tmp_path / "index"), {"stsb": tasks["stsb"]}, STEmbedBackend(), tmp_path / "scores.jsonl")
    assert [one.score is None for one in similar] == [False, True, True, True, True], "all but dense is for search"


def test_every_row_of_an_index_has_its_cost(twin: Path, data: Path, tmp_path: Path) -> None:
    """Else the first row would pay for all, and a run that goes on would be the fastest of systems."""
    task, about = made(data, "scifact"), tmp_path / "index" / "m3" / "scifact-default-test" / "index.json"

    def seconds(journal: str) -> list[float | None]:
        return [one.seconds for one in evaluate(rows(twin, tmp_path / "index"), task, STEmbedBackend(), tmp_path / journal)]

    assert max(found or 0.0 for found in seconds("new.jsonl")) < 1000
    about.write_text(json.dumps(json.loads(about.read_text()) | {"seconds": 1000.0}))
    assert all(1000 <= (found or 0.0) < 2000 for found in seconds("again.jsonl"))


def test_an_index_is_used_by_its_encoder_alone_and_made_anew_for_other_documents(
    twin: Path, embedder: STEmbedder, data: Path, tmp_path: Path
) -> None:
    (whole,), (part,) = made(data, "scifact").values(), made(data, "scifact", limit=1).values()
    row, index = rows(twin, tmp_path)["m3 sparse"], tmp_path / "m3" / "scifact-default-test"
    first = search(row, embedder, whole)
    stamp = (index / "index.json").stat().st_mtime_ns
    assert search(row, embedder, whole) == first
    assert (index / "index.json").stat().st_mtime_ns == stamp
    assert len(search(row, embedder, part)) == 1
    assert json.loads((index / "index.json").read_text())["documents"] != ""
    assert (index / "index.json").stat().st_mtime_ns != stamp
    other = shutil.copytree(twin, tmp_path / "other")
    torch.manual_seed(1)
    write_heads(other, fresh_heads(WIDTH))
    with pytest.raises(
        UserError, match=r"is the index of another encoder \(.*, asked for is .*\): give another output, or delete"
    ):
        search(rows(other, tmp_path)["m3 sparse"], embedder, whole)
    (index / "index.json").write_text("{")
    with pytest.raises(UserError, match=r"index\.json is damaged \(.*\): delete its folder"):
        search(row, embedder, whole)


def test_candidates_of_a_task_are_ranked_alone_and_must_be_in_the_corpus(
    twin: Path, embedder: STEmbedder, tmp_path: Path
) -> None:
    task = reranking()
    for row in rows(twin, tmp_path).values():
        assert set(search(row, embedder, task)["q"]) == {"right", "wrong"}
    task.dataset["default"]["test"]["top_ranked"] = {"q": ["wrong", "lost"]}
    with pytest.raises(UserError, match=r"query q: 1 of its candidates are no documents of the corpus \(lost\)"):
        search(rows(twin, tmp_path)["m3 multi"], embedder, task)


def test_a_query_without_a_known_term_finds_nothing_lexically_and_a_document_of_special_tokens_is_harmless(
    twin: Path, embedder: STEmbedder, data: Path, tmp_path: Path
) -> None:
    from datasets import Dataset

    (task,) = made(data, "scifact").values()
    split = task.dataset["default"]["test"]
    split["corpus"] = Dataset.from_list([*split["corpus"], {"id": "none", "title": "", "text": "</s>"}])
    split["queries"] = Dataset.from_list([*split["queries"], {"id": "unknown", "text": "</s>"}])
    split["relevant_docs"]["unknown"] = {"d0": 1}
    found = {name: search(row, embedder, task) for name, row in rows(twin, tmp_path).items()}
    assert found["m3 sparse"]["unknown"] == {}
    assert not any("none" in one for one in found["m3 sparse"].values())
    assert len(found["m3 all"]["unknown"]) == 13
    sparse = rows(twin, tmp_path, heads=("sparse",))
    (judged,) = evaluate(sparse, {"scifact": task}, STEmbedBackend(), tmp_path / "scores.jsonl")
    assert judged.score is not None
    assert 0 < judged.score < 1


# -- the command


def test_the_command_gives_five_rows(twin: Path, data: Path, tmp_path: Path) -> None:
    saved = ["embedder=[saved,bm25]", f"embedder.saved.path={twin}", "embedder.saved.backbone=null"]
    words = [*saved, "heads=[dense,sparse,multi]", "embed_task=[scifact]", f"data_root={data}", f"output={tmp_path / 'out'}"]
    done = command("embed", *words)
    assert done.code == 0, done.err[-2000:]
    table = (tmp_path / "out" / "table.md").read_text()
    assert [line.split("|")[1].strip() for line in table.splitlines()[2:]] == [*(f"saved {row}" for row in ROWS), "bm25"]


MISTAKES = [
    (["embedder=minilm", "heads=[sparse]"], r"heads= has sparse, but .* holds no sparse_linear\.pt: leave it out, or train it"),
    (["embedder=last_token", "heads=[dense]"], r"heads= needs a folder with heads, and last_token has none"),
    (["embedder=minilm", "heads=[lexical]"], r"heads=\['lexical'\]: give one or more of dense, sparse, multi, each once"),
    (["embedder=minilm", "heads=[dense,dense]"], r"heads=\['dense', 'dense'\]: give one or more of"),
    (["embedder=minilm", "heads=[]"], r"heads=\[\]: give one or more of"),
    (["embedder=minilm", "heads=[dense]", "texts=x.jsonl"], r"heads= adds rows to the table of embed_task="),
    (["embedder=minilm", "heads=[dense]", "candidates=0"], r"candidates=0: give a number from 1 to 1000"),
    (["embedder=minilm", "heads=[dense]", "fusion=mean"], r"fusion=mean: allowed are sum, rrf"),
    (["embedder=minilm", "heads=[dense]", "embed_backend=vllm"], r"heads= needs the hidden states .*: give embed_backend=st"),
]


@pytest.mark.parametrize(("words", "message"), MISTAKES, ids=[" ".join(words)[:40] for words, _ in MISTAKES])
def test_a_mistake_ends_in_one_line(tmp_path: Path, words: list[str], message: str) -> None:
    asked = [] if any(word.startswith("texts=") for word in words) else ["embed_task=[scifact]"]
    done = command("embed", *words, *asked, f"output={tmp_path / 'out'}")
    assert done.code == 2, done.err
    assert done.error.startswith("error: ")
    assert re.search(message, done.error), done.error
