"""Requests in, generations out: what everything that asks a model shares, whatever it asks.

todo = unanswered(planned, folder.done())
with SupervisedSession(backend, backbone) as session:
    answer(session, [(folder.append, todo)], watch)
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Sequence

from fmtbench.backends.base import Session
from fmtbench.running.fuse import fused
from fmtbench.store.folder import Planned
from fmtbench.types import Generation, Request, Watch

Keep = Callable[[Generation], None]
"""Writes a generation down where it belongs."""


def request_seed(seed: int, item_id: str, sample: int) -> int:
    """The seed of one request alone: independent of the order and number of the others, and of the condition."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{item_id}/{sample}".encode()).digest()[:7], "big")


def swap_seed(seed: int, item_id: str, sample: int) -> int:
    """That of a reply which goes on from a prefix: the noise of the reply that the prefix is from is not drawn again."""
    return request_seed(seed, f"{item_id}/swap", sample)


def unanswered(planned: Sequence[Planned], done: Container[str]) -> list[Request]:
    """The requests of a plan whose keys are not among those done, each once."""
    wanted = {one.request.key: one.request for one in planned}
    return [request for key, request in wanted.items() if key not in done]


def answer(session: Session, todo: Iterable[tuple[Keep, Sequence[Request]]], watch: Watch) -> None:
    """Send all requests through the session as one stream; one that several ask for is generated once and kept by each.

    Raises `ServerError` where the engine's failures are not believed (see `fuse`).
    """
    owners: dict[str, list[Keep]] = defaultdict(list)
    stream: dict[str, Request] = {}
    for keep, requests in todo:
        for request in requests:
            owners[request.key].append(keep)
            stream[request.key] = request
    if stream:
        for generation in watch(len(stream), fused(session.generate(list(stream.values())))):
            for keep in owners[generation.key]:
                keep(generation)
