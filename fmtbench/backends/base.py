"""What every engine does: a backend describes it, a session is it with the weights loaded.

with backend.open(backbone) as session:
    for generation in session.generate(requests):
        ...
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Any, ClassVar, NamedTuple, Self

from fmtbench.backbone import Backbone
from fmtbench.errors import UserError
from fmtbench.price import Prices
from fmtbench.types import Constraint, Generation, Request


class Calls(NamedTuple):
    """How a backbone on an engine calls a tool that it is offered."""

    syntax: str
    """As `fmtbench.formats.calls.CALLS` has it; empty where it cannot."""
    why_not: str = ""
    """Why it cannot."""


class Backend(ABC):
    """The options of an engine. Building one is cheap and loads nothing."""

    sampler: ClassVar[str] = ""
    """The version of its own sampling, in the keys of requests that draw; empty where the engine's version tells."""

    @abstractmethod
    def identity(self, backbone: Backbone, constraint: Constraint | None) -> str:
        """What determines this engine's output besides the request, as text for the request's key.

        Finds the weights without reading them into memory: raises `UserError` where there are none.
        """

    def identity_of(self, backbone: Backbone, constraint: Constraint | None, temperature: float) -> str:
        """The identity that a request of this temperature carries."""
        identity = self.identity(backbone, constraint)
        if temperature == 0 or not self.sampler:
            return identity
        return json.dumps(json.loads(identity) | {"sampler": self.sampler})

    def capacity(self, backbone: Backbone) -> str:
        """What decides whether a request that failed can succeed, and changes no reply: context, device, batch.

        An error is final for as long as this stays the same: a request that was too long, or too much for a device's memory,
        is asked again where there is more room. It is no part of the request's key, since results do not depend on it.
        """
        return json.dumps({"context": backbone.context})

    def admit(self, backbone: Backbone, constraint: Constraint) -> dict[str, Any]:
        """Facts on a grammar that the engine can run, before it is opened. Raises `BarredError` for one that it cannot."""
        return {}

    def express(self, constraint: Constraint) -> None:
        """Raises `BarredError` for a constraint that this engine has no words for. It costs nothing, and compiles nothing."""
        return

    def why_too_long(self, backbone: Backbone, request: Request) -> str:
        """Why a request has no room in the context, where this machine can tell before weights are loaded; empty otherwise."""
        return ""

    @property
    def prices(self) -> Prices | None:
        """What tokens cost; None where nobody is paid for them."""
        return None

    def check_template(self, backbone: Backbone) -> None:
        """Raises `UserError` for arguments of the chat template that it does not read, or the engine does not pass on."""
        if backbone.chat_template_kwargs:
            raise UserError(
                f"{type(self).__name__} passes nothing on to a chat template: leave out backbone.chat_template_kwargs"
            )

    def why_unthinkable(self, *, budget: bool, masked: bool) -> str:
        """Why replies cannot begin with a thought here; empty where they can.

        `budget`: its tokens are counted, and its end is forced; `masked`: what follows it is held to a constraint.
        """
        return f"{type(self).__name__} keeps no thought apart: use backend=hf"

    def calls(self, backbone: Backbone) -> Calls:
        """How this backbone calls tools here."""
        return Calls("", f"{type(self).__name__} offers no tools: use backend=hf, vllm or server")

    def why_not_continued(self) -> str:
        """Why a reply that its request has begun (see `prefix`) cannot be continued here; empty where it can."""
        return f"{type(self).__name__} has no words for going on with a reply that is begun: use backend=hf or backend=vllm"

    @abstractmethod
    def open(self, backbone: Backbone) -> Session:
        """Load the weights. Raises `DecoderError` where constraints turn out not to bind."""


class Session(ABC):
    """An engine with a backbone's weights loaded, until it is closed."""

    def prepare(self, requests: Sequence[Request]) -> None:  # noqa: B027  # most engines take whatever a request has
        """Find out, before any is generated, what these requests need to know of the engine; `facts` tells it afterwards.

        Raises `UserError` for what the engine cannot be asked. `generate` does it by itself where nobody did.
        """

    @abstractmethod
    def generate(self, requests: Sequence[Request], at_most: int | None = None) -> Iterator[Generation]:
        """One generation for each request, yielded as it finishes, in any order.

        `at_most` bounds the requests in flight below the engine's own bound. Raises `EngineFault` where the engine stops and
        has to be started again; what was yielded before stays good.
        """

    @abstractmethod
    def facts(self) -> dict[str, Any]:
        """For the manifest: engine, weights, device, dtype, template hash, decoder, ..."""

    @abstractmethod
    def close(self) -> None:
        """Give the memory back. Closing twice does nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
