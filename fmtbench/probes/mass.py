"""Removed mass: the probability that a mask removes from a model's next-token distribution, at each token of its replies.

    {"key": "5d1c...", "request_key": "7d0f...", "against": "own", "decoder": "outlines 1.3.0 ...", "dtype": "float32",
     "left": [-6.01, -0.0002, ...], "logprob": [-6.4, ...], "override": [1, 0, ...], "top": [42, ...], "allowed": [3, ...], ...}

Z_t is the mass of the allowed tokens at position t, -ln Z_t is the tax in nats, and an override is a position whose most likely
token is forbidden. One forward pass over prompt and reply gives all of them, with the grammar's masks replayed alongside; nothing
is generated. A reply is compared with one of:

- `own`, the grammar that it was generated under;
- `string`, for a free rationale: at every position, the mask that applies inside the rationale's string under the JSON schema.
  This is what an alphabet without raw line breaks would have cost it, in its own context;
- `schema`, for a reply that was only asked for JSON: the grammar of the same object, up to the first token that it forbids.

The weights prod Z_t at the request's temperature turn draws under the mask into draws from the model given the grammar
(Park et al. 2024, arXiv 2405.21047, call that grammar-aligned). Shapes: P positions of a chunk, V tokens of the vocabulary.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import torch
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass as checked_dataclass

from fmtbench.answers import AnswerKind
from fmtbench.backbone import Backbone
from fmtbench.conditions.condition import Condition
from fmtbench.decoding.decoders import DecoderName, masks_version, token_bytes
from fmtbench.decoding.sandbox import Limits
from fmtbench.errors import BarredError
from fmtbench.probes.masks import Masks
from fmtbench.probes.replay import Chunk, ExactDtype, Reference
from fmtbench.probes.replies import ProbedReply, Problem, problem_of
from fmtbench.types import Constraint

Against = Literal["own", "string", "schema"]
DIGITS = 9
"""The decimals of numbers in a record."""
LISTS = ("left", "left_own", "logprob", "override", "top", "allowed", "breaks")
"""The fields of a record with a value for each token."""


@dataclass(frozen=True, kw_only=True)
class MassRecord:
    """One reply: a line of `mass-<decoder>.jsonl`. Lists have one value per token reached."""

    key: str
    """See `record_key`."""
    request_key: str
    against: Against
    decoder: str
    """The library that made the masks, with its version."""
    dtype: str
    """The dtype of the weights in this pass."""
    problem: Problem | None = None
    """Why there are no numbers; the lists are then empty."""
    left: tuple[float, ...] = ()
    """ln Z at temperature 1."""
    left_own: tuple[float, ...] = ()
    """ln Z at the request's temperature; empty for a greedy request."""
    logprob: tuple[float, ...] = ()
    """ln p of the reply's token, at temperature 1 and without the mask."""
    override: tuple[int, ...] = ()
    """1 where the most likely token is forbidden."""
    top: tuple[int, ...] = ()
    """The most likely token, allowed or not."""
    allowed: tuple[int, ...] = ()
    """How many tokens are allowed."""
    breaks: tuple[float, ...] = ()
    """The mass of tokens that write a line break, without the mask."""


@checked_dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class MassSettings:
    """How the pass is made. Building it loads nothing."""

    dtype: ExactDtype = "float32"
    """In bfloat16, the dtype of many models, Z was off by 0.003 on average and by 0.08 at worst (893 tokens of a small model)."""
    device: str = "auto"
    batch_tokens: int = Field(default=4096, gt=0)

    def open(self, backbone: Backbone, decoder: DecoderName, limits: Limits) -> MassProbe:
        """Find the weights, which are read once there is something to measure. Raises `UserError` if there are none."""
        device = ("cuda" if torch.cuda.is_available() else "cpu") if self.device == "auto" else self.device
        reference = Reference(backbone, dtype=self.dtype, device=device, batch_tokens=self.batch_tokens)
        return MassProbe(reference, Masks(backbone, decoder, reference.tokenizer, reference.vocabulary, limits))


def record_of(line: Mapping[str, Any]) -> MassRecord:
    """The record that a line holds."""
    return MassRecord(**{**line, **{name: tuple(line[name]) for name in LISTS}})


@dataclass(frozen=True, kw_only=True)
class Held:
    """A reply, and the masks that it is compared with."""

    reply: ProbedReply
    against: Against
    key: str
    masks: Sequence[int] = ()
    """The number of the mask for each token reached."""
    problem: Problem | None = None


class MassProbe:
    """A model and a decoder, for the cells of one backbone."""

    def __init__(self, reference: Reference, masks: Masks) -> None:
        self.reference, self.masks = reference, masks

    @cached_property
    def _breaks_K(self) -> torch.Tensor:
        """The tokens that write a line break."""
        written = token_bytes(self.reference.tokenizer).items()
        breaking = sorted(token for text, tokens in written if b"\n" in text for token in tokens)
        return torch.tensor(breaking, dtype=torch.long, device=self.reference.device)

    def record_key(self, request_key: str, against: Against, grammar: Constraint) -> str:
        """sha256 of everything that determines the numbers: the request, the weights, their dtype, the grammar and the masks."""
        masks = [self.masks.version, masks_version(self.masks.name, grammar)]
        identity = [request_key, self.reference.fingerprint, self.reference.dtype, *masks, against]
        return hashlib.sha256(json.dumps([*identity, grammar.kind, grammar.source]).encode()).hexdigest()

    # -- what is compared with what

    def missing(self, replies: Iterable[ProbedReply], done: Collection[str] = ()) -> Iterator[Held]:
        """The replies that have a mask to be compared with, without those already done."""
        for one in replies:
            against, grammar = against_what(one)
            if against and grammar and (key := self.record_key(one.request.key, against, grammar)) not in done:
                yield self._held(one, against, grammar, key)

    def _held(self, one: ProbedReply, against: Against, grammar: Constraint, key: str) -> Held:
        problem = problem_of(one, self.reference.tokenizer) or self._misplaced(one)
        if problem:
            return Held(reply=one, against=against, key=key, problem=problem)
        try:
            masks = self._masks(one, against, grammar)
        except BarredError:
            return Held(reply=one, against=against, key=key, problem="barred")
        return Held(reply=one, against=against, key=key, masks=masks or (), problem=None if masks else "left_grammar")

    def _misplaced(self, one: ProbedReply) -> Problem | None:
        """The problem if its prompt has another length here, or prompt and reply exceed the context; else None."""
        prompt = len(self.reference.prompt(one.request))
        if one.generation.prompt_tokens not in (0, prompt):
            return "not_reproduced"
        return "too_long" if prompt + len(one.generation.token_ids) > self.reference.context else None

    def _masks(self, one: ProbedReply, against: Against, grammar: Constraint) -> list[int] | None:
        """The masks for each token; None if the reply left the grammar where it must not."""
        ids = one.generation.token_ids
        if against == "string":
            begun = begun_string(under_schema(one.condition), one.kind, one.planned.item.gold)
            mask = self.masks.after(grammar, self.reference.tokenizer(begun, add_special_tokens=False)["input_ids"])
            return None if mask is None else [mask] * len(ids)
        walk = self.masks.walk(grammar, ids)
        return None if walk.left and against == "own" else walk.masks

    # -- the pass

    def measure(self, held: Sequence[Held]) -> Iterator[MassRecord]:
        """One record per reply as its pass ends; those with a problem come first."""
        sound = [one for one in held if not one.problem]
        yield from (self._record(one) for one in held if one.problem)
        found: dict[int, dict[str, list[float]]] = {}
        for chunk in self.reference.passes([(one.reply.request, one.reply.generation) for one in sound]):
            one, lists = sound[chunk.reply], found.setdefault(chunk.reply, {name: [] for name in LISTS})
            masks = one.masks[chunk.start : chunk.start + len(chunk.said_P)]
            if masks:
                for name, values in self._figures(chunk, masks, one.reply.request.temperature).items():
                    lists[name] += values
            if chunk.start + len(chunk.said_P) == len(one.reply.generation.token_ids):
                yield self._record(one, found.pop(chunk.reply))

    def _figures(self, chunk: Chunk, masks: Sequence[int], temperature: float) -> dict[str, list[Any]]:
        """The numbers for a chunk's positions that have a mask, under the record's names."""
        logits_PV, said_P1 = chunk.logits_PV[: len(masks)], chunk.said_P[: len(masks), None]
        allowed_PV = self.masks.allowed(masks, logits_PV.device)
        total_P, top_P1 = logits_PV.logsumexp(-1), logits_PV.argmax(-1, keepdim=True)
        left_P = own_P = log_left(logits_PV, allowed_PV)
        if temperature != 1:
            own_P = log_left(logits_PV / temperature, allowed_PV) if temperature else left_P[:0]
        return {
            "left": rounded(left_P),
            "left_own": rounded(own_P),
            "logprob": rounded(logits_PV.gather(1, said_P1)[:, 0] - total_P),
            "override": (~allowed_PV.gather(1, top_P1))[:, 0].int().tolist(),
            "top": top_P1[:, 0].tolist(),
            "allowed": allowed_PV.sum(-1).tolist(),
            "breaks": rounded((logits_PV[:, self._breaks_K].logsumexp(-1) - total_P).exp()),
        }

    def _record(self, one: Held, lists: Mapping[str, Sequence[Any]] | None = None) -> MassRecord:
        return MassRecord(
            key=one.key,
            request_key=one.reply.request.key,
            against=one.against,
            decoder=self.masks.version,
            dtype=self.reference.dtype,
            problem=one.problem,
            **{name: tuple(values) for name, values in (lists or {}).items()},
        )


def against_what(one: ProbedReply) -> tuple[Against | None, Constraint | None]:
    """What a reply is compared with, and its grammar; None if there is nothing to compare."""
    condition = one.condition
    if one.request.constraint:
        return "own", one.request.constraint
    if condition.when != "whole" or condition.enforced != "no":
        return None, None
    if condition.asked == "json":
        return "schema", under_schema(condition).constraint(one.kind)
    if condition.asked == "text" and "reasoning" in one.parts and condition.layout.stages:
        return "string", under_schema(condition).constraint(one.kind)
    return None, None


def under_schema(condition: Condition) -> Condition:
    """The condition with its JSON object enforced; a rationale that text has as a paragraph is a string there."""
    rationale = "string" if condition.rationale == "paragraph" else condition.rationale
    return replace(condition, asked="json", enforced="schema", budget="soft", rationale=rationale)


def begun_string(condition: Condition, kind: AnswerKind, answer: str) -> str:
    """The beginning of a reply under this condition, up to a place inside the rationale's string."""
    text = condition.example(kind, "The", answer)
    opening = f'"{condition.layout.stages[0]}": "The'
    return text[: text.index(opening) + len(opening)]


def log_left(logits_PV: torch.Tensor, allowed_PV: torch.Tensor) -> torch.Tensor:
    """ln Z of each position, capped at 0 against rounding."""
    kept_P = logits_PV.masked_fill(~allowed_PV, -torch.inf).logsumexp(-1)
    return (kept_P - logits_PV.logsumexp(-1)).clamp(max=0.0)


def rounded(values_P: torch.Tensor) -> list[float]:
    return [round(value, DIGITS) + 0.0 for value in values_P.tolist()]
