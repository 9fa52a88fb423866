"""Where torch is not installed, what needs it is skipped: this is how the light half runs under other versions of Python.

Where torch is installed, nothing here does anything.
"""

from __future__ import annotations

from collections.abc import Generator
from importlib.util import find_spec
from typing import Any

import pytest

LEFT_OUT = ("torch", "transformers", "accelerate", "sentence_transformers", "mteb", "sklearn", "peft", "bm25s")
ABSENT = {name for name in LEFT_OUT if find_spec(name) is None} if find_spec("torch") is None else set()


def absent(error: BaseException | None) -> str:
    """The module that the light half leaves out, and that this error misses; or nothing."""
    name = (error.name or "") if isinstance(error, ModuleNotFoundError) else ""
    return name if name.partition(".")[0] in ABSENT else ""


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Generator[None, Any, Any]:
    """A file that cannot be imported is skipped as a whole."""
    report = yield
    error = report.call.excinfo.value.__cause__ if report.failed else None
    if name := absent(error):
        report.outcome, report.longrepr = "skipped", (str(collector.path), 0, f"Skipped: needs {name}")
    return report


def skipping() -> Generator[None, Any, Any]:
    try:
        return (yield)
    except ModuleNotFoundError as error:
        if name := absent(error):
            pytest.skip(f"needs {name}")
        raise


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup() -> Generator[None, Any, Any]:
    return (yield from skipping())


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Generator[None, Any, Any]:
    return (yield from skipping())
