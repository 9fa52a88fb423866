"""llama.cpp in this process: a GGUF as it is, quantised or not, without converting it.

The package xllamacpp carries a built llama.cpp with its server. That is started on a free port of this machine, and asked like
any other server of OpenAI's chat API.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Literal

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from fmtbench.backbone import Backbone, Weights
from fmtbench.backends.base import Backend, Session
from fmtbench.backends.dialects import DIALECTS
from fmtbench.backends.served_thoughts import why_unthinkable
from fmtbench.backends.server import Server, ServerSession
from fmtbench.chat_template import gguf_has_template, lacking
from fmtbench.decoding.sandbox import describe
from fmtbench.errors import UserError
from fmtbench.types import Constraint, Generation, Request

QUIET = -1
"""Below every log level of llama.cpp."""


@dataclass(kw_only=True, config=ConfigDict(extra="forbid"))
class LlamaCpp(Backend):
    """Options of llama.cpp. A constraint is sent as a GBNF grammar of the language that every engine gets."""

    decoder: Literal["llamacpp"] = "llamacpp"
    parallel: int = Field(default=8, gt=0, le=256)
    """Requests in flight; each has the backbone's context to itself."""
    threads: int = Field(default=0, ge=0)
    """0 takes one for each core."""
    gpu_layers: int = Field(default=-1, ge=-1)
    """Layers on a GPU, if xllamacpp was built for one; -1 leaves it to llama.cpp."""
    token_ends: bool = True
    """Ask for logprobs, which tell which token wrote what."""
    timeout_s: float = Field(default=600, gt=0, allow_inf_nan=False)
    """The longest wait for one reply."""

    def identity(self, backbone: Backbone, constraint: Constraint | None) -> str:
        masked = {} if constraint is None else {"decoder": self.masked_by}
        return json.dumps(self._facts(_gguf(backbone)) | masked)

    def express(self, constraint: Constraint) -> None:
        DIALECTS["llamacpp"].constrain(constraint)

    def admit(self, backbone: Backbone, constraint: Constraint) -> dict[str, Any]:
        self.express(constraint)
        return {"constraint": describe(constraint), "decoder": self.masked_by}

    @property
    def masked_by(self) -> str:
        """What masks."""
        return f"xllamacpp {_version()}"

    def _facts(self, weights: Weights) -> dict[str, Any]:
        return {"engine": "llamacpp", "weights": weights.fingerprint, "version": _version()}

    def open(self, backbone: Backbone) -> LlamaCppSession:
        weights = _gguf(backbone)
        if weights.gguf and not gguf_has_template(weights.gguf):  # llama.cpp would silently take another one
            raise lacking(str(weights.gguf))
        return LlamaCppSession(self, weights, backbone)

    def check_template(self, backbone: Backbone) -> None:
        """llama.cpp takes any argument; which of them the template in a GGUF reads is not checked."""

    def why_unthinkable(self, *, budget: bool, masked: bool) -> str:
        return why_unthinkable("llamacpp", budget=budget, masked=masked)


class LlamaCppSession(Session):
    """llama.cpp with a GGUF loaded."""

    def __init__(self, options: LlamaCpp, weights: Weights, backbone: Backbone) -> None:
        self._facts = options._facts(weights) | {"parallel": options.parallel, "file": weights.gguf and weights.gguf.name}
        self._masked_by = options.masked_by
        self.engine: Any = _start(options, weights, backbone.context)
        served = Server(
            url=f"{self.engine.listening_address}/v1",
            dialect="llamacpp",
            token_ends=options.token_ends,
            concurrency=options.parallel,
            timeout_s=options.timeout_s,
        )
        self._session: ServerSession = served.open(replace(backbone, hub_id=None))

    def generate(self, requests: Sequence[Request], at_most: int | None = None) -> Iterator[Generation]:
        for one in self._session.generate(requests, at_most):
            yield one if one.decoder == "none" else replace(one, decoder=self._masked_by)

    def facts(self) -> dict[str, Any]:
        return self._facts | {"decoder": self._masked_by}

    def close(self) -> None:
        self.engine = None


def _start(options: LlamaCpp, weights: Weights, context: int) -> Any:
    import xllamacpp

    settings = xllamacpp.CommonParams()
    settings.model.path = str(weights.gguf)
    settings.n_parallel = options.parallel
    settings.n_ctx = options.parallel * context
    settings.cpuparams.n_threads = options.threads or os.cpu_count() or 1
    settings.n_gpu_layers = options.gpu_layers
    settings.verbosity = QUIET
    settings.port = 0
    return xllamacpp.Server(settings)


def _gguf(backbone: Backbone) -> Weights:
    if backbone.chat_template is not None:
        raise UserError("backbone.chat_template is for backend=hf and vllm: llama.cpp takes the template in the GGUF")
    weights = backbone.resolve()
    if weights.gguf is None:
        raise UserError(
            f"backend=llamacpp runs a GGUF, and backbone {backbone.name} is none: set backbone.path to a .gguf file, "
            "or use backend=hf or vllm"
        )
    return weights


def _version() -> str:
    try:
        return version("xllamacpp")
    except PackageNotFoundError as error:
        raise UserError("backend=llamacpp needs xllamacpp: pip install 'fmtbench[llamacpp]'") from error
