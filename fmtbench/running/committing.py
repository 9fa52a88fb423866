"""What the commitment probe reads (probes/commitment.py): the replies of cells that have run, with the candidates of their items.

An item has the same candidates in every cell that is given: what its replies answer, under any condition, by the latent reading.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import cache

from fmtbench.answers import AnswerKind, Record
from fmtbench.probes.candidates import candidates
from fmtbench.probes.commitment import ReadReply
from fmtbench.readers.latent import read_latent
from fmtbench.running.passes import answered
from fmtbench.running.swapping import Ran
from fmtbench.store.folder import Planned, RunFolder
from fmtbench.types import Generation, Item

Candidates = dict[tuple[str, str], tuple[str, ...]]
"""By task and item."""


def read_replies(ran: Sequence[Ran], samples: int) -> Iterator[tuple[RunFolder, list[ReadReply]]]:
    """For each cell, the first `samples` replies to each of its items; greedy samples of an item are one."""
    journals = [(one, one.folder.requests(), {said.key: said for said in one.folder.generations()}) for one in ran]
    among = _candidates(journals)
    for one, planned, said in journals:
        wanted = {each.request.key: each for each in reversed(planned) if not each.after and each.sample < samples}
        yield (
            one.folder,
            [
                ReadReply(
                    planned=each,
                    generation=said.get(each.request.key),
                    condition=one.condition,
                    kind=one.task.kind(each.item),
                    candidates=among[one.cell.task, each.item.id],
                    final=_final(said.get(each.request.key), one.task.kind(each.item)),
                )
                for each in reversed(wanted.values())
            ],
        )


def _candidates(journals: Sequence[tuple[Ran, Sequence[Planned], Mapping[str, Generation]]]) -> Candidates:
    items: dict[tuple[str, str], tuple[AnswerKind, Item]] = {}
    said: dict[tuple[str, str], list[str]] = defaultdict(list)
    for one, planned, done in journals:
        kind_of = cache(one.task.kind)
        for each in planned:
            items[one.cell.task, each.item.id] = (kind_of(each.item), each.item)
        for last in answered(planned, done, one.condition, one.task):
            item = last.planned.item
            if (answer := _final(last.generations[-1], kind_of(item))) is not None:
                said[one.cell.task, item.id].append(answer)
    return {
        place: () if isinstance(kind, Record) else candidates(kind, item, said[place]) for place, (kind, item) in items.items()
    }


def _final(reply: Generation | None, kind: AnswerKind) -> str | None:
    """What a reply answers; nothing where it was cut, since its last number is none, or where it holds several fields."""
    if reply is None or reply.finish_reason != "stop" or isinstance(kind, Record):
        return None
    return read_latent(reply.text, kind).answer
