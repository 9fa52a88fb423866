"""The interface of a tracker. The libraries keep track of the open run themselves, so we need not."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any, Protocol

from fmtbench.errors import UserError

Values = Mapping[str, float]


class Tracker(Protocol):
    def start(self, experiment: str, name: str, settings: Mapping[str, Any]) -> None:
        """Open a run. Raises `UserError` if the library is not installed, before any weights are loaded."""

    def log(self, values: Values, step: int) -> None:
        """Report numbers by name, at a step that never decreases."""

    def finish(self, *, ok: bool) -> None:
        """Close the run."""


class NoTracker:
    """The default: reports nothing."""

    def start(self, experiment: str, name: str, settings: Mapping[str, Any]) -> None:
        pass

    def log(self, values: Values, step: int) -> None:
        pass

    def finish(self, *, ok: bool) -> None:
        pass


def library(name: str) -> Any:
    """Import the library of a tracker; each is an extra of that name. Raises `UserError` if it is not installed."""
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        raise UserError(f"tracker={name} needs a package that is not installed: pip install 'fmtbench[{name}]'") from error
