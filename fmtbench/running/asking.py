"""Requests in, journalled generations out: what everything that asks a model shares, whatever it asks.

todo = unanswered(planned, folder.done())
answer(backend, backbone, [(folder, todo)], watch)      # the backend is open
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Container, Iterable, Sequence

from fmtbench.backbone import Backbone
from fmtbench.backends.base import Backend
from fmtbench.backends.supervise import supervised
from fmtbench.store.folder import Planned, RunFolder
from fmtbench.types import Request, Watch


def request_seed(seed: int, item_id: str, sample: int) -> int:
    """The seed of one request alone: independent of the order and number of the others, and of the condition."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{item_id}/{sample}".encode()).digest()[:7], "big")


def unanswered(planned: Sequence[Planned], done: Container[str]) -> list[Request]:
    """The requests of a plan whose keys are not among those done, each once."""
    wanted = {one.request.key: one.request for one in planned}
    return [request for key, request in wanted.items() if key not in done]


def answer(backend: Backend, backbone: Backbone, todo: Iterable[tuple[RunFolder, Sequence[Request]]], watch: Watch) -> None:
    """One stream through one open engine; a request that two folders share is generated once and journalled in both."""
    owners: dict[str, list[RunFolder]] = defaultdict(list)
    stream: dict[str, Request] = {}
    for folder, requests in todo:
        for request in requests:
            owners[request.key].append(folder)
            stream[request.key] = request
    if stream:
        for generation in watch(len(stream), supervised(backend, backbone, list(stream.values()))):
            for folder in owners[generation.key]:
                folder.append(generation)
