"""Any OpenAI-compatible chat endpoint: `vllm serve`, SGLang, llama.cpp, Ollama, or a hosted API.

Requests are sent as messages, at most `concurrency` at a time, and each generation is yielded as it finishes. What a
server does with a constraint cannot be seen from outside, so the first one is preceded by one whose effect is visible, and
every constrained reply is checked against its grammar.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property, partial
from typing import Any, Literal

from pydantic import ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic.dataclasses import dataclass

from fmtbench.backbone import Backbone
from fmtbench.backends.addressing import checked_address, checked_variable, served_models, server_version, some_names
from fmtbench.backends.base import Backend, Calls, Session
from fmtbench.backends.dialects import DIALECTS
from fmtbench.backends.endpoint import Endpoint, TurnedDown
from fmtbench.backends.fields import Fields, accepted, checked_extra, kind_of
from fmtbench.backends.pacing import Pace
from fmtbench.backends.prefix import parted, prefix_of
from fmtbench.backends.proof import PROBE, proven
from fmtbench.backends.reply import Reply
from fmtbench.backends.served_calls import offers_tools, tool_fields
from fmtbench.backends.served_generation import generation_of
from fmtbench.backends.served_thoughts import check_arguments, probe_of, thinking_fields, why_unthinkable
from fmtbench.backends.special import USUAL, neutral
from fmtbench.backends.streaming import Put, SharedClock, streamed
from fmtbench.backends.verdict import believed
from fmtbench.decoding.sandbox import describe
from fmtbench.errors import DecoderError, UserError
from fmtbench.formats.calls import SERVED
from fmtbench.price import Prices
from fmtbench.types import Constraint, Generation, Message, Request

MOST_CHARACTERS = 100
"""The most characters shown of another model's name."""


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
    """Which library masks is the server's own setting, which it does not reveal."""
    token_ends: bool = True
    """Ask for logprobs, which tell which token wrote what; without them `reasoning_tokens` are unknown."""
    concurrency: int = Field(default=64, gt=0)
    """The most requests in flight."""
    timeout_s: float = Field(default=600, gt=0, allow_inf_nan=False)
    """The longest wait for one reply, from its request to its last byte."""
    retries: int = Field(default=5, ge=0)
    """Further attempts after a failure of transport."""
    answers_as: tuple[str, ...] = ()
    """Other names under which the server may answer for this model, such as a dated one. Any other is turned down: a proxy that
    falls back to another model says so in its replies alone."""
    extra_body: dict[str, Any] = Field(default_factory=dict)
    """Further fields of each request, such as `chat_template_kwargs`."""
    max_tokens_field: Literal["max_tokens", "max_completion_tokens"] | None = None
    """What the limit on tokens is called; None finds out where the dialect does not tell."""
    drop_params: tuple[Literal["temperature", "top_p", "seed"], ...] = ()
    """Fields that are never sent, since the model takes none; part of the request's key. A temperature is dropped at 1 only."""

    price_in: Any = None
    """What a prompt's tokens cost, such as `2.50 USD/1M`; not part of any key."""
    price_out: Any = None
    """What a reply's tokens cost, thoughts included."""

    @model_validator(mode="after")
    def _whole_prices(self) -> Server:
        Prices.read(self.price_in, self.price_out)
        return self

    @field_validator("url")
    @classmethod
    def _no_secret_in_the_address(cls, url: str) -> str:
        return checked_address(url)

    @field_validator("key_variable")
    @classmethod
    def _a_name_and_no_key(cls, name: str) -> str:
        return checked_variable(name)

    @field_validator("extra_body")
    @classmethod
    def _nothing_of_ours(cls, body: dict[str, Any]) -> dict[str, Any]:
        return checked_extra(body)

    @property
    def prices(self) -> Prices | None:
        return Prices.read(self.price_in, self.price_out)

    # -- what is served

    @cached_property
    def endpoint(self) -> Endpoint:
        return Endpoint(url=self.url, key_variable=self.key_variable, timeout_s=self.timeout_s, retries=self.retries)

    @cached_property
    def _served(self) -> dict[str, dict[str, Any]]:
        """What the server says about each model it offers, by name: only what is the same after a restart."""
        return served_models(self.endpoint, self.model)

    @cached_property
    def _version(self) -> str | None:
        """The server's version, where it has a page that tells it."""
        told = DIALECTS[self.dialect].version
        return told and server_version(self.endpoint, *told)

    def _name(self, backbone: Backbone) -> str:
        if backbone.chat_template is not None:
            raise UserError(
                "backbone.chat_template is for weights on this machine: a server has its own template, given as it starts"
            )
        name = self.model or backbone.hub_id or (next(iter(self._served)) if len(self._served) == 1 else None)
        if name in self._served:
            return str(name)
        asked = f"model {name} is not served" if name else "several models are served"
        raise UserError(f"{asked} at {self.url}: set backend.model to one of {some_names(self._served)}")

    def identity(self, backbone: Backbone, constraint: Constraint | None) -> str:
        return json.dumps(self._facts(backbone) | ({} if constraint is None else {"decoder": self.masked_by}))

    def express(self, constraint: Constraint) -> None:
        DIALECTS[self.dialect].constrain(constraint)

    def admit(self, backbone: Backbone, constraint: Constraint) -> dict[str, Any]:
        self.express(constraint)
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
            **({"drop_params": sorted({*self.drop_params})} if self.drop_params else {}),
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

    def calls(self, backbone: Backbone) -> Calls:
        return Calls(SERVED)

    def why_not_continued(self) -> str:
        if DIALECTS[self.dialect].continued is not None:
            return ""
        return (
            f"backend.dialect={self.dialect} has no words for going on with a reply that is begun: use backend=hf, backend=vllm, "
            "or `vllm serve` with backend.dialect=vllm"
        )


class ServerSession(Session):
    """Requests to one model of a server. It holds no connection: each call to `generate` closes its own."""

    def __init__(self, options: Server, facts: dict[str, Any], probe: Request = PROBE) -> None:
        self._options = options
        self._probe = probe
        self._facts = facts
        self._dialect = DIALECTS[options.dialect]
        self._proven = False
        """Whether constraints are known to bind."""
        named, dropped = options.max_tokens_field, frozenset(options.drop_params)
        self._fields = Fields(limit=named or "max_tokens", fixed=named is not None, dropped=dropped)
        self._settled: set[Any] = set()
        """The kinds of requests whose fields the server is known to take."""

    def prepare(self, requests: Sequence[Request]) -> None:
        if any(map(prefix_of, requests)) and (why := self._options.why_not_continued()):
            raise UserError(why)
        for request in {kind_of(one): one for one in requests}.values():
            if kind_of(request) not in self._settled:
                self._fields.check(request.temperature, request.top_p)
                if self._dialect.asked:
                    (self._fields,) = streamed(partial(self._find_out, request))
                self._settled.add(kind_of(request))

    async def _find_out(self, request: Request, put: Put[Fields]) -> None:
        """Ask such a request in two words. Raises `UserError` if another model answers."""
        asked = replace(request, messages=PROBE.messages, constraint=None)
        async with self._options.endpoint.client(1) as client:
            ask = partial(self._options.endpoint.ask, client, spread=0.0)
            body_of = partial(self._body, PROBE.messages, asked)
            fields, reply = await accepted(ask, body_of, self._fields, needed=request.logprobs)
        if isinstance(reply, dict) and (strange := self._strange(reply.get("model"))):
            raise UserError(f"{self._options.url} {strange}")
        put(fields)

    def generate(self, requests: Sequence[Request], at_most: int | None = None) -> Iterator[Generation]:
        """Raises `DecoderError` where there is a constraint and none binds."""
        if not any(request.messages is PROBE.messages for request in requests):
            self._make_ready(requests)
        workers = min(at_most or self._options.concurrency, self._options.concurrency, len(requests))
        yield from believed(streamed(partial(self._answer_all, requests, workers)), self._options.url)

    def _make_ready(self, requests: Sequence[Request]) -> None:
        """Find out which fields are taken, and whether constraints bind where there are some."""
        self.prepare(requests)
        held = next((request for request in requests if request.constraint and not offers_tools(request)), None)
        if held and not self._proven:
            self._prove(held)

    def _prove(self, held: Request) -> None:
        """With the settings of a request that is held to a constraint: a server may take no others."""
        probe = self._probe
        if self._dialect.asked:
            probe = replace(
                held,
                messages=probe.messages,
                constraint=probe.constraint,
                thinking=None,
                chat_template_kwargs=probe.chat_template_kwargs,
            )
        try:
            proven(self, probe)
        except DecoderError as error:
            raise DecoderError(
                f"schema not enforced by {self._options.url}: {error}; is backend.dialect={self._options.dialect} right for "
                "this server?"
            ) from error
        self._proven = True

    async def _answer_all(self, requests: Sequence[Request], workers: int, put: Put[Generation]) -> None:
        """As many workers as requests may be in flight, all on one list, in which requests that begin alike are neighbours."""
        waiting = iter(sorted(requests, key=lambda request: [message.content for message in request.messages]))
        clock, pace = SharedClock(), Pace(self._options.url, workers)
        async with self._options.endpoint.client(workers) as client:

            async def work() -> None:
                for request in waiting:
                    put(await self._answer(client, request, clock, pace))

            crew = [asyncio.create_task(work()) for _ in range(workers)]
            try:
                await asyncio.gather(*crew)
            finally:
                for worker in crew:
                    worker.cancel()
                await asyncio.gather(*crew, return_exceptions=True)

    async def _answer(self, client: Any, request: Request, clock: SharedClock, pace: Pace) -> Generation:
        messages, neutralised = neutral(request.messages, USUAL)
        body = self._body(messages, request, self._fields)
        entered = clock.enter()
        try:
            spread = int(request.key[:8], 16) / 2**32
            content = await self._options.endpoint.ask(client, body, spread, pace)
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
        return self._read(request, content, clock.leave(entered), neutralised)

    def _read(self, request: Request, content: Any, seconds: float, neutralised: int) -> Generation:
        """What the JSON of a reply holds."""
        try:
            reply = Reply.model_validate(content)
        except ValidationError as error:
            problem = error.errors()[0]
            where = ".".join(map(str, problem["loc"]))
            words = f"does not answer as OpenAI's chat API does ({where}: {problem['msg']})"
            return self._not_taken(request, words, seconds)
        if strange := self._strange(reply.model):
            return self._not_taken(request, strange, seconds)
        done = generation_of(request, reply, self._dialect, seconds, neutralised)
        return done if request.constraint is None else replace(done, decoder=self._options.masked_by)

    def _strange(self, got: Any) -> str:
        """What to say about another model's reply; empty if it is the one asked for, or the server names none."""
        asked = self._facts["model"]
        if not isinstance(got, str) or not got or got in (asked, *self._options.answers_as):
            return ""
        got = got[:MOST_CHARACTERS]
        return f"was asked for model {asked} and answers with {got}: if they are the same, set backend.answers_as=['{got}']"

    def _not_taken(self, request: Request, words: str, seconds: float) -> Generation:
        """A reply that is not one we can use. If there is no other, the whole address is in trouble (see `believed`)."""
        said = f"{self._options.url} {words}"
        return Generation(key=request.key, text="", finish_reason="error", error=said, transient=True, seconds=seconds)

    def _body(self, messages: Sequence[Message], request: Request, fields: Fields) -> dict[str, Any]:
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
            body |= {"logprobs": True, **self._dialect.of_logprobs}
        if request.constraint is not None and not offers_tools(request):
            body |= self._dialect.constrain(request.constraint)
        if parted(messages)[1]:
            body |= self._dialect.continued or {}
        body |= thinking_fields(self._options.dialect, request) | tool_fields(self._options.dialect, request)
        return fields.sent(body) | self._options.extra_body

    def facts(self) -> dict[str, Any]:
        return self._facts | {
            "decoder": self._options.masked_by,
            "concurrency": self._options.concurrency,
            "token_ends": self._options.token_ends and "logprobs" not in self._fields.dropped,
            **({"fields": self._fields.facts()} if self._dialect.asked else {}),
        }

    def close(self) -> None:
        """Nothing to give back."""
