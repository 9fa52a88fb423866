"""BGE-M3's loss against loops in numpy, and its stage: what it leaves, how it resumes, and what it refuses."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fmtbench.backbone import Backbone
from fmtbench.embed import m3 as heads_of
from fmtbench.embed.head_rows import head_rows
from fmtbench.embed.m3 import FILES, Heads, lexical, read_heads, token_vectors
from fmtbench.embed.representations import represent
from fmtbench.embed.saved import SavedEncoder
from fmtbench.embed.st import STEmbedBackend, STEmbedder
from fmtbench.embed.training.contrastive import Contrastive
from fmtbench.embed.training.examples import Example, TrainSet
from fmtbench.embed.training.m3 import M3
from fmtbench.embed.training.m3_loss import M3Loss, m3_loss
from fmtbench.errors import UserError
from tests.test_train_stages import LORA, recipe
from tests.tiny_backbone import sentences, write_backbone

FIT: dict[str, Any] = {"batch_size": 8, "learning_rate": 1e-2, "head_learning_rate": 1e-2, "temperature": 0.05}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Backbone:
    return Backbone(**write_backbone(tmp_path_factory.mktemp("tiny")))


@pytest.fixture(scope="module")
def data() -> TrainSet:
    examples = tuple(Example(anchor=a, positive=b, negatives=(c,)) for a, b, c in sentences())
    return TrainSet(examples=examples, texts=tuple(dict.fromkeys(text for row in sentences() for text in row)))


def trained(backbone: Backbone, folder: Path, data: TrainSet, **stage: Any) -> Path:
    made = recipe(backbone, {"m3": M3(**FIT | stage)}, pooling="mean", attention="bidirectional", append_eos=False)
    return made.train(data, folder, 0)


# -- the loss


def log_softmax(row: Any) -> Any:
    return row - row.max() - np.log(np.exp(row - row.max()).sum())


@pytest.mark.parametrize("columns", [1, 3])
@pytest.mark.parametrize("distil", [False, True])
def test_the_loss_is_what_loops_in_numpy_say(columns: int, distil: bool) -> None:
    random, rows, tau = np.random.default_rng(4), 5, 0.2
    scores = {name: random.uniform(-1, 1, (rows, rows * columns)) for name in ("dense", "lexical", "multi")}
    together = scores["dense"] + 0.3 * scores["lexical"] + scores["multi"]
    rank, taught = dict.fromkeys((*scores, "together"), 0.0), dict.fromkeys(scores, 0.0)
    for i in range(rows):
        for name, matrix in (*scores.items(), ("together", together)):
            rank[name] -= float(log_softmax(matrix[i] / tau)[i]) / rows
        teacher = np.exp(log_softmax(together[i] / tau))
        for name in taught:
            taught[name] -= float(sum(p * q for p, q in zip(teacher, log_softmax(scores[name][i] / tau)))) / rows
    expected = (rank["dense"] + rank["together"] + 0.1 * rank["lexical"] + rank["multi"]) / 4
    if distil:
        expected = (expected + (taught["dense"] + 0.1 * taught["lexical"] + taught["multi"]) / 3) / 2
    found = m3_loss(*(torch.tensor(one) for one in scores.values()), tau, distil)
    assert float(found) == pytest.approx(expected, rel=1e-6)


def test_the_teacher_gets_no_gradient() -> None:
    """The gradient is that of the sum with the teacher held fast, by differences."""
    random = torch.Generator().manual_seed(0)
    scores = [torch.rand(3, 3, generator=random, dtype=torch.float64).requires_grad_() for _ in range(3)]
    m3_loss(*scores, 0.5, True).backward()
    dense, lex, multi = (one.detach().clone() for one in scores)
    teacher = ((dense + 0.3 * lex + multi) / 0.5).softmax(1)

    def held(value: torch.Tensor) -> float:
        plain = m3_loss(value, lex, multi, 0.5, False)
        each = [-(teacher * (one / 0.5).log_softmax(1)).sum(1).mean() for one in (value, lex, multi)]
        return float((plain + (each[0] + 0.1 * each[1] + each[2]) / 3) / 2)

    step = torch.zeros_like(dense)
    step[1, 2] = 1e-6
    assert scores[0].grad is not None
    assert float(scores[0].grad[1, 2]) == pytest.approx((held(dense + step) - held(dense - step)) / 2e-6, rel=1e-5)


class AsTheyAre(torch.nn.Module):
    """Representations that are given instead of texts."""

    def forward(self, features: dict[str, Any]) -> dict[str, Any]:
        return features


@torch.no_grad()
def test_scores_of_a_batch_are_loops_over_tokens() -> None:
    """From hidden states: repeated ids, special tokens, padding, and two columns of documents."""
    random, width, vocabulary = torch.Generator().manual_seed(2), 6, 9
    heads = heads_of.fresh_heads(width)
    columns, plain = [], []
    for _ in range(3):
        ids = torch.randint(0, vocabulary, (4, 5), generator=random)
        hidden, kept = torch.randn(4, 5, width, generator=random), torch.rand(4, 5, generator=random) > 0.3
        kept[:, 0] = True
        dense = torch.nn.functional.normalize(torch.randn(4, width, generator=random), dim=1)
        columns.append(
            {
                "sentence_embedding": dense,
                "lexical": lexical(hidden, ids, kept, heads.sparse, vocabulary),  # type: ignore[arg-type]
                "multi": token_vectors(hidden, kept, heads.multi),  # type: ignore[arg-type]
                "multi_mask": kept,
            }
        )
        plain.append([one.detach().numpy() for one in (dense, ids, hidden, kept)])
    (w_lex, b_lex), (w_mul, b_mul) = (
        (layer.weight.detach().numpy(), layer.bias.detach().numpy()) for layer in (heads.sparse, heads.multi) if layer
    )

    def weights(ids: Any, hidden: Any, kept: Any) -> dict[int, float]:
        found: dict[int, float] = {}
        for token, state, on in zip(ids, hidden, kept):
            if on:
                found[int(token)] = max(found.get(int(token), 0.0), float(w_lex[0] @ state + b_lex[0]))
        return found

    def unit(hidden: Any, kept: Any) -> Any:
        rows = hidden[kept] @ w_mul.T + b_mul
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    queries, texts = list(zip(*plain[0])), [row for column in plain[1:] for row in zip(*column)]
    scores = np.zeros((3, 4, 8))
    for i, (q_dense, q_ids, q_hidden, q_kept) in enumerate(queries):
        for j, (dense, ids, hidden, kept) in enumerate(texts):
            own, other = weights(q_ids, q_hidden, q_kept), weights(ids, hidden, kept)
            cosines = unit(q_hidden, q_kept) @ unit(hidden, kept).T
            scores[:, i, j] = q_dense @ dense, sum(own[t] * other.get(t, 0) for t in own), cosines.max(1).mean()
    expected = m3_loss(*(torch.tensor(one) for one in scores), 0.1, True)
    loss = M3Loss(AsTheyAre(), 0.1, 0)
    assert float(loss(columns)) == pytest.approx(float(expected), rel=1e-6, abs=1e-6)
    assert loss.said["terms"] == pytest.approx(np.mean([sum(w > 0 for w in weights(*row[1:]).values()) for row in texts]))
    late = M3Loss(AsTheyAre(), 0.1, 3)
    late.step = 2
    without = float(m3_loss(*(torch.tensor(one) for one in scores), 0.1, False))
    assert float(late(columns)) == pytest.approx(without, rel=1e-6, abs=1e-6)
    late.step = 3
    assert float(late(columns)) == pytest.approx(float(expected), rel=1e-6, abs=1e-6)


# -- the stage


def found_first(folder: Path, data: TrainSet) -> dict[str, float]:
    """How often a query's own text is the first, by each head."""
    row = next(iter(head_rows({"m3": SavedEncoder(path=str(folder))}, heads=("dense", "sparse", "multi"), **ROW).values()))
    with STEmbedBackend().open(row) as embedder:
        queries = represent(embedder, [one.anchor for one in data.examples], "query", "")
        texts = represent(embedder, [one.positive for one in data.examples], "query", "")
    from fmtbench.embed.search import Corpus

    corpus, everything = Corpus(texts), np.arange(len(data.examples))
    right = {"dense": 0, "sparse": 0, "multi": 0}
    for number in everything:
        scores = corpus.scores(queries, number) | {"multi": corpus.multi(queries, number, everything)}
        for name in right:
            right[name] += int(scores[name].argmax() == number)
    return {name: count / len(everything) for name, count in right.items()}


ROW: dict[str, Any] = {"candidates": 100, "fusion": "sum", "index": Path("unused")}


def test_all_three_heads_learn_and_lie_in_the_encoders_folder(tiny: Backbone, data: TrainSet, tmp_path: Path) -> None:
    """From random weights, against the same heads after one step that hardly moves them. Same words make the other two good."""
    still = {"steps": 1, "learning_rate": 1e-9, "head_learning_rate": 1e-9}
    before = found_first(trained(tiny, tmp_path / "before", data, **still), data)
    folder = trained(tiny, tmp_path / "after", data, steps=30)
    after = found_first(folder, data)
    assert before["sparse"] < 0.3, before
    assert after["sparse"] > 0.7, after
    assert all(after[name] > 0.98 * before[name] for name in after), (before, after)
    facts = json.loads((tmp_path / "after" / "manifest.json").read_text())["stages"]["m3"]
    assert facts["last_loss"] < facts["first_loss"]
    assert facts["terms"] > 1
    assert 0 <= facts["empty"] < 1
    assert (folder / "sparse_linear.pt").is_file()
    assert (folder / "colbert_linear.pt").is_file()
    logged = [json.loads(line) for line in next((tmp_path / "after").rglob("loss.jsonl")).read_text().splitlines()]
    assert len(logged) == 30
    assert all(0 <= one["empty"] <= 1 and one["terms"] >= 0 for one in logged)


def test_a_killed_stage_goes_on_with_heads_step_and_numbers(
    tiny: Backbone, data: TrainSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Self-distillation begins at a step, counted from the first and not from where it goes on."""
    stage = {"steps": 8, "save_every": 2, "distill_from": 6}
    whole = trained(tiny, tmp_path / "whole", data, **stage)

    class Killed(BaseException):
        pass

    forward = M3Loss.forward

    def killing(self: M3Loss, *inputs: Any) -> Any:
        if self.step == 5:
            raise Killed
        return forward(self, *inputs)

    with monkeypatch.context() as patch:
        patch.setattr(M3Loss, "forward", killing)
        with pytest.raises(Killed):
            trained(tiny, tmp_path / "killed", data, **stage)
    resumed = trained(tiny, tmp_path / "killed", data, **stage)
    curves = [(tmp_path / name / "loss.csv").read_text() for name in ("whole", "killed")]
    losses = [np.array([float(line.split(",")[2]) for line in curve.splitlines()[1:]]) for curve in curves]
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)
    one, other = (read_heads(folder, list(FILES), 32).state_dict() for folder in (whole, resumed))
    assert all(torch.allclose(one[name], other[name], atol=1e-5) for name in one)


def test_a_finished_stage_gives_its_heads_to_what_comes_after(tiny: Backbone, data: TrainSet, tmp_path: Path) -> None:
    later = Contrastive(steps=2, batch_size=8, learning_rate=1e-4)
    stages = {"m3": M3(**FIT, steps=3, lora=LORA), "then": later}
    made = recipe(tiny, {"m3": stages["m3"]}, pooling="mean", append_eos=False)
    one = read_heads(made.train(data, tmp_path / "out", 0), list(FILES), 32)
    (tmp_path / "out" / "manifest.json").unlink()
    stamp = {path: path.stat().st_mtime_ns for path in (tmp_path / "out" / "stages").rglob("*linear.pt")}
    both = read_heads(replace(made, stages=stages).train(data, tmp_path / "out", 0), list(FILES), 32)
    assert len(stamp) == 2
    assert {path: path.stat().st_mtime_ns for path in stamp} == stamp, "not run again"
    assert all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), both.state_dict().values()))


def test_heads_have_a_learning_rate_of_their_own(tiny: Backbone, data: TrainSet, tmp_path: Path) -> None:
    """The encoder's weights all but stand still where only the heads learn."""
    from safetensors.torch import load_file

    slow = {"learning_rate": 1e-9, "warmup": 0}
    folders = [
        trained(tiny, tmp_path / str(i), data, steps=steps, **slow, head_learning_rate=rate)
        for i, (steps, rate) in enumerate(((1, 1e-9), (2, 1e-2)))
    ]
    one, other = (load_file(folder / "model.safetensors") for folder in folders)
    assert max(float((one[name] - other[name]).abs().max()) for name in one) < 1e-6
    heads = [read_heads(folder, list(FILES), 32).state_dict() for folder in folders]
    assert min(float((heads[0][name] - heads[1][name]).abs().max()) for name in heads[0]) > 1e-3


def test_settings_are_part_of_the_key_and_so_is_the_name() -> None:
    assert M3().settings() == M3(save_every=7).settings() | {"kind": "M3"}
    assert M3(distill_from=None).settings() != M3().settings()


def test_lexical_vectors_that_are_all_empty_end_in_an_error(
    tiny: Backbone, data: TrainSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A head below zero on every token has no gradient to come back by."""

    def dead(width: int) -> Heads:
        heads = Heads(sparse=torch.nn.Linear(width, 1), multi=torch.nn.Linear(width, width))
        assert heads.sparse is not None
        heads.sparse.weight.data.zero_()
        heads.sparse.bias.data.fill_(-1.0)
        return heads

    monkeypatch.setattr(heads_of, "fresh_heads", dead)
    with pytest.raises(UserError, match=r"m3-\w+: the lexical vectors of all 84 texts are empty: lower learning_rate, or raise"):
        trained(tiny, tmp_path / "out", data, steps=2)
    assert not (tmp_path / "out" / "encoder").exists()
    logged = [json.loads(line) for line in next((tmp_path / "out").rglob("loss.jsonl")).read_text().splitlines()]
    assert [one["empty"] for one in logged] == [1.0, 1.0]


def test_training_sees_what_encoding_gives(tiny: Backbone, data: TrainSet, tmp_path: Path) -> None:
    """The trainer pads its batches on the tokenizer's side, and encoding on the right."""
    from fmtbench.embed.encoder import Encoder
    from fmtbench.embed.training.fitting import ColumnCollator, trainable
    from fmtbench.embed.training.m3_loss import HeadModule

    texts = ["the dog runs", "a cat", "the river shines and the house waits for the train " * 9]
    loaded = Encoder(
        backbone=replace(tiny, dtype="float32"), attention="bidirectional", pooling="mean", append_eos=False, max_tokens=24
    ).load()
    loaded = replace(loaded, heads=heads_of.fresh_heads(32))
    tokenizer = loaded.model.tokenizer
    module = HeadModule(loaded.heads, tokenizer, loaded.model[0].model.config.vocab_size)
    rows = [{"anchor": text, "instruction": "", "role": "query"} for text in texts]
    batch = ColumnCollator(tokenizer, loaded.spec)(rows)
    with torch.inference_mode():
        names = ("input_ids", "attention_mask", "start")
        seen = trainable(loaded.model, loaded.spec, (module,)).eval()({name: batch[f"anchor_{name}"] for name in names})
    found = represent(STEmbedder(loaded, STEmbedBackend()), texts, "query", "")
    assert np.abs(seen["lexical"].numpy() - found.sparse_NV.toarray()).max() < 1e-5
    assert np.abs(seen["sentence_embedding"].numpy() - found.dense_ND).max() < 1e-5
    assert found.tokens_TM is not None
    for number, (first, last) in enumerate(found.spans_N2):
        own = seen["multi"][number][seen["multi_mask"][number]].numpy()
        assert np.abs(own - found.tokens_TM[first:last]).max() < 1e-5
