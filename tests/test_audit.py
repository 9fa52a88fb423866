"""The audit of a results folder: whole ones hold, and each kind of damage is named with its file and place."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest
import yaml
from scipy import stats

from experiments.run import make_job
from experiments.score import stored_cell
from fmtbench.auditing.cell import CellAudit, audit_cell
from fmtbench.auditing.resample import Kept, difference, drawn, upper_bound
from fmtbench.backends.scripted import Scripted, example_reply
from fmtbench.running.pipeline import run
from fmtbench.store.folder import RunFolder, checksum
from fmtbench.store.journal import journal_line
from fmtbench.types import Generation, Message, Request
from tests.commanding import Done, command
from tests.conftest import composed

FILES = ("config.yaml", "manifest.json", "requests.jsonl", "generations.jsonl", "rows.parquet")
FLIPS = 60


def made(results: Path, *words: str, reply: Callable[[Request], str] = example_reply) -> list[Path]:
    """Run folders of a scripted model."""
    job = make_job(composed("backend=scripted", "name=x", f"results={results}", *(words or ("task=[addition]", "limit=8"))))
    run(replace(job, backend=Scripted(reply=reply)))
    return sorted(path.parent for path in results.rglob("requests.jsonl"))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    (path,) = made(tmp_path_factory.mktemp("results"), "task=[addition]", "condition=[json_schema]", "limit=8")
    return path


@pytest.fixture
def cell(finished: Path, tmp_path: Path) -> Path:
    """A finished cell, to be damaged."""
    place = tmp_path.joinpath(*finished.parts[-5:])
    shutil.copytree(finished, place)
    return place


def audited(path: Path) -> CellAudit:
    return audit_cell(path, stored_cell)


def told(path: Path) -> str:
    return "\n".join(map(str, audited(path).findings))


def audit(path: Path, *words: str) -> Done:
    return command("audit", f"run={path}", *words)


def records(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def write_journal(path: Path, lines: list[dict[str, Any]]) -> None:
    """With checksums that hold, as a hand would that knows how."""
    path.write_bytes(b"".join(journal_line({name: value for name, value in one.items() if name != "crc32"}) for one in lines))


def write_manifest(path: Path, **facts: Any) -> None:
    """Likewise."""
    RunFolder(path.parent).write_manifest(json.loads(path.read_text()) | facts)


# -- what holds


def test_a_whole_folder_holds_and_nothing_is_written(tmp_path: Path) -> None:
    conditions = "condition=[free_cot,json_schema,nl_to_json,think_then_json]"
    made(tmp_path, "task=[addition,capitals]", conditions, "limit=5", "sampling=sample5", "sampling.samples=2")
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in tmp_path.rglob("*") if path.is_file()}
    done = audit(tmp_path, "resample=0.2")
    assert done.code == 0, done.out + done.err
    assert done.out.count("| yes  |") == 8
    assert "generated again: 0 differ" in done.out
    assert before == {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in tmp_path.rglob("*") if path.is_file()}


def test_a_damaged_folder_is_not_written_to_either(cell: Path) -> None:
    path = cell / "generations.jsonl"
    path.write_bytes(path.read_bytes().replace(b"decoder", b"decoded", 1) + b'{"crc32":"')
    before = {path: path.read_bytes() for path in cell.iterdir()}
    done = audit(cell, "resample=1")
    assert done.code == 1
    assert "7 of 7 replies generated again: 0 differ" in done.out
    assert before == {path: path.read_bytes() for path in cell.iterdir()}


def test_a_smaller_limit_leaves_replies_that_nobody_asks_for(tmp_path: Path) -> None:
    made(tmp_path, "task=[addition]", "condition=[free_cot]", "limit=8")
    (path,) = made(tmp_path, "task=[addition]", "condition=[free_cot]", "limit=5")
    found = audited(path)
    assert (found.findings, found.requests, found.replies, found.unasked) == ([], 5, 5, 3)


def test_an_older_journal_without_newer_fields_holds(cell: Path) -> None:
    path = cell / "generations.jsonl"
    newer = ("halves", "neutralised", "counted_tokens", "transient")
    write_journal(path, [{name: value for name, value in one.items() if name not in newer} for one in records(path)])
    assert told(cell) == ""


def test_a_folder_from_before_the_checksums_holds_and_says_what_was_not_checked(cell: Path) -> None:
    path = cell / "manifest.json"
    facts = json.loads(path.read_text())
    path.write_text(
        json.dumps({name: value for name, value in facts.items() if name not in ("sha256", "config_sha256", "whitespace")})
    )
    done = audit(cell)
    assert done.code == 0, done.out
    assert "in 1 of 1 run folders, config.yaml: no checksum of it was recorded" in done.out
    assert "in 1 of 1 run folders, manifest.json: no checksum of it was recorded" in done.out


# -- what does not


@pytest.mark.parametrize("name", FILES)
def test_every_flipped_bit_is_found_and_its_file_named(cell: Path, name: str) -> None:
    path, draw = cell / name, random.Random(7)
    whole = path.read_bytes()
    named = re.search(rb"parquet-cpp-arrow version [\d.]+", whole)  # another version of pyarrow would write other bytes
    places = [at for at in range(len(whole)) if not (named and named.start() <= at < named.end())]
    for _ in range(FLIPS):
        at, bit = draw.choice(places), 1 << draw.randrange(8)
        path.write_bytes(whole[:at] + bytes([whole[at] ^ bit]) + whole[at + 1 :])
        assert name in {one.file for one in audited(cell).findings}, (
            f"bit {bit} of byte {at}: {whole[max(0, at - 20) : at + 20]!r}"
        )
    path.write_bytes(whole)
    assert told(cell) == ""


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_away_or_none_is_named(cell: Path, name: str, tmp_path: Path) -> None:
    shutil.move(cell / name, tmp_path / "away")
    if name != "requests.jsonl":  # without one it is no run folder
        assert name in told(cell)
    (cell / name).symlink_to(tmp_path / "away")
    assert f"{name}: is a link, a pipe or a folder" in told(cell)
    (cell / name).unlink()
    os.mkfifo(cell / name)
    assert f"{name}: is a link, a pipe or a folder" in told(cell)


def test_damage_in_the_journal_is_named_with_line_and_byte(cell: Path) -> None:
    path = cell / "generations.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:3], lines[3].replace(b"decoder", b"decoded"), *lines[4:], lines[0][:50]]))
    found, offsets = told(cell), [sum(map(len, lines[:n])) for n in (3, 8)]
    assert f"generations.jsonl line 4 (at byte {offsets[0]}): the checksum is" in found
    assert f"generations.jsonl line 9 (at byte {offsets[1]}): 50 bytes without an end" in found
    done = audit(cell)
    assert done.code == 1
    assert done.err.splitlines() == ["error: 1 of 1 run folders do not hold"]


def test_a_row_that_was_edited_is_named(cell: Path) -> None:
    path = cell / "rows.parquet"
    table = pq.read_table(path)
    rows = table.to_pylist()
    rows[2]["correct"] = not rows[2]["correct"]
    pq.write_table(type(table).from_pylist(rows, schema=table.schema), path)
    found = told(cell)
    assert re.search(rf"rows\.parquet row 2, item {re.escape(rows[2]['item_id'])} \(key \w{{12}}\): correct is", found)
    pq.write_table(type(table).from_pylist(rows[:-1], schema=table.schema), path)
    assert "rows.parquet: has 7 rows, and the journal gives 8" in told(cell)


def test_rows_of_another_version_are_named(cell: Path) -> None:
    path = cell / "rows.parquet"
    table = pq.read_table(path)
    pq.write_table(table.replace_schema_metadata({b"fmtbench.rows": b"1"}), path)
    assert "holds rows of version 1, and this is version 2" in told(cell)


def test_a_key_that_was_edited_is_named(cell: Path) -> None:
    path = cell / "requests.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    key = json.loads(lines[1])["key"]
    path.write_text("".join([lines[0], lines[1].replace(key, "0" * 64), *lines[2:]]))
    assert f"requests.jsonl line 2 (at byte {len(lines[0].encode())}): item " in told(cell)
    assert f"its key is 000000000000, and that of its request {key[:12]}" in told(cell)


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("max_tokens", 9),
        ("seed", 3),
        ("temperature", 0.5),
        ("engine", "another"),
        ("messages", [{"role": "user", "content": "Hi"}]),
    ],
)
def test_a_request_that_was_edited_has_another_key(cell: Path, part: str, value: Any) -> None:
    path = cell / "requests.jsonl"
    lines = records(path)
    lines[4]["request"][part] = value
    path.write_text("".join(json.dumps(one) + "\n" for one in lines))
    assert "requests.jsonl line 5 " in told(cell)


def test_a_key_edited_in_the_journal_is_a_reply_that_is_missing(cell: Path) -> None:
    path = cell / "generations.jsonl"
    lines = records(path)
    key, lines[2]["key"] = lines[2]["key"], "f" * 64
    write_journal(path, lines)
    found = told(cell)
    assert f"generations.jsonl key {key[:12]}: 1 requests have no reply, and manifest.json says complete" in found
    assert "rows.parquet: has 8 rows, and the journal gives 7" in found
    assert audited(cell).unasked == 1


def test_two_results_of_one_request_are_named(cell: Path) -> None:
    path = cell / "generations.jsonl"
    lines = records(path)
    write_journal(path, [*lines, lines[3] | {"text": "another"}])
    assert "generations.jsonl line 9 " in told(cell)
    assert f"a second result for key {lines[3]['key'][:12]}, whose first is on line 4 " in told(cell)


def test_a_result_after_an_error_is_no_second_one(cell: Path) -> None:
    path = cell / "generations.jsonl"
    lines = records(path)
    write_journal(path, [lines[0] | {"finish_reason": "error", "error": "out of memory", "text": ""}, *lines])
    assert told(cell) == ""


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tone": "kind"}, "a journal of another version: this one knows no tone"),
        ({"text": 3}, "its text is not one that fmtbench writes"),
        ({"prompt_tokens": "3"}, "its prompt_tokens is a str, which fmtbench never writes"),
        ({"finish_reason": "tired"}, "its finish_reason is not one that fmtbench writes"),
    ],
)
def test_a_journal_of_another_version_is_named(cell: Path, change: dict[str, Any], message: str) -> None:
    path = cell / "generations.jsonl"
    lines = records(path)
    write_journal(path, [lines[0] | change, *lines[1:]])
    found = told(cell)
    assert "generations.jsonl line 1 (at byte 0): " in found
    assert message in found


def test_an_item_that_was_edited_is_named(cell: Path) -> None:
    """A gold answer is in no request: only the hash of the items and the rows know of it."""
    path = cell / "requests.jsonl"
    lines = records(path)
    lines[0]["item"]["gold"] = "7"
    path.write_text("".join(json.dumps(one, ensure_ascii=False) + "\n" for one in lines))
    assert "requests.jsonl: the hash of its items is" in told(cell)
    assert "rows.parquet row 0" in told(cell)


def test_a_config_that_was_edited_is_named(cell: Path) -> None:
    path = cell / "config.yaml"
    whole = path.read_text()
    path.write_text(whole.replace("max_tokens: 96", "max_tokens: 95"))
    found = told(cell)
    assert "config.yaml: its checksum is" in found
    assert "max_tokens 96 (key" not in found
    assert "is drawn with temperature 0.0, top_p 1.0, max_tokens 96, and config.yaml says" in found
    path.write_text(whole.replace("name: x\n", "name: y\n"))
    assert "config.yaml: is that of y/smollm2_135m/addition/json_schema/plain-seed0, and the folder is x/" in told(cell)


def test_a_manifest_whose_checksum_was_made_anew_still_has_to_agree(cell: Path) -> None:
    write_manifest(
        cell / "manifest.json", statuses={"ok": 7, "loop": 1}, whitespace=["free"], config_sha256="0" * 64, items_sha256="1" * 64
    )
    facts = json.loads((cell / "manifest.json").read_text())
    assert facts["sha256"] == checksum(facts)
    found = told(cell)
    assert "manifest.json: statuses is {'ok': 7, 'loop': 1}, and the journal gives {'ok': 8}" in found
    assert "manifest.json: whitespace is ['free'], and the journal gives " in found
    assert "config.yaml: its checksum is" in found
    assert "requests.jsonl: the hash of its items is" in found


def test_findings_beyond_the_first_are_counted_and_cannot_steer_a_terminal(cell: Path) -> None:
    path = cell / "requests.jsonl"
    path.write_bytes(b'{"key": "\\u001b[2J"}\n' * 30)
    done = audit(cell)
    assert done.code == 1
    assert re.search(r": and \d+ more\n", done.out)
    assert "\x1b" not in done.out


# -- generated again


def odd_reply(request: Request) -> str:
    """Another reply to about a third of the requests."""
    return "It is 5. The answer is 5." if int(request.key[:8], 16) % 3 == 0 else example_reply(request)


def test_an_engine_that_answers_differently_is_bounded(tmp_path: Path) -> None:
    (path,) = made(tmp_path, "task=[addition]", "condition=[free_cot]", "limit=90", reply=odd_reply)
    keys = [one.key for one in RunFolder(path).generations()]
    share = sum(int(key[:8], 16) % 3 == 0 for key in keys) / len(keys)
    done = audit(path, "resample=1")
    assert done.code == 1
    assert f"90 of 90 replies generated again: {round(share * 90)} differ" in done.out
    assert "item addition/" in done.out
    assert "at character 0 it is 'It is 5. The answer is 5.', generated again 'This is a guess." in done.out
    within = [audit(path, "resample=0.4", f"seed={seed}", "differing=1") for seed in range(20)]
    assert {done.code for done in within} == {0}
    bounds = [float(re.search(r"at most ([\d.]+)% do", done.out)[1]) / 100 for done in within]  # type: ignore[index]
    assert sum(bound >= share for bound in bounds) >= 18
    assert max(bounds) < 0.7


def test_a_forgery_that_holds_in_itself_is_found_by_the_model(cell: Path) -> None:
    """Text, checksums and rows made anew: nothing in the folder says so."""
    path = cell / "generations.jsonl"
    lines = records(path)
    lines[5]["text"] = lines[5]["text"].replace("0}", "1}")
    write_journal(path, lines)
    assert command("score", f"run={cell}").code == 0
    assert told(cell) == ""
    done = audit(cell, "resample=1")
    assert done.code == 1
    assert done.err.splitlines()[-1] == "error: 1 of 8 replies differ, allowed is 0 of them"
    assert f"(key {lines[5]['key'][:12]}): at character" in done.out
    assert audit(cell, "resample=1", "differing=0.2").code == 0


def kept(key: int) -> Kept:
    request = Request(messages=(Message(role="user", content=str(key)),))
    return Kept(folder=Path("x"), item=str(key), request=request, generation=Generation(key=request.key, text="a"))


def test_the_draw_is_the_seeds_and_at_least_one() -> None:
    population = [f"{key:064x}" for key in range(500)]
    assert len(drawn(population, 0.01, 0)) == 5
    assert len(drawn(population[:3], 0.01, 0)) == 1
    assert drawn(population, 0.1, 0) == drawn(population[::-1], 0.1, 0) != drawn(population, 0.1, 1)
    assert drawn([], 0.1, 0) == []


def test_the_bound_is_that_of_clopper_and_pearson() -> None:
    assert upper_bound(0, 299) == pytest.approx(1 - 0.05 ** (1 / 299))
    assert upper_bound(0, 299) < 0.01 < upper_bound(0, 298)
    assert upper_bound(0, 0) == upper_bound(3, 3) == 1
    for hits, trials in ((1, 10), (7, 40), (0, 1), (250, 300)):
        assert stats.binom.cdf(hits, trials, upper_bound(hits, trials)) == pytest.approx(0.05)


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5, 0.95])
def test_a_planted_rate_is_inside_the_bound_as_often_as_it_says(share: float) -> None:
    """Draws of 80 from 2,000 replies, of which a known share differs: the null that the bound is too low."""
    population = [f"{key:064x}" for key in range(2000)]
    differing = set(population[: round(share * 2000)])
    hits = [sum(key in differing for key in drawn(population, 0.04, seed)) for seed in range(300)]
    inside = sum(upper_bound(count, 80) >= share for count in hits)
    assert inside >= stats.binom.ppf(0.001, 300, 0.95)
    assert min(upper_bound(count, 80) for count in hits) < share + 0.2


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({}, ""),
        ({"text": "b"}, "at character 0 it is 'a', generated again 'b'"),
        ({"text": "ab"}, "at character 1 it is '', generated again 'b'"),
        ({"finish_reason": "length"}, "it ended by stop, generated again by length"),
        ({"token_ids": (3,)}, "its text is the same, but its tokens differ"),
        ({"finish_reason": "error", "error": "dead"}, "the engine gives no reply now (dead)"),
        ({"seconds": 9.0, "prompt_tokens": 4}, ""),
    ],
)
def test_what_counts_as_a_difference(change: dict[str, Any], says: str) -> None:
    one = replace(kept(1), generation=Generation(key="k", text="a", token_ids=(2,)))
    line = difference(one, replace(one.generation, **change))
    assert says in line
    assert bool(line) == bool(says)


# -- whose folder it is


def rewritten(cell: Path, **groups: Any) -> None:
    path = cell / "config.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | groups))


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ({"backend": {"_target_": "os.system", "command": "touch owned"}}, "names the backend os.system, allowed"),
        (
            {"backend": {"_target_": "fmtbench.backends.server.Server", "url": "http://x/v1"}},
            "give backbone= and backend= yourself",
        ),
        ({"backend": {"_target_": "fmtbench.backends.auto.auto"}}, "names the backend fmtbench.backends.auto.auto"),
        (
            {"backend": {"_target_": "fmtbench.backends.scripted.Scripted", "reply": {"_target_": "os.system"}}},
            "names the backend fmtbench.backends.scripted.Scripted, allowed",
        ),
        ({"backend": {"_target_": "fmtbench.backends.scripted.Scripted", "x": 1}}, "unexpected keyword argument 'x'"),
        ({"backbone": {"_target_": "fmtbench.backends.hf.HFSession"}}, "names the backbone fmtbench.backends.hf.HFSession"),
        (
            {"backbone": {"_target_": "fmtbench.backbone.Backbone", "name": "n", "package": "os.path"}},
            "which is not a package name",
        ),
        ({"backbone": None}, "names the backbone None"),
    ],
)
def test_a_folder_names_data_and_never_code(cell: Path, groups: dict[str, Any], message: str, monkeypatch: Any) -> None:
    monkeypatch.chdir(cell)
    rewritten(cell, **groups)
    done = audit(cell, "resample=1")
    assert done.code == 2, done.out
    assert message in done.err.splitlines()[-1]
    assert not (cell / "owned").exists()


@pytest.mark.model
def test_another_engine_than_the_runs_is_turned_down(tmp_path: Path, cell: Path) -> None:
    done = audit(cell, "resample=1", "backbone=smollm2_135m", "backend=hf")
    assert done.code == 2
    assert "was generated with scripted (here {" in done.err.splitlines()[-1]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["resample=0"], "resample=0.0: give a share above 0 and at most 1"),
        (["resample=1.5"], "resample=1.5: give a share"),
        (["resample=nan"], "resample=nan: give a share"),
        (["differing=2"], "differing=2.0: give a share from 0 to 1"),
        (["backend=hf"], "give both backbone= and backend=, or neither"),
        (["run=nowhere"], "nowhere holds no run folder"),
        (["run=paper/data"], "paper/data is a packed study"),
        (["results=x"], "results"),
    ],
)
def test_mistakes_end_in_one_line_before_any_work(finished: Path, words: list[str], message: str) -> None:
    done = command("audit", *([] if words[0].startswith("run=") else [f"run={finished}"]), *words)
    assert done.code == 2
    assert message in done.error
    assert done.out == ""


@pytest.mark.model
def test_a_real_engine_says_it_again(tmp_path: Path) -> None:
    few = ("task=[addition]", "condition=[free_cot,json_schema]", "limit=1", "sampling.max_tokens=12", "backbone.dtype=float32")
    assert command("run", *few, "name=x", f"results={tmp_path}").code == 0
    done = audit(tmp_path, "resample=1")
    assert done.code == 0, done.out + done.err
    assert "2 of 2 replies generated again: 0 differ" in done.out
    assert len(pd.concat(map(pd.read_parquet, tmp_path.rglob("rows.parquet")))) == 2
