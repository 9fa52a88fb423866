"""Whole commands on a real llama.cpp: every condition runs or says why not, and the quickstart's table has the signs of hf."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from fmtbench.backends.llamacpp import LlamaCpp
from fmtbench.store.folder import find_folders
from tests.commanding import command
from tests.conftest import FAST

pytest.importorskip("xllamacpp")
pytestmark = [pytest.mark.model, pytest.mark.slow]
CLEAR = 0.1
"""Of a difference on the quickstart's 40 items: its standard error where two replies in five differ."""


@pytest.fixture(scope="module")
def served(backbone: Any) -> Iterator[tuple[str, ...]]:
    """The words that say where the model is served."""
    with LlamaCpp(parallel=4).open(backbone) as session:
        url, model = f"{session.engine.listening_address}/v1", backbone.resolve().gguf
        yield "backend=server", f"backend.url={url}", f"backend.model={model}", "backend.concurrency=4"


@pytest.mark.parametrize("dialect", ["llamacpp", "openai"])
def test_every_condition_runs_or_is_refused_with_its_reason(tmp_path: Path, served: tuple[str, ...], dialect: str) -> None:
    words = (*served, f"backend.dialect={dialect}", "limit=3", f"results={tmp_path}")
    done = command("run", "experiment=every_condition", *words)
    assert done.code == 0, done.err[-3000:]
    folders = {folder.path.parent.name: folder for folder in find_folders(tmp_path)}
    barred = {name: str(folder.manifest().get("barred", "")) for name, folder in folders.items()}
    rows = pd.concat([pd.read_parquet(path) for path in tmp_path.rglob("rows.parquet")])
    called = rows.condition.str.startswith("tool_")  # whether it takes tools is a setting of a server
    assert not (rows[~called].status == "engine_error").any()
    for name, why in barred.items():
        assert ((rows.condition == name).sum() == 3) == (not why), (name, why)
    assert all(
        re.search("thinks|backend.dialect=openai sends JSON schemas|remedy=first_valid|formatter=other", why)
        for why in barred.values()
        if why
    )
    whole = rows.condition.str.match("json_schema|own_schema") & ~rows.condition.str.contains("reconsidered|unenforced|retry")
    enforced = rows[whole & (rows.finish_reason == "stop")]
    assert len(enforced) > 20
    assert all(isinstance(json.loads(text), dict) for text in enforced.text)


def test_the_quickstart_has_the_signs_of_hf(tmp_path: Path, served: tuple[str, ...]) -> None:
    for name, words in {"hf": (FAST,), "served": (*served, "backend.dialect=llamacpp")}.items():
        done = command("run", *words, f"results={tmp_path}", f"name={name}")
        assert done.code == 0, done.err[-3000:]
    hf, other = (differences(tmp_path / name) for name in ("hf", "served"))
    clear = hf[hf.abs() > CLEAR]
    assert len(clear) >= 3
    assert (clear * other[clear.index] > 0).all(), pd.concat([hf, other], axis=1)


def differences(results: Path) -> "pd.Series[float]":
    """Latent accuracy of each condition less that of free text, by task and condition."""
    rows = pd.concat([pd.read_parquet(path) for path in results.rglob("rows.parquet")])
    means = rows.groupby(["task", "condition"]).latent_correct.mean().unstack()
    return means.sub(means["free_cot"], axis=0).drop(columns="free_cot").stack()
