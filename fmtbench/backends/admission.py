"""Compiling every grammar of a cell before an engine sees it; the sandbox's verdict is data for the manifest."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any, NamedTuple

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from fmtbench.backbone import Backbone, cache_folder, load_tokenizer
from fmtbench.backends.base import Backend, Calls
from fmtbench.backends.template import calls_in, check_arguments_read
from fmtbench.backends.tokens import prompt
from fmtbench.decoding.decoders import DECODERS, DecoderName
from fmtbench.decoding.grammar import decoder_version
from fmtbench.decoding.sandbox import Limits, Sandbox, describe
from fmtbench.errors import BarredError
from fmtbench.types import Constraint, Request

TEMPLATE = 128
"""The tokens that a chat template may add; each token of a text covers at least one byte."""


@dataclass(kw_only=True, config=ConfigDict(extra="forbid"))
class MaskingBackend(Backend):
    """An engine on this machine whose tokens are masked by a library."""

    decoder: DecoderName = "outlines"
    limits: Limits = Field(default_factory=Limits)
    """What one grammar may cost to compile."""

    def check_template(self, backbone: Backbone) -> None:
        if backbone.chat_template_kwargs or backbone.thinking:
            check_arguments_read(load_tokenizer(backbone.resolve()).chat_template, backbone)

    def calls(self, backbone: Backbone) -> Calls:
        return template_calls(backbone)

    def why_not_continued(self) -> str:
        return ""

    def why_too_long(self, backbone: Backbone, request: Request) -> str:
        """Asks the tokenizer only if there are so many bytes that they may be too many tokens."""
        size = sum(len(one.content.encode()) for one in request.messages)
        if size + request.max_tokens + TEMPLATE <= backbone.context:
            return ""
        return prompt(load_tokenizer(backbone.resolve()), request).excess(backbone.context)

    def admit(self, backbone: Backbone, constraint: Constraint) -> dict[str, Any]:
        compiled = sandbox(backbone, self.decoder, self.limits).compile(constraint)
        return {
            "constraint": describe(constraint),
            "decoder": decoder_version(self.decoder),
            "states": compiled.states,
            "cpu_seconds": compiled.cpu_seconds,
            "cached": compiled.cached,
        }


@lru_cache(maxsize=8)
def sandbox(backbone: Backbone, decoder: DecoderName, limits: Limits) -> Sandbox:
    """The sandbox of a backbone's tokenizer; one a process. Loads the tokenizer, no weights."""
    return Sandbox(DECODERS[decoder](load_tokenizer(backbone.resolve())), limits, cache_folder())


@lru_cache(maxsize=8)
def template_calls(backbone: Backbone) -> Calls:
    """What a backbone's chat template says about tool calls. Loads the tokenizer, no weights."""
    return calls_in(load_tokenizer(backbone.resolve()).chat_template, backbone)


class Admission(NamedTuple):
    """What the sandbox says about the grammars of one cell."""

    grammars: list[dict[str, Any]]
    barred: str
    """Why the cell cannot run; empty if it can."""


def compile_all(backend: Backend, backbone: Backbone, constraints: Iterable[Constraint | None]) -> Admission:
    """Compile each grammar of a cell; one that is barred bars the cell."""
    grammars: list[dict[str, Any]] = []
    for constraint in sorted(filter(None, constraints), key=lambda one: (one.kind, one.source)):
        try:
            grammars.append(backend.admit(backbone, constraint))
        except BarredError as error:
            return Admission(grammars, str(error))
    return Admission(grammars, "")
