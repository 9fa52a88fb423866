"""Malformed configs: exit code 2 and one line before any work, whatever the command."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.commanding import command

FEW = ("backend=scripted", "task=[addition]", "condition=[direct]", "limit=1", "name=x")
BAD = [
    ("run", "backbone.name=null", "backbone.name=null: give the name"),
    ("run", "name=null", "name"),
    ("run", "+foo=1", "foo is no key of run"),
    ("run", "+samplng=1", "did you mean sampling?"),
    ("run", "planned=[{condition: nope}]", "planned=nope: it is no condition"),
    ("run", "planned=[{condition: direct, reference: nope}]", "planned=nope: it is no condition"),
    ("run", "planned=[5]", "planned=5: it is no condition"),
    ("run", "limit=1.5", "limit"),
    ("run", "limit=0", "limit=0: give a number"),
    ("run", "sampling=null", "a group is chosen by name"),
    ("run", "backbone=null", "a group is chosen by name"),
    ("run", "backend.foo=1", "backend.foo is no key"),
    ("run", "+backend.foo=1", "unexpected keyword argument 'foo'"),
    ("run", "task.addition.size=x", "addition.size: Input should be a valid integer"),
    ("run", "+task.addition.foo=x", "addition.foo"),
    ("run", "results=", "results=: give a folder"),
    ("run", "compile.seconds=nan", "compile.seconds=nan: give a number above 0"),
    ("run", "compile.memory_gb=-1", "compile.memory_gb=-1"),
    ("run", "name=a/b", "cannot be a folder name"),
    ("run", "backbone.context=0", "backbone.context"),
    ("run", "shards=0", "shards=0: give a number above 0"),
    ("run", "seed=1e400", "seed"),
    ("plan", "+foo=1", "foo is no key of plan"),
    ("lint", "+schema.foo.bar=1", "schema.foo.bar is no key of schema: allowed are path, model, source"),
    ("run", "++compile.secnds=3", "compile.secnds is no key of compile: did you mean seconds?"),
    ("bench", "pairs=0", "pairs=0: give a number above 0"),
    ("decoders", "walks=x", "walks"),
    ("decoders", "walks=-1", "walks=-1"),
    ("decoders", "output=/proc/x/y", "output=/proc/x/y: cannot write below"),
    ("bench", "output=/sys/x", "output=/sys/x: cannot write below"),
    ("tables", "results=5", "results=5: give a folder"),
    ("tables", "results=[]", "names no folder"),
    ("simulate", "rounds=0", "rounds=0"),
    ("coverage", "max_tokens=-1", "max_tokens=-1"),
    ("synthesize", "output=/proc/x/y", "cannot write below"),
    ("train", "output=/proc/x/y", "cannot write below"),
]


@pytest.mark.parametrize(
    ("name", "word", "complaint"),
    [pytest.param(*case, marks=() if k % 9 == 0 else pytest.mark.slow) for k, case in enumerate(BAD)],
)
def test_a_malformed_config_ends_before_any_work(tmp_path: Path, name: str, word: str, complaint: str) -> None:
    words = (*FEW, word) if name in ("run", "plan") else (word,)
    results = () if name in ("tables", "simulate", "train", "bench") or "results=" in word else (f"results={tmp_path / 'r'}",)
    done = command(name, *words, *results)
    assert done.code == 2, done.err
    assert complaint in done.error
    assert not (tmp_path / "r").exists()


def test_a_planned_contrast_of_another_run_is_fine(tmp_path: Path) -> None:
    words = ("planned=[json_schema,{condition: direct, reference: json_prompt}]", f"results={tmp_path}")
    assert command("run", *FEW, *words).code == 0
