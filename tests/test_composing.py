"""Composing fast composes the same: every YAML reads as it did, and the mode is what Hydra would find."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf

from experiments.starting.composing import hasten, quick_loader, slow_loader, slow_mode
from experiments.starting.start import register
from fmtbench.presets import CONF

TRICKY = """
floats: [1e3, 1_000.5, .5, -.inf, .nan, 1:30.5]
words: [yes, No, on, 2026-11-28, 0o17, 0x1F, 012, ~, 1_000]
text: |
  two
   lines # with no comment
missing: ???
filled: ${oc.env:HOME}
"""


def typed(node: Any) -> Any:
    """A value with the types in it, since 1 is True and no NaN is itself."""
    if isinstance(node, dict):
        return {typed(key): typed(value) for key, value in node.items()}
    return [typed(one) for one in node] if isinstance(node, list) else (type(node), repr(node))


def test_every_file_reads_as_it_did() -> None:
    texts = [path.read_text("utf-8") for path in CONF.rglob("*.yaml") if path.stat().st_size < 2500]
    assert len(texts) > 200
    for text in (TRICKY, *texts):
        assert typed(yaml.load(text, quick_loader())) == typed(yaml.load(text, slow_loader()))
    with pytest.raises(yaml.constructor.ConstructorError, match="found duplicate key a"):
        yaml.load("a: 1\na: 2", quick_loader())
    hasten()
    assert OmegaConf.create("a: 1e3").a == 1000.0


def hydra(*places: str) -> Hydra:
    search = create_config_search_path(str(CONF))
    for place in places:
        search.prepend(provider="command-line", path=place)
    return Hydra.create_main_hydra2(task_name="run", config_search_path=search)


@pytest.mark.parametrize("words", [["hydra.mode=MULTIRUN"], ["experiment=mine"], ["seed=3"], ["experiment=quickstart"]], ids=str)
def test_the_mode_is_the_one_that_hydra_finds(tmp_path: Path, words: list[str]) -> None:
    """Of a user's own folder, too, whose files may set it."""
    register()
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "mine.yaml").write_text("# @package _global_\nhydra: {mode: MULTIRUN}\n")
    own = [f"file://{tmp_path}"] if "mine" in words[0] else []
    try:
        here = hydra(*own)
        expected = slow_mode(here, "run", words)
        assert (expected is not None) == (words[0] in ("hydra.mode=MULTIRUN", "experiment=mine"))
        assert here.get_mode("run", words) == expected
    finally:
        GlobalHydra.instance().clear()


def test_no_yaml_of_ours_sets_it() -> None:
    texts = [path.read_text("utf-8") for path in CONF.rglob("*.yaml")]
    assert not [text for text in texts if "hydra:" in text and "mode" in (yaml.load(text, quick_loader()).get("hydra") or {})]
