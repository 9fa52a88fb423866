"""`experiments.lockin probe=commitment` on a run of the bigram model: read, resumed, refused by cell, tabulated, drawn."""

from __future__ import annotations

import importlib
import json
import re
import shutil
import sys
from pathlib import Path

import pandas as pd
import pytest

from fmtbench.backbone import Backbone
from fmtbench.probes.replay import Reference
from fmtbench.store.folder import RunFolder
from tests.bigram import CHARACTERS, write_bigram
from tests.commanding import Done, command
from tests.conftest import ROOT
from tests.test_lockin_command import cell, run
from tests.test_swap_command import matrix

CONDITIONS = "condition=[free_cot,json_schema,staged,json_schema_answer_first,nl_to_json]"
DRAWN = ("sampling.temperature=1", "sampling.samples=2", CONDITIONS, "sampling.max_tokens=200", "limit=5")
PROBE = ("probe=commitment", "probe.fractions=[0,0.5,1]", "probe.words=2")
UNCUT = {"staged": {"several_stages"}, "json_schema_answer_first": {"answer_first"}, "nl_to_json": {"when=second_pass"}}


@pytest.fixture(scope="module")
def bigram(tmp_path_factory: pytest.TempPathFactory) -> Backbone:
    return write_bigram(tmp_path_factory.mktemp("bigram"), CHARACTERS, matrix())


@pytest.fixture(scope="module")
def made(bigram: Backbone, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(bigram, tmp_path_factory.mktemp("made"), *DRAWN)


@pytest.fixture(scope="module")
def read(made: Path) -> Done:
    done = command("lockin", f"results={made}", *PROBE)
    assert done.code == 0, done.err
    return done


def cuts(root: Path, condition: str) -> pd.DataFrame:
    return pd.read_parquet(cell(root, condition) / "commitment.parquet")


def test_every_reply_has_its_cuts_or_a_reason(made: Path, read: Done) -> None:
    for condition in ("free_cot", "json_schema", *UNCUT):
        planned = RunFolder(cell(made, condition)).requests()
        first = {one.request.key for one in planned if one.sample == 0 and not one.after}
        found = cuts(made, condition)
        assert set(found.request_key) == first, "the first reply to each item, and no other"
        sound = found[found.problem.isna()]
        assert (sound.groupby(["request_key", "readout"]).size() == 3).all()
        assert set(found.readout) == {"own", "turn"}
        assert set(found.problem.dropna()) == UNCUT[condition] if condition in UNCUT else len(sound)
        assert sound.p_gold.between(0, 1).all()
        assert (sound.candidates <= 8).all()
    assert re.search(r"left out, of both read-outs: .*several_stages 10", read.out)
    assert "| bigram/addition/json_schema/plain-seed0" in read.out


def test_an_item_has_the_same_candidates_under_every_condition(made: Path, read: Done) -> None:
    among: dict[str, set[tuple[str, ...]]] = {}
    for condition in ("free_cot", "json_schema"):
        folder = RunFolder(cell(made, condition))
        items = {one.request.key: one.item for one in folder.requests()}
        for record in folder.lines("commitment.jsonl").records():
            if record["candidates"]:
                item = items[record["request_key"]]
                assert record["candidates"][0] == item.gold
                among.setdefault(item.id, set()).add(tuple(record["candidates"]))
    assert among
    assert all(len(one) == 1 for one in among.values())


def test_the_same_command_again_computes_nothing(made: Path, read: Done, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Reference, "model", property(lambda self: pytest.fail("weights are read, and nothing is to be computed")))
    before = {path: path.read_bytes() for path in made.rglob("commitment.*")}
    again = command("lockin", f"results={made}", *PROBE)
    assert (again.code, again.out) == (0, read.out), again.err
    assert {path: path.read_bytes() for path in before} == before


def test_what_is_lost_is_computed_again(made: Path, read: Done, tmp_path: Path) -> None:
    root = tmp_path / "n"
    shutil.copytree(made, root)
    journal = cell(root, "json_schema") / "commitment.jsonl"
    whole, lines = (cell(root, "json_schema") / "commitment.parquet").read_bytes(), journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(lines[0].replace(b'"tokens":[0', b'"tokens":[1', 1) + b"".join(lines[2:-1]) + lines[-1][:40])
    done = command("lockin", f"results={root}", *PROBE)
    assert done.code == 0
    assert (cell(root, "json_schema") / "commitment.parquet").read_bytes() == whole
    keys = [record["key"] for record in RunFolder(cell(root, "json_schema")).lines("commitment.jsonl").records()]
    assert len(keys) == len(set(keys)) == len(lines)


def test_the_table_and_the_figure_have_what_was_found(made: Path, read: Done, tmp_path: Path) -> None:
    words = ("table=[commitment]", "figure=[commitment]", f"output={tmp_path}", "draws=200")
    done = command("tables", f"results={made}", *words)
    assert done.code == 0, done.err
    found = pd.read_csv(tmp_path / "appendix" / "commitment.csv")
    line = found[(found.condition == "free_cot") & (found.readout == "own") & (found.fraction == 0.5)].iloc[0]
    raw = cuts(made, "free_cot")
    mine = raw[(raw.readout == "own") & (raw.fraction == 0.5)]
    assert line.p_gold == pytest.approx(mine.p_gold.mean(), abs=1e-6)
    assert line.replies == len(mine)
    staged = found[found.condition == "staged"]
    assert set(staged.left_out) == {"several_stages 5"}
    assert (staged.replies == 0).all()
    assert (tmp_path / "appendix" / "commitment.png").is_file(), done.err


def test_mistakes_are_one_line(made: Path, bigram: Backbone, tmp_path: Path) -> None:
    other = write_bigram(tmp_path / "other", CHARACTERS, matrix() + 1)
    staged = tmp_path / "staged"
    shutil.copytree(cell(made, "staged"), staged)
    served = tmp_path / "served"
    shutil.copytree(cell(made, "free_cot"), served)
    facts = json.loads((served / "manifest.json").read_text())
    (served / "manifest.json").write_text(json.dumps(facts | {"engine": {"engine": "server"}}))
    for words, message in (
        ([f"results={made}", "backbone=local", f"backbone.path={other.path}", "backbone.name=x"], "with other weights than"),
        ([f"results={made}", "backend=hf"], "probe=commitment generates nothing: leave out backend="),
        ([f"results={made}", "decoder=outlines"], "probe=commitment generates nothing: leave out decoder="),
        ([f"results={made}", "probe.fractions=[0.5,0.25]"], "must be two numbers or more from 0 to 1"),
        ([f"results={made}", "probe.statement=Twelve"], r"must hold \{answer\} once"),
        ([f"results={staged}"], r"no reply in .* can be read at its cuts \(several_stages 10\)"),
        ([f"results={served}"], "its manifest names no weights"),
    ):
        done = command("lockin", "probe=commitment", *words)
        assert done.code == 2, (words, done.out, done.err)
        assert re.search(message, done.error), done.err


def test_what_the_study_keeps_makes_the_same_tables(made: Path, read: Done, tmp_path: Path) -> None:
    """paper/interventions/make.py: no question, no path, no journal; the same bytes each time."""
    sys.path.insert(0, str(ROOT / "paper" / "interventions"))
    make = importlib.import_module("make")
    sys.path.pop(0)
    shutil.copytree(made, tmp_path / "results" / "interventions")
    for place in ("one", "other"):
        make.main(tmp_path / "results", tmp_path / place)
    kept = {path.relative_to(tmp_path / "one"): path.read_bytes() for path in (tmp_path / "one").rglob("*") if path.is_file()}
    assert kept == {path: (tmp_path / "other" / path).read_bytes() for path in kept}
    assert {path.name for path in kept} == {"rows.parquet", "commitment.parquet", "manifest.json", "config.yaml"}
    assert not any(str(tmp_path.parent).encode() in data for path, data in kept.items() if path.suffix != ".parquet")
    assert set(pd.read_parquet(next((tmp_path / "one").rglob("rows.parquet"))).question) == {""}
    tables = []
    for root in (made, tmp_path / "one" / "interventions"):
        output = tmp_path / "tables" / root.name
        words = ("table=[commitment]", "figure=[]", f"output={output}", "draws=200")
        done = command("tables", f"results={root}", *words)
        assert done.code == 0, done.err
        tables.append(pd.read_csv(next(output.rglob("commitment.csv"))).drop(columns=["runs", "commit"]))
    pd.testing.assert_frame_equal(*tables, atol=1e-4)
