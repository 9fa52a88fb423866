"""What every engine does: a backend describes it, and a session is the engine with the weights loaded.

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
    """The syntax, as in `fmtbench.formats.calls.CALLS`; empty if it cannot."""
    why_not: str = ""
    """Why it cannot."""


class Backend(ABC):
    """The options of an engine. Building one is cheap and loads nothing."""

    sampler: ClassVar[str] = ""
    """The version of its own sampling, in the keys of requests that draw; empty if the engine's version tells."""

    @abstractmethod
    def identity(self, backbone: Backbone, constraint: Constraint | None) -> str:
        """What determines this engine's output besides the request, as text for the request's key.

        Finds the weights without reading them into memory; raises `UserError` if there are none.
        """

    def identity_of(self, backbone: Backbone, constraint: Constraint | None, temperature: float) -> str:
        """The identity that a request of this temperature carries."""
        identity = self.identity(backbone, constraint)
        if temperature == 0 or not self.sampler:
            return identity
        return json.dumps(json.loads(identity) | {"sampler": self.sampler})

    def capacity(self, backbone: Backbone) -> str:
        """What decides whether a failed request can succeed, but changes no reply: context, device, batch.

        An error is final for as long as this stays the same: a request that was too long, or too much for a device's memory,
        is asked again where there is more room. It is no part of the request's key, since results do not depend on it.
        """
        return json.dumps({"context": backbone.context})

    def admit(self, backbone: Backbone, constraint: Constraint) -> dict[str, Any]:
        """Facts about a grammar that the engine can run, before it is opened. Raises `BarredError` for one that it cannot."""
        return {}

    def express(self, constraint: Constraint) -> None:
        """Raises `BarredError` for a constraint that this engine cannot express. Costs nothing, and compiles nothing."""
        return

    def why_too_long(self, backbone: Backbone, request: Request) -> str:
        """Why a request does not fit into the context, if this machine can tell before loading weights; empty otherwise."""
        return ""

    @property
    def prices(self) -> Prices | None:
        """What tokens cost; None if they cost nothing."""
        return None

    def check_template(self, backbone: Backbone) -> None:
        """Raises `UserError` for arguments of the chat template that it does not read, or that the engine does not pass on."""
        if backbone.chat_template_kwargs:
            raise UserError(
                f"{type(self).__name__} passes nothing on to a chat template: leave out backbone.chat_template_kwargs"
            )

    def why_unthinkable(self, *, budget: bool, masked: bool) -> str:
        """Why replies cannot begin with a thought here; empty if they can.

        `budget`: its tokens are counted, and its end is forced; `masked`: what follows it is held to a constraint.
        """
        return f"{type(self).__name__} keeps no thought apart: use backend=hf"

    def calls(self, backbone: Backbone) -> Calls:
        """How this backbone calls tools here."""
        return Calls("", f"{type(self).__name__} offers no tools: use backend=hf, vllm or server")

    def why_not_continued(self) -> str:
        """Why a reply that its request has begun (see `prefix`) cannot be continued here; empty if it can."""
        return f"{type(self).__name__} has no words for going on with a reply that is begun: use backend=hf or backend=vllm"

    @abstractmethod
    def open(self, backbone: Backbone) -> Session:
        """Load the weights. Raises `DecoderError` if constraints turn out not to bind."""


class Session(ABC):
    """An engine with a backbone's weights loaded, until it is closed."""

    def prepare(self, requests: Sequence[Request]) -> None:  # noqa: B027  # most engines take whatever a request has
        """Find out what these requests need to know about the engine before any is generated; `facts` then contains it.

        Raises `UserError` for requests that the engine cannot take. `generate` calls it if nobody has.
        """

    @abstractmethod
    def generate(self, requests: Sequence[Request], at_most: int | None = None) -> Iterator[Generation]:
        """One generation for each request, yielded as it finishes, in any order.

        `at_most` bounds the requests in flight below the engine's own bound. Raises `EngineFault` if the engine stops and
        has to be restarted; what was yielded before remains valid.
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
