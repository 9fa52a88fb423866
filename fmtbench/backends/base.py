"""What every engine does: open a backbone, answer requests, close."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any

from fmtbench.backbone import Backbone
from fmtbench.types import Constraint, Generation, Request


class Backend(ABC):
    """An engine. Building one is cheap; `open` loads the weights."""

    @abstractmethod
    def engine(self, backbone: Backbone, constraint: Constraint | None) -> str:
        """What determines this engine's output besides the request, as text for the request's key.

        Reads no weights into memory, but finds them: raises `UserError` where there are none.
        """

    def admit(self, backbone: Backbone, constraint: Constraint) -> dict[str, Any]:
        """Before `open`: facts on a grammar that the engine can do. Raises `RefusedError` for one that it cannot."""
        return {}

    @abstractmethod
    def open(self, backbone: Backbone) -> None:
        """Load the weights, and prove on one tiny constraint that constraints bind."""

    @abstractmethod
    def generate(self, requests: Sequence[Request], at_most: int | None = None) -> Iterator[Generation]:
        """One generation for each request, yielded as it finishes, in any order.

        `at_most` bounds the requests in flight below the engine's own bound. Raises `EngineFault` where the engine stops and
        has to be started again; what was yielded before stays good.
        """

    @abstractmethod
    def facts(self) -> dict[str, Any]:
        """For the manifest, after `open`: engine, device, dtype, template hash, ..."""

    @abstractmethod
    def close(self) -> None:
        """Give the memory back."""
