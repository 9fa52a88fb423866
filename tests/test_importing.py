"""Logs of other suites: what inspect-ai 0.3.285 and lm-eval 0.4.13 wrote (tests/cases/logs), HELM's layout, and torn ones."""

from __future__ import annotations

import gzip
import json
import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from fmtbench.analysis.rows.frame import KEY
from fmtbench.errors import UserError
from fmtbench.running import parts, rescored
from fmtbench.running.arms import Tally
from fmtbench.running.importing.base import Unreadable
from fmtbench.running.importing.choose import IMPORTERS, choose
from fmtbench.running.importing.document import Document
from fmtbench.running.logs import load_log
from fmtbench.running.transcripts import ReadingRules
from tests.commanding import Done, command
from tests.conftest import ROOT

LOGS = ROOT / "tests" / "cases" / "logs"
LM_EVAL = LOGS / "samples_sums_2026-11-28T14-24-56.840117.jsonl"


def found(path: Path, name: str) -> list[Any]:
    return list(IMPORTERS[name].records(path))


def rescore(path: Path | str, output: Path, *words: str, answer: str = "number") -> Done:
    return command("rescore", f"transcripts={path}", f"answer={answer}", f"output={output}", *words)


def rows_of(output: Path) -> pd.DataFrame:
    return pd.read_parquet(output / "rows.parquet")


# -- Inspect


def test_an_inspect_log_is_read(tmp_path: Path) -> None:
    done = rescore(LOGS / "inspect_sums.eval", tmp_path)
    assert done.code == 0, done.err
    assert "source=inspect (by the files), 1 files" in done.out
    rows = rows_of(tmp_path)
    assert list(zip(rows.item_id, rows["sample"], rows.latent_correct)) == [
        ("a", 0, True),
        ("b", 0, False),
        ("a", 1, True),
        ("b", 1, False),
    ]
    assert set(rows.backbone) == {"mockllm/model"}
    assert set(rows.task) == {"sums"}


def test_an_inspect_log_has_its_options(tmp_path: Path) -> None:
    assert rescore(LOGS / "inspect_pick.eval", tmp_path, answer="choice").code == 0
    assert rows_of(tmp_path).latent_correct.tolist() == [True]


def inspect_zip(path: Path, version: int = 2, samples: Mapping[str, Any] | None = None, header: str = "header.json") -> Path:
    head = {"version": version, "status": "success", "eval": {"task": "sums", "model": "m", "dataset": {"samples": 1}}}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(header, json.dumps(head))
        for name, sample in (samples or {"a": inspect_sample("a")}).items():
            archive.writestr(f"samples/{name}_epoch_1.json", sample if isinstance(sample, str) else json.dumps(sample))
    return path


def inspect_sample(name: str, content: Any = "The answer is 5.") -> dict[str, Any]:
    message = {"role": "assistant", "content": content}
    return {"id": name, "epoch": 1, "target": "5", "output": {"choices": [{"message": message, "stop_reason": "max_tokens"}]}}


def test_of_a_killed_inspect_run_what_is_there_is_read(tmp_path: Path) -> None:
    (one,) = found(inspect_zip(tmp_path / "a.eval", header="_journal/start.json"), "inspect")
    assert (one["text"], one["finish_reason"], one["backbone"]) == ("The answer is 5.", "max_tokens", "m")


def test_thinking_is_no_part_of_the_text(tmp_path: Path) -> None:
    content = [{"type": "reasoning", "reasoning": "The answer is 4."}, {"type": "text", "text": "The answer is 5."}]
    (one,) = found(inspect_zip(tmp_path / "a.eval", samples={"a": inspect_sample("a", content)}), "inspect")
    assert one["text"] == "The answer is 5."


def test_another_version_is_one_line_and_the_others_are_scored(tmp_path: Path) -> None:
    inspect_zip(tmp_path / "old.eval", version=1)
    done = rescore(tmp_path / "old.eval", tmp_path / "out")
    assert done.code == 2
    assert "its header: a log of version 1, and version 2 is read" in done.error
    inspect_zip(tmp_path / "new.eval")
    done = rescore(tmp_path / "*.eval", tmp_path / "out")
    assert done.code == 0, done.err
    assert "its header: a log of version 1" in done.out
    assert len(rows_of(tmp_path / "out")) == 1


def test_a_damaged_sample_is_told_and_the_others_are_scored(tmp_path: Path) -> None:
    samples = {"a": '{"id": "a", "ep', "b": inspect_sample("b"), "c": {"id": "c", "target": "5"}}
    torn, one, lacking = found(inspect_zip(tmp_path / "a.eval", samples=samples), "inspect")
    assert isinstance(torn, Unreadable)
    assert torn.where == "samples/a_epoch_1.json"
    assert one["id"] == "b"
    assert "not as Inspect writes it (KeyError: 'output')" in lacking.reason


def test_inspects_json_is_the_same_log(tmp_path: Path) -> None:
    log = {
        "version": 2,
        "eval": {"task": "sums", "model": "m"},
        "samples": [inspect_sample(name) for name in "ab"],
        "reductions": [],
    }
    (tmp_path / "a.json").write_text(json.dumps(log))
    assert choose([tmp_path / "a.json"], None) == "inspect"
    assert [one["id"] for one in found(tmp_path / "a.json", "inspect")] == ["a", "b"]


def test_a_zip_that_is_no_log_says_so(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.eval", "w") as archive:
        archive.writestr("x", "y")
    done = rescore(tmp_path / "a.eval", tmp_path / "out")
    assert done.code == 2
    assert "no log of Inspect" in done.error


# -- lm-eval


def test_lm_evals_samples_are_read_once_and_not_for_each_filter(tmp_path: Path) -> None:
    done = rescore(LM_EVAL, tmp_path)
    assert done.code == 0, done.err
    assert "source=lm_eval (by the files)" in done.out
    rows = rows_of(tmp_path)
    assert list(zip(rows.task, rows.item_id, rows["sample"])) == [
        ("sums", "0", 0),
        ("sums", "0", 1),
        ("sums", "1", 0),
        ("sums", "1", 1),
    ]
    assert set(rows.text) == {"lol"}, "the dummy model of lm-eval"


def test_a_likelihood_is_no_reply(tmp_path: Path) -> None:
    line = {"doc_id": 0, "doc": {}, "target": "1", "resps": [[["-1.5", "False"]], [["-0.5", "True"]]], "filter": "none"}
    (tmp_path / "samples_x_2026-01-01T00-00-00.000.jsonl").write_text(json.dumps(line))
    (one,) = found(tmp_path / "samples_x_2026-01-01T00-00-00.000.jsonl", "lm_eval")
    assert "no request to generate" in one.reason


def test_our_own_export_to_lm_eval_comes_back_with_the_same_verdicts(tmp_path: Path) -> None:
    """The null of an importer: what goes out and comes in again says the same."""
    words = ("backend=scripted", "limit=4", "task=[addition]", "condition=[free_cot]", "prompt=[plain]")
    assert command("run", *words, f"results={tmp_path}/r", "name=a").code == 0
    assert command("export", f"results={tmp_path}/r/a", "format=lm_eval", f"output={tmp_path}/lm").code == 0
    assert rescore(f"{tmp_path}/lm/*/samples_*.jsonl", tmp_path / "out").code == 0
    ours = pd.concat([pd.read_parquet(path) for path in (tmp_path / "r").rglob("rows.parquet")]).sort_values(
        ["sample", "item_id"]
    )
    theirs = rows_of(tmp_path / "out")
    assert len(ours) == len(theirs) > 0
    for name in ("latent_correct", "marked_correct", "reasoning_words", "realised_order"):
        assert sorted(map(str, ours[name])) == sorted(map(str, theirs[name]))


# -- HELM


def helm_state(name: str, texts: list[str], **more: Any) -> dict[str, Any]:
    completions = [{"text": text, "logprob": 0, "tokens": [], "finish_reason": {"reason": "stop"}} for text in texts]
    references = [{"output": {"text": "red"}, "tags": []}, {"output": {"text": "blue"}, "tags": ["correct"]}]
    return {
        "instance": {"id": name, "input": {"text": "?"}, "references": references, "split": "test"},
        "train_trial_index": 0,
        "request": {"model": "openai/gpt-4", "prompt": "?"},
        "result": {"success": True, "completions": completions},
        **more,
    }


def helm_file(folder: Path, states: list[dict[str, Any]]) -> Path:
    path = folder / "colours:subject=all,model=openai_gpt-4" / "scenario_state.json"
    path.parent.mkdir()
    path.write_text(
        json.dumps({"adapter_spec": {"method": "generation", "model": "openai/gpt-4"}, "request_states": states}, indent=2)
    )
    return path


def test_helms_raw_requests_are_read(tmp_path: Path) -> None:
    lettered = {"output_mapping": {"A": "red", "B": "blue"}}
    path = helm_file(tmp_path, [helm_state("id1", ["B", "A"], **lettered), helm_state("id2", ["B"], **lettered)])
    done = rescore(path, tmp_path / "out", answer="choice")
    assert done.code == 0, done.err
    assert "source=helm (by the files)" in done.out
    rows = rows_of(tmp_path / "out")
    assert list(zip(rows.item_id, rows["sample"], rows.latent_correct)) == [("id1", 0, True), ("id1", 1, False), ("id2", 0, True)]
    assert set(rows.backbone) == {"openai/gpt-4"}
    assert set(rows.task) == {"colours:subject=all"}


def test_helms_likelihoods_and_damaged_states_are_told(tmp_path: Path) -> None:
    states = [helm_state("a", ["blue"], reference_index=1), {"instance": {"id": "b"}}, helm_state("c", ["blue"])]
    likelihood, damaged, one = found(helm_file(tmp_path, states), "helm")
    assert "likelihood" in likelihood.reason
    assert "not as HELM writes it" in damaged.reason
    assert (one["text"], one["gold"]) == ("blue", ["blue"])


@pytest.mark.parametrize("kept", [0.3, 0.6, 0.95])
def test_a_torn_document_gives_what_it_has(tmp_path: Path, kept: float) -> None:
    states = [helm_state(f"id{n}", ["blue"]) for n in range(40)]
    path = helm_file(tmp_path, states)
    text = path.read_text()
    path.write_text(text[: int(kept * len(text))])
    *ones, torn = found(path, "helm")
    assert 10 <= len(ones) < 40
    assert [one["id"] for one in ones] == [f"id{n}" for n in range(len(ones))]
    assert "breaks off" in torn.reason


def test_a_document_is_read_in_pieces_of_any_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held = {"a": {"list": [1, 2.5e3]}, "b": 12345, "list": [{"x": "]}"}, 67890, "é", [1, 2], None], "c": 1}
    (tmp_path / "d.json").write_text(json.dumps(held, indent=1, ensure_ascii=False), encoding="utf-8")
    for piece in (1, 2, 7, 64, 1000):
        monkeypatch.setattr("fmtbench.running.importing.document.PIECE", piece)
        document = Document(tmp_path / "d.json", "list")
        assert list(document) == held["list"]
        assert document.head == {"a": held["a"], "b": held["b"]}
        assert not document.torn
    with pytest.raises(UserError, match="no list 'x' in it"):
        Document(tmp_path / "d.json", "x")


# -- lines and tables


def test_a_torn_line_is_counted_and_the_rest_is_scored(tmp_path: Path) -> None:
    good = json.dumps({"gold": 5, "text": "The answer is 5."})
    (tmp_path / "a.jsonl").write_bytes(f"{good}\n{good[:-9]}\n[1]\n".encode() + b'{"gold": 5, "text": "\xff"}\n' + good.encode())
    done = rescore(tmp_path / "a.jsonl", tmp_path / "out")
    assert done.code == 0, done.err
    assert "3 rows are not scored" in done.out
    assert [f"jsonl, line {n}: " in done.out for n in (1, 2, 3, 4, 5)] == [False, True, True, True, False]
    assert len(rows_of(tmp_path / "out")) == 2
    assert rescore(tmp_path / "a.jsonl", tmp_path / "out", "strict_input=true").code == 2


def test_a_gzip_file_that_breaks_off_gives_what_it_has(tmp_path: Path) -> None:
    whole = gzip.compress(
        "".join(json.dumps({"gold": n, "text": f"The answer is {n * 7919 % 1000}."}) + "\n" for n in range(3000)).encode()
    )
    (tmp_path / "a.jsonl.gz").write_bytes(whole[: len(whole) // 2])
    *ones, torn = found(tmp_path / "a.jsonl.gz", "json")
    assert len(ones) > 500
    assert "breaks off" in torn.reason


def test_a_table_is_read_by_rows(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('text,gold,id\n"The answer is 5.",5,a\nshort,5\n"two\nlines 5",5,b\n')
    one, short, two = found(tmp_path / "a.csv", "csv")
    assert one == {"text": "The answer is 5.", "gold": "5", "id": "a"}
    assert (short.where, "2 columns, expected 3" in short.reason) == ("line 3", True)
    assert two["text"] == "two\nlines 5"
    assert [one.id for one in load_log(tmp_path / "a.csv", "number").transcripts] == ["a", "b"]


# -- which kind


def test_the_kind_is_said_or_found(tmp_path: Path) -> None:
    shutil.copy(LM_EVAL, tmp_path / "renamed.jsonl")
    assert choose([tmp_path / "renamed.jsonl"], None) == "lm_eval"
    assert choose([LM_EVAL], "json") == "json"
    with pytest.raises(UserError, match="source=html: allowed are lm_eval"):
        choose([LM_EVAL], "html")
    with pytest.raises(UserError, match=r"looks like source=lm_eval and .* like source=inspect"):
        choose([LM_EVAL, LOGS / "inspect_sums.eval"], None)


# -- going on after a kill


class Killed(Exception):
    """Instead of a signal."""


def test_after_a_kill_the_same_command_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "CHUNK", 3)
    (tmp_path / "a.jsonl").write_text("".join(json.dumps({"gold": n, "text": f"So {n}."}) + "\n" for n in range(10)))
    log, rules, scored = load_log(tmp_path / "a.jsonl", "number"), ReadingRules(answer="number"), list[str]()

    def score(self: ReadingRules, one: Any) -> Any:
        if len(scored) == 7 and not resumed:
            raise Killed
        scored.append(one.id)
        return original(self, one)

    original, resumed = ReadingRules.score, False
    monkeypatch.setattr(ReadingRules, "score", score)
    path, tally = tmp_path / "out" / "rows.parquet", Tally()
    path.parent.mkdir()
    with pytest.raises(Killed):
        rescored.write_rows(path, log.transcripts, rules, Tally(), made_of="x")
    assert not path.exists()
    resumed = True
    rescored.write_rows(path, log.transcripts, rules, tally, made_of="x")
    assert scored[7:] == ["7", "8", "9", "10"], "of ten, two whole parts were kept, and item 7 was in the third"
    assert (tally.rows, tally.right["latent"]) == (10, 10)
    assert list(path.parent.iterdir()) == [path]
    whole = tmp_path / "whole" / "rows.parquet"
    whole.parent.mkdir()
    rescored.write_rows(whole, log.transcripts, rules, Tally(), made_of="x")
    pd.testing.assert_frame_equal(pd.read_parquet(path), pd.read_parquet(whole))
    assert not pd.read_parquet(path).duplicated(KEY).any()


def test_parts_of_other_settings_are_not_taken(tmp_path: Path) -> None:
    first = parts.PartFiles(tmp_path, "x")
    first.path(0).write_text("rows")
    assert parts.PartFiles(tmp_path, "x").path(0).exists()
    assert not parts.PartFiles(tmp_path, "y").path(0).exists()
