"""Any OpenAI-compatible chat endpoint: `vllm serve`, SGLang, llama.cpp, Ollama, or a hosted API.

Requests are sent as messages, at most `concurrency` at a time, and each generation is yielded as it finishes. What a
server does with a constraint cannot be seen from outside, so the first one is preceded by one whose effect is visible, and
every constrained reply is checked against its grammar.
"""

from __future__ import annotations

import asyncio
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import ConfigDict, Field, ValidationError, field_validator
from pydantic.dataclasses import dataclass

from fmtbench.backbone import Backbone
from fmtbench.backends.base import Backend, Session
from fmtbench.backends.dialects import DIALECTS, Dialect, keeps
from fmtbench.backends.endpoint import Endpoint, TurnedDown
from fmtbench.backends.reply import Reply
from fmtbench.backends.served_thoughts import check_arguments, fields, taken_apart, unkept, why_unthinkable
from fmtbench.backends.special import USUAL, neutral
from fmtbench.backends.streaming import Put, SharedClock, streamed
from fmtbench.backends.tokens import PROBE, proven
from fmtbench.decoding.sandbox import describe
from fmtbench.errors import DecoderError, ServerError, UserError
from fmtbench.secret import VALUE
from fmtbench.types import Constraint, FinishReason, Generation, Request

UNBELIEVED = 10
PROBE_ROOM = 4096
MOST_NAMES, MOST_CHARACTERS = 20, 100
ENDS = ("stop", "length", "content_filter")
"""Ways of ending that say something about the request; any other is a server in trouble."""


@dataclass(kw_only=True, config=ConfigDict(extra="forbid"))
class Server(Backend):
    """Options of a served model."""

    url: str
    """The address up to and including `/v1`."""
    model: str | None = None
    """Its name on the server; None takes the backbone's hub id, or the only model there is."""
    dialect: Literal["vllm", "sglang", "llamacpp", "openai"] = "vllm"
    """How constraints are sent: the regular expression that every engine gets (as a grammar, to llama.cpp), or the JSON schema
    alone."""
    key_variable: str = "FMTBENCH_API_KEY"
    """Name of the environment variable that holds the key; the key itself is never a setting."""
    decoder: Literal["server"] = "server"
    """Which library masks is a setting of the server, which does not tell."""
    token_ends: bool = True
    """Ask for logprobs, which tell which token wrote what; without them `reasoning_tokens` are unknown."""
    concurrency: int = Field(default=64, gt=0)
    """Most requests in flight."""
    timeout_s: float = Field(default=600, gt=0, allow_inf_nan=False)
    """Longest wait for one reply, from its request to its last byte."""
    retries: int = Field(default=5, ge=0)
    """Further attempts after a failure of transport."""
    answers_as: tuple[str, ...] = ()
    """Other names under which the server may answer for this model, such as a dated one. Any other is turned down: a proxy that
    falls back to another model says so in its replies alone."""
    extra_body: dict[str, Any] = Field(default_factory=dict)
    """Further fields of each request, such as `chat_template_kwargs`."""

    @field_validator("url")
    @classmethod
    def _no_secret_in_the_address(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("give the address of an OpenAI-compatible API, such as http://localhost:8000/v1")
        if parts.username or parts.password or parts.query or parts.fragment or VALUE.search(url):
            raise ValueError("an address must hold no key or password: put it into the environment variable of key_variable")
        return url.rstrip("/")

    @field_validator("key_variable")
    @classmethod
    def _a_name_and_no_key(cls, name: str) -> str:
        if not re.fullmatch(r"[A-Z][A-Z0-9_]*", name):
            raise ValueError("give the NAME of an environment variable in capitals, never the key itself")
        return name

    # -- what is served

    @cached_property
    def endpoint(self) -> Endpoint:
        return Endpoint(url=self.url, key_variable=self.key_variable, timeout_s=self.timeout_s, retries=self.retries)

    @cached_property
    def _served(self) -> dict[str, dict[str, Any]]:
        """What the server tells of each model it offers, by name: only what is the same after a restart."""
        listed = self.endpoint.get(f"{self.url}/models")
        entries = listed.get("data") if isinstance(listed, Mapping) else None
        entries = entries if isinstance(entries, list) else []
        cards = [card for card in entries if isinstance(card, Mapping) and "id" in card]
        if not cards:
            raise UserError(f"{self.url}/models lists no model: backend.url must be that of an OpenAI-compatible API")
        return {str(card["id"]): {name: card.get(name) for name in ("root", "owned_by")} for card in cards}

    @cached_property
    def _version(self) -> str | None:
        """The server's version, where it has a page that tells it."""
        told = DIALECTS[self.dialect].version
        if told is None:
            return None
        page, field = told
        try:
            return str(self.endpoint.get(f"{self.url.removesuffix('/v1')}/{page}")[field])
        except (UserError, KeyError, TypeError):
            return None

    def _name(self, backbone: Backbone) -> str:
        name = self.model or backbone.hub_id or (next(iter(self._served)) if len(self._served) == 1 else None)
        if name in self._served:
            return str(name)
        asked = f"model {name} is not served" if name else "several models are served"
        raise UserError(f"{asked} at {self.url}: set backend.model to one of {_some(sorted(self._served))}")

    def identity(self, backbone: Backbone, constraint: Constraint | None) -> str:
        return json.dumps(self._facts(backbone) | ({} if constraint is None else {"decoder": self.masked_by}))

    def admit(self, backbone: Backbone, constraint: Constraint) -> dict[str, Any]:
        DIALECTS[self.dialect].constrain(constraint)
        return {"constraint": describe(constraint), "decoder": self.masked_by}

    def _facts(self, backbone: Backbone) -> dict[str, Any]:
        name = self._name(backbone)
        return {
            "engine": "server",
            "url": self.url,
            "model": name,
            **self._served[name],
            "version": self._version,
            "dialect": self.dialect,
            "extra_body": self.extra_body,
        }

    @property
    def masked_by(self) -> str:
        """What masks, as far as the address and the dialect tell."""
        return f"server ({DIALECTS[self.dialect].field})"

    def open(self, backbone: Backbone) -> ServerSession:
        return ServerSession(self, self._facts(backbone), probe_of(backbone))

    def check_template(self, backbone: Backbone) -> None:
        check_arguments(self.dialect, backbone)

    def why_unthinkable(self, *, budget: bool, masked: bool) -> str:
        return why_unthinkable(self.dialect, budget=budget, masked=masked)


class ServerSession(Session):
    """Requests to one model of a server. It holds no connection: each call to `generate` closes its own."""

    def __init__(self, options: Server, facts: dict[str, Any], probe: Request = PROBE) -> None:
        self._options = options
        self._probe = probe
        self._facts = facts
        self._dialect = DIALECTS[options.dialect]
        self._proven = False
        """Whether constraints are known to bind."""

    def generate(self, requests: Sequence[Request], at_most: int | None = None) -> Iterator[Generation]:
        """Raises `DecoderError` where there is a constraint and none binds."""
        if not self._proven and any(request.constraint for request in requests if request is not self._probe):
            self._prove()
        workers = min(at_most or self._options.concurrency, self._options.concurrency, len(requests))
        yield from believed(streamed(partial(self._answer_all, requests, workers)), self._options.url)

    def _prove(self) -> None:
        try:
            proven(self, self._probe)
        except DecoderError as error:
            raise DecoderError(
                f"schema not enforced by {self._options.url}: {error}; is backend.dialect={self._options.dialect} right for "
                "this server?"
            ) from error
        self._proven = True

    async def _answer_all(self, requests: Sequence[Request], workers: int, put: Put[Generation]) -> None:
        """As many workers as requests may be in flight, all on one list, in which requests that begin alike are neighbours."""
        waiting = iter(sorted(requests, key=lambda request: [message.content for message in request.messages]))
        clock = SharedClock()
        async with self._options.endpoint.client(workers) as client:

            async def work() -> None:
                for request in waiting:
                    put(await self._answer(client, request, clock))

            crew = [asyncio.create_task(work()) for _ in range(workers)]
            try:
                await asyncio.gather(*crew)
            finally:
                for worker in crew:
                    worker.cancel()
                await asyncio.gather(*crew, return_exceptions=True)

    async def _answer(self, client: Any, request: Request, clock: SharedClock) -> Generation:
        body, neutralised = self._body(request)
        entered = clock.enter()
        try:
            reply = Reply.model_validate(await self._options.endpoint.ask(client, body, int(request.key[:8], 16) / 2**32))
        except TurnedDown as error:
            return Generation(
                key=request.key,
                text="",
                finish_reason="error",
                error=str(error),
                transient=error.transient,
                seconds=clock.leave(entered),
                neutralised=neutralised,
            )
        except ValidationError as error:
            problem = error.errors()[0]
            where = ".".join(map(str, problem["loc"]))
            words = f"does not answer as OpenAI's chat API does ({where}: {problem['msg']})"
            return self._not_taken(request, words, clock.leave(entered))
        if strange := self._strange(reply):
            return self._not_taken(request, strange, clock.leave(entered))
        return self._generation(request, reply, clock.leave(entered), neutralised)

    def _strange(self, reply: Reply) -> str:
        """What to say of another model's reply; empty where it is the one asked for, or the server names none."""
        asked, got = self._facts["model"], reply.model
        if not got or got in (asked, *self._options.answers_as):
            return ""
        got = got[:MOST_CHARACTERS]
        return f"was asked for model {asked} and answers with {got}: if they are the same, set backend.answers_as=['{got}']"

    def _not_taken(self, request: Request, words: str, seconds: float) -> Generation:
        """A reply that is none of ours. It is the whole address's trouble where there is no other (see `believed`)."""
        said = f"{self._options.url} {words}"
        return Generation(key=request.key, text="", finish_reason="error", error=said, transient=True, seconds=seconds)

    def _body(self, request: Request) -> tuple[dict[str, Any], int]:
        messages, neutralised = neutral(request.messages, USUAL)
        body: dict[str, Any] = {
            "model": self._facts["model"],
            "messages": [{"role": message.role, "content": message.content} for message in messages],
            "temperature": request.temperature,
            "top_p": request.top_p,
            "max_tokens": request.max_tokens,
            **self._dialect.extra,
        }
        if request.seed is not None:
            body["seed"] = request.seed
        if self._options.token_ends or request.logprobs:
            body["logprobs"] = True
        if request.constraint is not None:
            body |= self._dialect.constrain(request.constraint)
        body |= fields(self._options.dialect, request)
        return body | self._options.extra_body, neutralised

    def _generation(self, request: Request, reply: Reply, seconds: float, neutralised: int) -> Generation:
        thought, text, token_ends = taken_apart(request, reply)
        (reason, error), transient = judge(self._dialect, request, reply, text), reply.choices[0].finish_reason not in ENDS
        if reason == "stop" and (strange := unkept(request, thought)):
            reason, error = "error", strange
        if request.logprobs and (not reply.logprobs or any(map(math.isnan, reply.logprobs))):
            reason, error = "error", "the server gave no log-probabilities, or some that are not numbers"
        return Generation(
            key=request.key,
            text=text,
            token_ids=reply.token_ids,
            token_ends=token_ends,
            logprobs=reply.logprobs if request.logprobs else (),
            finish_reason=reason,
            prompt_tokens=reply.counts.prompt_tokens,
            seconds=seconds,
            decoder="none" if request.constraint is None else self._options.masked_by,
            error=error,
            transient=transient,
            halves=reply.halves,
            neutralised=neutralised,
            counted_tokens=0 if reply.token_ids else reply.counts.completion_tokens,
            thought=thought.text,
            thought_tokens=thought.tokens,
        )

    def facts(self) -> dict[str, Any]:
        return self._facts | {
            "decoder": self._options.masked_by,
            "concurrency": self._options.concurrency,
            "token_ends": self._options.token_ends,
        }

    def close(self) -> None:
        """Nothing to give back."""


def probe_of(backbone: Backbone) -> Request:
    """The probe as this backbone takes it: told not to think, or with room for the thought of one that cannot help it."""
    style = backbone.thinking
    room = min(PROBE_ROOM, backbone.context // 2) if style and style.always else PROBE.max_tokens
    return replace(PROBE, chat_template_kwargs=backbone.chat_template_kwargs, max_tokens=room)


def _some(names: Sequence[str]) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return ", ".join(name[:MOST_CHARACTERS] for name in names[:MOST_NAMES]) + more


def believed(answers: Iterable[Generation], url: str) -> Iterator[Generation]:
    """Hold errors back until the server has answered anything: one that turns everything down is not believed.

    Raises `ServerError` after `UNBELIEVED` of them; where fewer were asked, all are transient.
    """
    held: list[Generation] = []
    stream = iter(answers)
    for one in stream:
        if one.finish_reason != "error":
            yield from (*held, one)
            yield from stream
            return
        held.append(one)
        if len(held) == UNBELIEVED:
            raise ServerError(f"{url} turns down every request, the first {UNBELIEVED} of them, the last with: {one.error}")
    yield from (replace(one, transient=True) for one in held)


def judge(dialect: Dialect, request: Request, reply: Reply, text: str) -> tuple[FinishReason, str]:
    """How the reply ended; an error if the server ended it in any other way, or if its text, less the thought, breaks its
    grammar. One that ends within its thought was held to none."""
    reason = reply.choices[0].finish_reason
    if reason == "length":
        return "length", ""
    if reason != "stop":
        return "error", f"the server ended the request with finish reason {reason!r}"
    unbegun = request.thinking is not None and not text
    if request.constraint is None or unbegun or keeps(dialect, request.constraint, text):
        return "stop", ""
    return "error", "the finished text does not keep to its grammar"
