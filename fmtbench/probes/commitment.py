"""Commitment: when a reply's answer is decided. At each cut of its rationale, the model is asked for its answer at that point.

    {"key": "5d1c...", "request_key": "7d0f...", "readout": "own", "dtype": "float32", "candidates": ["12", "13"],
     "fractions": [0.0, 0.5, 1.0], "tokens": [0, 9, 17], "logprobs": [[-1.3, -2.0], [-0.9, -3.1], [-0.1, -6.4]]}

Nothing is generated: each candidate is read after the prefix, which is read once, and gets the probability of its tokens and of
the token that ends the reply. There are two read-outs, and neither is neutral:

- `own` closes the rationale as the format does, and states the answer in its place: `", "answer": 12}`, or `The answer is 12.`
- `turn` shows the model its reply up to the cut, and asks in another user turn, in the same words for every condition.

Reading answers off a cut chain of thought is what Lanham et al. (2023, arXiv 2307.13702) call early answering.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import takewhile
from typing import Any, Literal

import torch
from pydantic import ConfigDict, Field, field_validator
from pydantic.dataclasses import dataclass as checked_dataclass

from fmtbench.answers import AnswerKind, Record
from fmtbench.backbone import Backbone
from fmtbench.backends.special import special_tokens
from fmtbench.conditions.begun import cut, stated_after, why_not_begun, written
from fmtbench.conditions.condition import Condition
from fmtbench.probes.endings import log_probabilities
from fmtbench.probes.replay import ExactDtype, Reference
from fmtbench.probes.swap import UncutError, cuttable, in_order
from fmtbench.store.folder import Planned
from fmtbench.types import Generation, Message

Readout = Literal["own", "turn"]
DIGITS = 9
"""The decimals of numbers in a record."""
NOTHING_YET = "..."
"""Stands in for a reply that has not begun, before the further turn: chat templates reject empty ones."""
APART = ("1", "2")
"""Two answers without a common prefix that every format can write."""


@dataclass(frozen=True, kw_only=True)
class CommitmentRecord:
    """One reply under one read-out: a line of `commitment.jsonl`. F fractions, C candidates."""

    key: str
    """See `CommitmentProbe.record_key`."""
    request_key: str
    readout: Readout
    dtype: str
    """The dtype of the weights."""
    problem: str | None = None
    """Why there are no numbers; the lists are then empty."""
    candidates: tuple[str, ...] = ()
    fractions: tuple[float, ...] = ()
    tokens: tuple[int, ...] = ()
    """The tokens of the rationale up to each cut."""
    logprobs: tuple[tuple[float, ...], ...] = ()
    """F x C: ln p of each candidate, including the token that ends the reply."""


def record_of(line: Mapping[str, Any]) -> CommitmentRecord:
    """The record that a line holds."""
    lists = {name: tuple(line[name]) for name in ("candidates", "fractions", "tokens")}
    return CommitmentRecord(**{**line, **lists, "logprobs": tuple(map(tuple, line["logprobs"]))})


@checked_dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class CommitmentSettings:
    """Where rationales are cut, and how the answer is asked for. Building it loads nothing."""

    fractions: tuple[float, ...] = (0.0, 0.25, 0.5, 0.75, 1.0)
    words: int = Field(default=5, gt=0)
    """A rationale is cut only if it has at least this many words."""
    samples: int = Field(default=1, gt=0)
    """How many replies to each item are read, from the first on; all replies give candidates."""
    question: str = "Stop here. What is the answer to the question? Reply with only the answer."
    """The question of the further turn."""
    statement: str = "The answer is {answer}."
    """The answer to it, with each candidate in place of `{answer}`."""
    dtype: ExactDtype = "float32"
    device: str = "auto"

    @field_validator("fractions")
    @classmethod
    def _in_order(cls, given: tuple[float, ...]) -> tuple[float, ...]:
        return in_order(given)

    @field_validator("statement")
    @classmethod
    def _states_an_answer(cls, given: str) -> str:
        if given.count("{answer}") != 1:
            raise ValueError("must hold {answer} once: it stands for each candidate")
        return given

    def open(self, backbone: Backbone) -> CommitmentProbe:
        """Find the weights, which are read once there is something to measure. Raises `UserError` if there are none."""
        device = ("cuda" if torch.cuda.is_available() else "cpu") if self.device == "auto" else self.device
        return CommitmentProbe(Reference(backbone, dtype=self.dtype, device=device), self)


@dataclass(frozen=True, kw_only=True)
class ReadReply:
    """A reply whose answer is read at its cuts."""

    planned: Planned
    generation: Generation | None
    condition: Condition
    kind: AnswerKind
    candidates: tuple[str, ...]
    final: str | None = None
    """Its final answer, by the latent reading."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A reply and a read-out whose record is missing."""

    reply: ReadReply
    readout: Readout
    key: str


class CommitmentProbe:
    """A model that is asked at every cut, for the cells of one backbone."""

    def __init__(self, reference: Reference, settings: CommitmentSettings) -> None:
        self.reference, self.settings = reference, settings

    @cached_property
    def _special(self) -> Any:
        return special_tokens(self.reference.tokenizer)

    def record_key(self, reply: ReadReply, readout: Readout) -> str:
        """sha256 of everything that determines the numbers: request, weights, dtype, read-out, candidates, cuts, question."""
        own, settings = [reply.planned.request.key, self.reference.fingerprint, self.reference.dtype, readout], self.settings
        asked = [settings.question, settings.statement] if readout == "turn" else []
        cuts = [list(settings.fractions), settings.words]
        return hashlib.sha256(json.dumps([*own, list(reply.candidates), *cuts, *asked]).encode()).hexdigest()

    def missing(self, replies: Iterable[ReadReply], readouts: Sequence[Readout], done: Collection[str] = ()) -> Iterator[Asked]:
        for reply in replies:
            for readout in readouts:
                if (key := self.record_key(reply, readout)) not in done:
                    yield Asked(reply=reply, readout=readout, key=key)

    # -- the pass

    def measure(self, asked: Iterable[Asked]) -> Iterator[CommitmentRecord]:
        """One record for each, in order."""
        for one in asked:
            blank = CommitmentRecord(
                key=one.key, request_key=one.reply.planned.request.key, readout=one.readout, dtype=self.reference.dtype
            )
            rationale, problem = self.rationale(one.reply)
            yield replace(blank, problem=problem) if problem else self._read_out(one, rationale, blank)

    def rationale(self, reply: ReadReply) -> tuple[str, str | None]:
        """The rationale to cut, or an empty one and the first reason why it cannot be cut."""
        if why := why_not_begun(reply.condition):
            return "", why.partition(":")[0]
        if isinstance(reply.kind, Record):
            return "", "several_fields"
        try:
            said = cuttable(reply.condition, reply.generation, reply.kind, words=self.settings.words, special=self._special)
        except UncutError as error:
            return "", error.why
        if any(map(self._special.search, reply.candidates)):
            return "", "special_in_answer"
        return said, None if len(reply.candidates) > 1 else "one_candidate"

    def _read_out(self, one: Asked, rationale: str, blank: CommitmentRecord) -> CommitmentRecord:
        prefixes = [cut(rationale, fraction) for fraction in self.settings.fractions]
        texts = [self.texts(one, prefix) for prefix in prefixes]
        if any(len(before) + max(map(len, endings)) > self.reference.context for before, endings in texts):
            return replace(blank, problem="too_long")
        logprobs = [log_probabilities(self.reference, before, endings) for before, endings in texts]
        return replace(
            blank,
            candidates=one.reply.candidates,
            fractions=self.settings.fractions,
            tokens=tuple(len(self._ids(prefix)) for prefix in prefixes),
            logprobs=tuple(tuple(round(value, DIGITS) for value in line) for line in logprobs),
        )

    def texts(self, one: Asked, prefix: str) -> tuple[list[int], list[list[int]]]:
        """The tokens before all candidates, and those of each candidate."""
        reply, request = one.reply, one.reply.planned.request
        begun = written(reply.condition, prefix)
        if one.readout == "own":
            chat, lead, state = self.reference.prompt(request), begun, partial(closed, reply, begun)
        else:
            said = Message(role="assistant", content=begun or NOTHING_YET)
            turns = (*request.messages, said, Message(role="user", content=self.settings.question))
            chat, lead, state = (
                self.reference.prompt(replace(request, messages=turns)),
                "",
                partial(stated, self.settings.statement),
            )
        same = state(APART[0])[: alike([state(answer) for answer in APART])]
        texts = [lead + state(answer) for answer in reply.candidates]
        shared, endings = parted(self.reference.tokenizer, texts, len((lead + same).rstrip()))
        return [*chat, *shared], endings

    def _ids(self, text: str) -> list[int]:
        return list(self.reference.tokenizer(text, add_special_tokens=False)["input_ids"])


def closed(reply: ReadReply, begun: str, answer: str) -> str:
    """What a reply of this format says after its rationale, with the answer; without a rationale, it has no leading space."""
    closing = stated_after(reply.condition, reply.kind, answer)
    return closing if begun else closing.lstrip()


def stated(statement: str, answer: str) -> str:
    return statement.replace("{answer}", answer)


def parted(tokenizer: Any, texts: Sequence[str], end: int) -> tuple[list[int], list[list[int]]]:
    """The tokens of texts that agree up to the character `end`: those shared by all up to there, and the rest of each.

    A token that extends past `end` belongs to the rest, since other texts may have another token there.
    """
    encoded = [tokenizer(text, add_special_tokens=False, return_offsets_mapping=True) for text in texts]
    before = [sum(stop <= end for _, stop in one["offset_mapping"]) for one in encoded]
    shared = alike([one["input_ids"][: min(before)] for one in encoded])
    return encoded[0]["input_ids"][:shared], [one["input_ids"][shared:] for one in encoded]


def alike(sequences: Sequence[Sequence[Any]]) -> int:
    """The length of the common prefix."""
    return sum(1 for _ in takewhile(lambda at: len(set(at)) == 1, zip(*sequences)))
