"""The hub out of reach: one line, within three seconds, whatever the libraries would try again."""

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from experiments.starting.build import build_group
from fmtbench import hub
from fmtbench.backbone import Backbone
from fmtbench.errors import UserError
from tests.commanding import command
from tests.conftest import composed
from tests.http_server import serving


@pytest.fixture(autouse=True)
def online(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """As without the tests' own setting, with empty caches."""
    for name in ("HF_HUB_OFFLINE", "HF_DATASETS_CACHE", "HF_HUB_CACHE"):
        monkeypatch.setenv(name, "")
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    hub._tried.cache_clear()
    hub._asked_offline.clear()
    yield
    hub._tried.cache_clear()
    hub._asked_offline.clear()


@contextmanager
def silent() -> Iterator[str]:
    """An address that takes connections and never says anything."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def test_a_hub_that_never_answers_is_one_line_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    (task,) = build_group(composed("task=[gsm8k]").task).values()
    with silent() as url:
        monkeypatch.setenv("HF_ENDPOINT", url)
        started = time.monotonic()
        with pytest.raises(UserError, match="cannot load openai/gsm8k from the hub"):
            task.items()
        with pytest.raises(UserError, match=r"cannot find backbone nobody/nothing .*does not answer.*set backbone\.path"):
            Backbone(name="m", hub_id="nobody/nothing").resolve()
        assert time.monotonic() - started < 3, "it is asked once, for two seconds"


def test_the_command_says_it_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    with silent() as url:
        monkeypatch.setenv("HF_ENDPOINT", url)
        done = command("run", "task=[gsm8k]", "backend=scripted", "limit=2", "name=x")
    assert done.code == 2
    (line,) = done.err.splitlines()
    assert line.startswith(f"error: cannot load openai/gsm8k from the hub ({url} does not answer within 2 s")
    assert "check the network or set data_root to the folder that holds" in line


def test_a_refused_connection_needs_no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    with silent() as url:
        pass  # closed again
    monkeypatch.setenv("HF_ENDPOINT", url)
    started = time.monotonic()
    assert hub.out_of_reach().startswith(f"{url} does not answer: ")
    assert time.monotonic() - started < hub.SECONDS


def test_a_hub_that_answers_anything_is_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    """The null: nobody is sent offline by a hub that is there."""
    import os

    with serving() as seen:
        monkeypatch.setenv("HF_ENDPOINT", seen.url)
        assert hub.out_of_reach() == ""
        assert os.environ["HF_HUB_OFFLINE"] == ""


def test_who_asked_to_be_offline_is_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert hub.out_of_reach() == "HF_HUB_OFFLINE is set"
    assert not hub._tried.cache_info().misses


def test_what_is_cached_is_left_to_those_who_can_read_it(tmp_path: Path) -> None:
    assert not hub.may_be_cached("openai/gsm8k")
    (tmp_path / "datasets" / "openai___gsm8k").mkdir(parents=True)
    assert hub.may_be_cached("openai/gsm8k")
    (tmp_path / "hub" / "datasets--openai--other").mkdir(parents=True)
    assert hub.may_be_cached("openai/other")
