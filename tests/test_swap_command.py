"""`experiments.lockin probe=swap` on a run of the bigram model: cut, continued, resumed, tabulated, refused."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pandas as pd
import pytest
import torch

from fmtbench.backbone import Backbone
from fmtbench.backends.hf import HF
from fmtbench.decoding.grammar import allows
from fmtbench.store.folder import RunFolder, find_folders
from tests.bigram import CHARACTERS, END, write_bigram
from tests.commanding import Done, command
from tests.test_lockin_command import run

DRAWN = ("sampling.temperature=1", "sampling.samples=2", "condition=[free_cot,json_schema]", "sampling.max_tokens=200", "limit=6")
SWAP = ("probe=swap", "probe.fractions=[0,0.5,1]")


def matrix() -> torch.Tensor:
    """Rationales of some ten words: a space often, the ends of strings and replies now and then."""
    rows = 0.5 * torch.randn((len(CHARACTERS),) * 2, generator=torch.Generator().manual_seed(5))
    for token, more in ((" ", 4.2), ('"', 0.7), (END, 0.5), ("}", 1.5)):
        rows[:, CHARACTERS.index(token)] += more
    return rows


@pytest.fixture(scope="module")
def bigram(tmp_path_factory: pytest.TempPathFactory) -> Backbone:
    return write_bigram(tmp_path_factory.mktemp("bigram"), CHARACTERS, matrix())


@pytest.fixture(scope="module")
def made(bigram: Backbone, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(bigram, tmp_path_factory.mktemp("made"), *DRAWN)


@pytest.fixture(scope="module")
def swapped(made: Path) -> Done:
    done = command("lockin", f"results={made}", *SWAP)
    assert done.code == 0, done.err
    return done


def cells(made: Path, suffix: str = "-swap") -> dict[str, RunFolder]:
    return {one.path.parent.name: one for one in find_folders(made.with_name(made.name + suffix))}


def test_every_arm_is_a_cell_of_its_own(made: Path, swapped: Done) -> None:
    found = cells(made)
    names = ("free_cot", "json_schema")
    fractions = ("0.00", "0.50", "1.00")
    assert set(found) == {f"{origin}+{mode}+{f}" for origin in names for mode in names for f in fractions}
    assert len({len(one.requests()) for one in found.values()}) == 1, "every arm has the same items and samples"
    assert re.search(r"left out: (no_rationale|truncated) \d", swapped.out)
    assert "| free_cot" in swapped.out
    assert set(cells(made, "-swap-greedy")) >= set(names)


def test_what_goes_on_keeps_the_grammar_of_the_whole(made: Path, swapped: Done) -> None:
    """A reply that was cut and went on under the mask is one that the whole grammar allows, from its brace on."""
    base = next(one for one in RunFolder(made / "bigram/addition/json_schema/plain-seed0").requests())
    whole = base.request.constraint
    assert whole is not None
    seen = 0
    for name, folder in cells(made).items():
        for row in pd.read_parquet(folder.path / "rows.parquet").itertuples():
            if "+json_schema+" in name and row.finish_reason == "stop":
                seen += 1
                assert allows(whole, row.text), row.text
            if "+free_cot+" in name:
                assert not row.text.startswith("{"), "released: no brace is left"
    assert seen > 5


def test_the_same_command_again_generates_nothing(made: Path, swapped: Done, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {one.path: (one.path / "generations.jsonl").read_bytes() for one in cells(made).values()}
    monkeypatch.setattr(HF, "open", lambda self, backbone: pytest.fail("weights are read, and nothing is to be generated"))
    done = command("lockin", f"results={made}", *SWAP)
    assert done.code == 0, done.err
    assert done.out == swapped.out
    assert {path: (path / "generations.jsonl").read_bytes() for path in before} == before
    whole = command("lockin", f"results={made.parent}", *SWAP)
    assert (whole.code, whole.out) == (0, swapped.out), "what was swapped is not swapped again"


def test_the_tables_find_it_beside_the_run(made: Path, swapped: Done, tmp_path: Path) -> None:
    done = command("tables", f"results={made}", "table=[main,swap]", "figure=[]", f"output={tmp_path}", "draws=200")
    assert done.code == 0, done.err
    found = pd.read_csv(tmp_path / "appendix" / "swap.csv")
    every = found[found["items"] == "all"]
    assert every.fraction.tolist() == [0, 0.5, 1]
    assert (every.hold == every.bind)[every.fraction == 0].all(), "without a prefix there is one reply for both origins"
    assert every.left_out.str.fullmatch(r"(\w+ \d+(, )?)+").all()
    main = pd.read_csv(next(tmp_path.rglob("main.csv")))
    assert set(main.condition) == {"free_cot", "json_schema"}
    alone = command("tables", f"results={made}-swap", "table=[main]", "figure=[]", f"output={tmp_path / 'o'}", "draws=200")
    assert alone.code == 0, alone.err
    assert len(pd.read_csv(next((tmp_path / "o").rglob("main.csv")))) == 12, "given alone they are conditions like any other"


def test_a_swapped_cell_is_audited_and_scored_again(made: Path, swapped: Done, tmp_path: Path) -> None:
    root = tmp_path / "results" / (made.name + "-swap")
    shutil.copytree(made.with_name(made.name + "-swap"), root)
    audit = command("audit", f"run={root}")
    assert audit.code == 0, audit.out
    rows = {path: path.read_bytes() for path in root.rglob("rows.parquet")}
    assert command("score", f"results={root}").code == 0
    assert {path: path.read_bytes() for path in rows} == rows


def test_mistakes_are_one_line(made: Path, bigram: Backbone, tmp_path: Path) -> None:
    greedy = run(bigram, tmp_path / "greedy", "condition=[free_cot,json_schema]", "limit=1", "sampling.max_tokens=40")
    free = tmp_path / "free"
    shutil.copytree(made / "bigram" / "addition" / "free_cot", free / "n" / "bigram" / "addition" / "free_cot")
    moved = tmp_path / "moved"
    shutil.copytree(made / "bigram" / "addition", moved)
    other = write_bigram(tmp_path / "other", CHARACTERS, matrix() + 1)
    packed = tmp_path / "packed"
    assert command("export", f"results={made}", "format=packed", f"output={packed}").code == 0
    served = ("backend=server", "backend.url=http://127.0.0.1:9/v1", "backend.dialect=openai")
    for words, message in (
        ([f"results={greedy}"], r"its replies are greedy.*sampling\.samples=8"),
        ([f"results={free}"], "probe.held=json_schema: there is no cell of that condition; there are free_cot"),
        ([f"results={moved}"], "is not where its config.yaml says"),
        ([f"results={made}", "backbone=local", f"backbone.path={other.path}", "backbone.name=x"], "with other weights than"),
        ([f"results={packed}"], "is a packed study, which has no journal"),
        ([f"results={made}", *served], "backend.dialect=openai has no words for going on"),
        ([f"results={made}", "probe.fractions=[0.5,0.25]"], "must be two numbers or more from 0 to 1"),
        ([f"results={made}", "probe.held=free_cot"], "the second must be held by a mask"),
        ([f"results={made}", "probe.words=400"], "no reply in .* can be cut"),
    ):
        done = command("lockin", "probe=swap", *words)
        assert done.code == 2, (words, done.out, done.err)
        assert re.search(message, done.error), done.err
    mass = command("lockin", f"results={made}", "probe=mass", "backend=hf")
    assert (mass.code, "probe=mass generates nothing: leave out backend=" in mass.error) == (2, True)
