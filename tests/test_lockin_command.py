"""`experiments.lockin` on a run of the bigram model: every kind of cell, repeated, damaged, under other masks and weights."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from fmtbench.analysis.rows.frame import load_rows
from fmtbench.backbone import Backbone
from fmtbench.probes.replay import Reference
from fmtbench.store.folder import RunFolder, find_folders
from fmtbench.types import Generation
from tests.bigram import CHARACTERS, END, write_bigram
from tests.commanding import Done, command
from tests.decoders_here import HERE

CONDITIONS = "json_schema,json_schema_unasked,json_prompt,free_cot,sham,think_then_json"
ITEMS = 3


def matrix() -> torch.Tensor:
    """Random, but strings are closed and replies end after a dozen tokens or so."""
    rows = torch.randn((len(CHARACTERS),) * 2, generator=torch.Generator().manual_seed(3))
    for token, more in (('"', 4.5), ("\n", 3.0), (END, 1.5), (" ", 2.0), ("}", 1.0)):
        rows[:, CHARACTERS.index(token)] += more
    return rows


@pytest.fixture(scope="module")
def bigram(tmp_path_factory: pytest.TempPathFactory) -> Backbone:
    return write_bigram(tmp_path_factory.mktemp("bigram"), CHARACTERS, matrix())


def run(bigram: Backbone, root: Path, *words: str) -> Path:
    done = command(
        *("run", f"results={root}", "name=n", "backend=hf", "backbone=local", f"backbone.path={bigram.path}"),
        *("backbone.name=bigram", "backbone.context=4096", "backbone.dtype=float32", "task=[addition]", f"limit={ITEMS}"),
        *("sampling.max_tokens=120", *words),
    )
    assert done.code == 0, done.err
    return root / "n"


@pytest.fixture(scope="module")
def made(bigram: Backbone, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A drawn run, as it was before any probe."""
    drawn = ("sampling.temperature=1", "sampling.samples=4", f"condition=[{CONDITIONS}]")
    return run(bigram, tmp_path_factory.mktemp("made"), *drawn)


@pytest.fixture(scope="module")
def probed(made: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Done]:
    root = tmp_path_factory.mktemp("probed") / "n"
    shutil.copytree(made, root)
    done = command("lockin", f"results={root}", "probe=mass")
    assert done.code == 0, done.err
    return root, done


def cell(root: Path, condition: str) -> Path:
    return root / "bigram" / "addition" / condition / "plain-seed0"


def tokens(root: Path, condition: str, name: str = "mass") -> pd.DataFrame:
    return pd.read_parquet(cell(root, condition) / f"{name}.parquet")


def test_each_masked_reply_has_a_row_for_each_of_its_tokens(probed: tuple[Path, Done]) -> None:
    root, done = probed
    assert "| bigram/addition/json_schema/plain-seed0" in done.out
    for condition in ("json_schema", "json_schema_unasked", "sham", "think_then_json"):
        folder, found = RunFolder(cell(root, condition)), tokens(root, condition)
        for generation in folder.generations():
            own = found[found.request_key == generation.key]
            assert own.token.tolist() == list(generation.token_ids)
            assert own.end.tolist() == list(generation.token_ends)
            assert (own.left <= 0).all()
            assert (own.logprob <= own.left + 1e-6).all(), "what was taken is among what is allowed"
        assert set(found.against) == {"own"}


def test_figures_of_json_replies(probed: tuple[Path, Done]) -> None:
    """The first token of an object can be nothing but its brace; what the matrix gives that is the mass that is left."""
    root, _ = probed
    found = tokens(root, "json_schema")
    first = found[found.position == 0]
    after_ask = matrix()[-1].double().log_softmax(-1)
    assert first.left.to_numpy() == pytest.approx(float(after_ask[CHARACTERS.index("{")]), abs=1e-5)
    assert set(first.allowed) == {1}
    assert set(first.part) == {"scaffold"}
    assert set(found.part) >= {"scaffold", "key", "reasoning"}
    closing = found[found.closing]
    assert len(closing)
    assert (closing.token.map(lambda token: CHARACTERS[token][0]) == '"').all()
    assert closing.words.notna().all()
    in_string = found[(found.part == "reasoning") & found.first.eq("line_break")]
    assert in_string.override.all(), "a line break is never allowed in a string"


def test_free_replies_are_held_against_a_string_and_asked_ones_against_the_schema(probed: tuple[Path, Done]) -> None:
    root, _ = probed
    free, asked = tokens(root, "free_cot"), tokens(root, "json_prompt")
    assert set(free.against) == {"string"}
    rationale = free[(free.part == "reasoning") & (free["first"] == "line_break")]
    assert rationale.override.all()
    inside = [one for one in CHARACTERS if not ({"\n", "\t"} & set(one)) and one not in (END, '"}')]
    assert set(free.allowed) == {len(inside)}, "one mask everywhere; Outlines takes <ask> for its text"
    assert set(asked.against) == {"schema"}
    walked = asked.groupby("request_key").size()
    said = {one.key: len(one.token_ids) for one in RunFolder(cell(root, "json_prompt")).generations()}
    assert all(walked[key] <= said[key] for key in walked.index)
    assert (walked == 1).any(), "a random model does not begin with a brace"


def test_spelling_is_there_for_replies_without_a_mask_too(probed: tuple[Path, Done]) -> None:
    """The model draws `r` and `e` apart, where the tokenizer has `re`: both are respelt."""
    root, _ = probed
    seen = set()
    for condition in ("json_schema", "free_cot"):
        found = tokens(root, condition, "spelling")
        assert set(found.request_key) == {one.key for one in RunFolder(cell(root, condition)).generations()}
        for _, own in found[found.problem.isna()].groupby("request_key"):
            letters = [CHARACTERS[int(token)] for token in own.token]
            pairs = [i for i in range(len(letters) - 1) if letters[i] + letters[i + 1] in ("re", "an", '"}')]
            assert set(own.position[own.respelt.astype(bool)]) == {i + k for i in pairs for k in (0, 1)}
            seen |= {letters[i] for i in pairs}
    assert seen, "else nothing was tried"


def test_the_same_command_again_computes_nothing_and_changes_no_byte(
    probed: tuple[Path, Done], monkeypatch: pytest.MonkeyPatch
) -> None:
    root, first = probed
    monkeypatch.setattr(Reference, "model", property(lambda self: pytest.fail("weights are read, and nothing is to be computed")))
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file() and path.name != "run.log"}
    done = command("lockin", f"run={cell(root, 'json_schema')}")
    assert done.code == 0, done.err
    assert {path: path.read_bytes() for path in before} == before
    assert first.out.splitlines()[-2:] == done.out.splitlines()[-2:]


@pytest.mark.skipif("xgrammar" not in HERE, reason="xgrammar is not installed")
def test_another_decoder_has_a_journal_of_its_own(probed: tuple[Path, Done], tmp_path: Path) -> None:
    root, _ = probed
    shutil.copytree(cell(root, "json_schema"), tmp_path / "cell")
    assert command("lockin", f"run={tmp_path / 'cell'}", "decoder=xgrammar").code == 0
    found = pd.read_parquet(tmp_path / "cell" / "mass.parquet")
    assert found.decoder.str.split().str[0].value_counts().to_dict().keys() == {"outlines", "xgrammar"}
    wide = found.pivot_table(index=["request_key", "position"], columns="decoder", values="left")
    assert (wide.iloc[:, 0] - wide.iloc[:, 1]).abs().max() < 1e-5, "the same language under both"


def test_what_is_lost_is_computed_again(probed: tuple[Path, Done], tmp_path: Path) -> None:
    root, _ = probed
    place = tmp_path / "cell"
    shutil.copytree(cell(root, "json_schema"), place)
    whole, journal = (place / "mass.parquet").read_bytes(), place / "mass-outlines.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(lines[0].replace(b'"left":[-', b'"left":[-1', 1) + b"".join(lines[2:]) + lines[1][:40])
    done = command("lockin", f"run={place}")
    assert done.code == 0
    assert "damaged (checksum)" in done.err
    assert (place / "mass.parquet").read_bytes() == whole


def damaged(place: Path, change: Any) -> None:
    """Write the journal anew with some of its generations changed."""
    folder = RunFolder(place)
    kept = [change(number, one) for number, one in enumerate(folder.generations())]
    (place / "generations.jsonl").unlink()
    with folder:
        for one in kept:
            folder.append(one)


def test_bad_input_is_counted_by_its_type(made: Path, tmp_path: Path) -> None:
    from dataclasses import replace

    def change(number: int, one: Generation) -> Generation:
        if number == 0:
            return replace(one, token_ids=(), token_ends=())
        if number == 1:
            return replace(one, text=one.text + "!")
        return one

    place = tmp_path / "cell"
    shutil.copytree(cell(made, "json_schema"), place)
    damaged(place, change)
    done = command("lockin", f"run={place}")
    assert "no_token_ids 1, not_reproduced 1" in done.out
    found = pd.read_parquet(place / "mass.parquet")
    assert found.problem.value_counts().to_dict() == {"no_token_ids": 1, "not_reproduced": 1}
    assert found.request_key.nunique() == 4 * ITEMS


def test_mistakes_are_one_line(made: Path, bigram: Backbone, tmp_path: Path) -> None:
    free = tmp_path / "free"
    shutil.copytree(cell(made, "free_cot"), free)
    other = write_bigram(tmp_path / "other", CHARACTERS, matrix() + 1)
    packed = tmp_path / "packed"
    assert command("export", f"results={made}", "format=packed", f"output={packed}").code == 0
    for words, message in (
        ([f"results={free}"], "no reply in .* was held by a mask"),
        ([f"results={made}", "backbone=local", f"backbone.path={other.path}", "backbone.name=x"], "with other weights than"),
        ([f"results={packed}"], "is a packed study, which has no journal"),
        ([f"run={made}"], "is no run folder: give results="),
        ([f"results={made}", "decoder=magic"], "decoder=magic: allowed are outlines, xgrammar, guidance"),
        ([f"results={tmp_path / 'nowhere'}"], "holds no run folder"),
        ([f"results={made}", "probe=swop"], "probe=swop"),
        ([f"results={made}", f"run={free}"], "give results=FOLDER"),
    ):
        done = command("lockin", *words)
        assert done.code == 2, words
        assert re.search(message, done.error), done.err
    assert not list(made.rglob("mass*")), "nothing was written"


def test_a_cell_that_a_server_answered_names_no_weights(made: Path, tmp_path: Path) -> None:
    place = tmp_path / "cell"
    shutil.copytree(cell(made, "json_schema"), place)
    facts = json.loads((place / "manifest.json").read_text())
    (place / "manifest.json").write_text(json.dumps(facts | {"engine": {"engine": "server"}}))
    done = command("lockin", f"run={place}")
    assert (done.code, "its manifest names no weights" in done.error) == (2, True)
    assert [folder.path for folder in find_folders(place)] == [place]


def test_the_tables_and_the_page_have_what_was_found(probed: tuple[Path, Done], tmp_path: Path) -> None:
    root, _ = probed
    words = ("table=[mass,tokens,closing,aligned]", "figure=[]", f"output={tmp_path}", "draws=200")
    done = command("tables", f"results={root}", *words)
    assert done.code == 0, done.err
    mass = pd.read_csv(tmp_path / "appendix" / "mass.csv")
    whole = mass[(mass.part == "all") & (mass.condition == "json_schema")]
    raw = tokens(root, "json_schema")
    assert whole.tax_reply.to_numpy() == pytest.approx(-raw.left.sum() / raw.request_key.nunique(), rel=1e-6)
    assert whole.floor.to_numpy() == pytest.approx(-tokens(root, "sham").left.mean(), rel=1e-6)
    for name in ("tokens", "closing", "aligned"):
        assert (tmp_path / "appendix" / f"{name}.md").is_file(), done.err
    rows = load_rows(root)
    masked = rows[rows.condition == "json_schema"]
    assert masked.mass.map(len).tolist() == masked.token_ends.map(len).tolist() == masked.completion_tokens.tolist()
    assert rows[rows.condition == "free_cot"].mass.isna().all()
    assert "mass" not in pd.read_parquet(cell(root, "json_schema") / "rows.parquet"), "rows stay what scoring makes"
    page = command("tables", f"results={root}", "format=html", f"output={tmp_path}")
    assert page.code == 0, page.err


def test_a_pack_keeps_what_was_found(probed: tuple[Path, Done], tmp_path: Path) -> None:
    root, _ = probed
    assert command("export", f"results={root}", "format=packed", f"output={tmp_path / 'pack'}").code == 0
    rows, packed = load_rows(root), load_rows(tmp_path / "pack")
    key = ["condition", "item_id", "sample"]
    one, other = (some.set_index(key).sort_index().mass.dropna() for some in (rows, packed))
    assert one.map(list).to_dict() == other.map(list).to_dict()


def test_a_damaged_file_of_a_probe_is_named(probed: tuple[Path, Done], tmp_path: Path) -> None:
    root, _ = probed
    place = tmp_path / "cell"
    shutil.copytree(cell(root, "json_schema"), place)
    (place / "mass.parquet").write_bytes(b"PAR1 half")
    done = command("tables", f"results={place}", "table=[mass]", "figure=[]", f"output={tmp_path / 'o'}")
    assert done.code == 2
    assert "mass.parquet cannot be read as parquet" in done.error
