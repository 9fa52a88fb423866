"""The whole path of one datum, on one page (standard library only).

    Item -> Message -> Request -> Generation -> Extraction -> Row

A task gives items, a condition turns an item into a request, a backend answers it with a generation, the condition locates
an extraction in that, the answer kind judges it, and a row is the scored result.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cached_property
from typing import Annotated, Any, Literal

HALF = re.compile("[\ud800-\udfff]")
FinishReason = Literal["stop", "length", "error"]
Status = Literal[
    "ok",
    "no_answer",
    "another_mark",
    "no_mark",
    "schema_violation",
    "missing_trigger",
    "premature_trigger",
    "truncated",
    "loop",
    "refused",
    "engine_error",
]


@dataclass(frozen=True, kw_only=True, slots=True)
class Item:
    """One question with its gold answer."""

    id: str
    """Unique within its task, and the same for the same content, so that items pair across runs."""
    question: str
    """Everything the question needs, options included. It is data, and is never rendered as a template."""
    gold: str
    aliases: tuple[str, ...] = ()
    """Other accepted spellings of `gold`."""
    choices: tuple[str, ...] = ()
    """Option texts of a multiple-choice item, in the order of their letters."""
    stratum: str = ""
    """What the task sorts its items by, such as subject or difficulty; no model is shown it, and no key depends on it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Shot:
    """A worked example; each format writes out its one rationale, or its draft, in its own way."""

    question: str
    reasoning: str
    answer: str
    draft: str = ""
    """The rationale in steps of at most five words, for conditions that ask for a draft; empty if there is none."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Message:
    """One chat turn."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Constraint:
    """What the decoder is allowed to emit. No constraint is `None`, not an object."""

    kind: Literal["json_schema", "regex"]
    source: str
    """The JSON schema (as JSON text, properties in generation order) or the regular expression."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Thinking:
    """A thought that comes before the reply. A request that asks for none has `None`, not an object."""

    tokens: int | None = None
    """Most tokens of the thought, after which its end is forced; None leaves its end to the model."""
    opens: str = "<think>\n"
    """What begins a thought; it is written for the model where the chat template has not."""
    closes: str = "</think>"
    """What ends it: the reply follows, and a constraint holds from here on."""
    forced: str = "\n</think>\n\n"
    """What is written for the model once its tokens are spent: `closes`, followed by nothing but white space."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sampling:
    """How tokens are drawn."""

    temperature: float = 0.0
    """0 is greedy."""
    top_p: float = 1.0
    max_tokens: int = 256
    samples: int = 1
    """Independent generations an item."""


IDENTITY = "engine"
"""What `Request.identity` is called in keys and in requests.jsonl, so that journals of every version are resumed."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """What goes into a backend. A backend never learns which condition it serves."""

    messages: tuple[Message, ...]
    constraint: Constraint | None = None
    temperature: float = 0.0
    top_p: float = 1.0
    max_tokens: int = 256
    seed: int | None = None
    """Seed of this request alone; None where decoding is greedy."""
    logprobs: bool = False
    """Return the log-probability of each generated token, for probes."""
    identity: str = ""
    """Whatever else determines the output: weights, chat template, dtype, engine, decoder. Opaque here."""
    thinking: Thinking | None = None
    chat_template_kwargs: dict[str, Any] = field(default_factory=dict, hash=False)
    """Further arguments of the chat template, such as `enable_thinking`."""

    @cached_property
    def key(self) -> str:
        """sha256 over everything that determines the output: two requests are equal iff their keys are."""
        document = json.dumps(self.as_dict(), sort_keys=True, ensure_ascii=True)
        return hashlib.sha256(document.encode()).hexdigest()

    def as_dict(self) -> dict[str, Any]:
        """The fields under the names that keys and requests.jsonl have for them."""
        held = {IDENTITY if name == "identity" else name: getattr(self, name) for name in ASKED_FIELDS}
        held |= {"chat_template_kwargs": self.chat_template_kwargs} if self.chat_template_kwargs else {}
        held |= {"thinking": asdict(self.thinking)} if self.thinking else {}
        held["messages"] = tuple({"role": one.role, "content": one.content} for one in self.messages)
        if self.constraint is not None:
            held["constraint"] = {"kind": self.constraint.kind, "source": self.constraint.source}
        return held


ASKED_FIELDS = tuple(one.name for one in fields(Request) if one.name not in ("thinking", "chat_template_kwargs"))
"""The fields in every key; the others came later, and are only in the keys of requests that set them. `asdict` would deep-copy
every field, which took most of the time of a plan."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Generation:
    """What comes out of a backend for one request."""

    key: str
    """The key of the request."""
    text: str
    token_ids: tuple[int, ...] = ()
    """Generated ids, the end-of-sequence token included where one was generated."""
    token_ends: tuple[int, ...] = ()
    """For each token, the index in `text` at which it ends; this tells which tokens wrote which characters."""
    logprobs: tuple[float, ...] = ()
    """Natural log-probability of each token, if the request asks for it: after the constraint's mask, so that masked tokens
    count as impossible, and before temperature and top-p."""
    finish_reason: FinishReason = "stop"
    prompt_tokens: int = 0
    seconds: float = 0.0
    """Wall time of the engine's work, divided among the requests that ran together."""
    decoder: str = "none"
    """The library that masked, with its version; `none` if the request had no constraint."""
    error: str = ""
    """The cause, if `finish_reason` is `error`."""
    capacity: str = ""
    """What the engine had room for at the error (see `Backend.capacity`); empty for a result, and in older journals."""
    transient: bool = False
    """Whether the error says nothing about the request, as a failure of transport; then the next run asks again."""
    halves: int = 0
    """How many halves of character pairs the reply held; they were replaced (see `whole`)."""
    neutralised: int = 0
    """How many special tokens of the tokenizer the messages spelled out; they were broken up (backends/special.py)."""
    counted_tokens: int = 0
    """Tokens generated by a server's own count, if it gives no ids."""
    thought: str = ""
    """What the model wrote before its reply, without the marks around it. It is not part of `text`, and no reader sees it."""
    thought_tokens: int = 0
    """Tokens of the thought and of the mark that ends it, among `completion_tokens`; 0 as well where a server does not count."""

    @property
    def completion_tokens(self) -> int:
        return len(self.token_ids) or self.counted_tokens


def whole(text: str) -> tuple[str, int]:
    """The text with U+FFFD for each half of a character pair, and how many there were.

    JSON can express half of a pair and UTF-8 cannot, so a single one would keep a whole table from being written. Indices into
    the text do not change.
    """
    return HALF.subn("\ufffd", text)


Watch = Callable[[int, Iterable[Generation]], Iterable[Generation]]
"""Given the number of generations to come, it passes each one on as it finishes: a progress bar, a tracker."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Extraction:
    """Where an answer was found. A reader only locates: it neither normalises nor judges."""

    status: Status
    answer: str | None = None
    """The answer as the model wrote it."""
    span: tuple[int, int] | None = None
    """Start and end of the answer in the text."""
    reasoning: tuple[tuple[int, int], ...] = ()
    """The spans of the text that are rationale."""

    def moved(self, by: int) -> Extraction:
        """The same places in a text with `by` more characters before them."""
        if not by:
            return self
        span = self.span and (self.span[0] + by, self.span[1] + by)
        return replace(self, span=span, reasoning=tuple((start + by, end + by) for start, end in self.reasoning))


RERUN = "_rerun"
"""A condition `<name>_rerun` holds the truncated replies of `<name>` at a larger token limit; as a whole it is never compared."""

ROWS_VERSION = 2
"""Raised when a column of `Row` changes its meaning, and stored in every rows.parquet, so that no version is misread."""

OPTIONAL = ("stratum", "realised_order", "fields", "thought", "thought_tokens", "thought_words")
"""Columns of `Row` that a table may lack."""
Name = Annotated[str, "never empty"]
"""A column that is part of a row's key, or by which rows are grouped; other text may be missing from other people's rows."""
Count = Annotated[int, "at least 0"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One scored generation; a results table is rows. The only list of columns: what each may hold follows from its type."""

    experiment: Name
    backbone: Name
    task: Name
    condition: Name
    prompt: Name
    seed: int
    sample: int
    item_id: Name
    question: str
    gold: Name
    answer: str | None
    """Located by the condition's own contract."""
    status: Status
    correct: bool
    """Strict: the contract was kept and the answer is right."""
    marked_answer: str | None
    """Stated by any mark in use (a field, a box, `####`, "The answer is"): the same set of marks for every condition."""
    marked_correct: bool
    latent_answer: str | None
    """Located by the lenient cascade, which is the same for every condition."""
    latent_correct: bool
    finish_reason: str
    prompt_tokens: Count
    completion_tokens: Count
    reasoning_tokens: Count | None
    """Tokens that wrote a character of the rationale's words; None if a server does not tell which token wrote what."""
    reasoning_words: Count
    """Words of the (first) reply, less its answer and the syntax of any format, counted by one rule for every condition and
    status (readers/plain.py): a reply that was cut, loops or breaks its contract counts the words that it wrote."""
    text: str
    request_key: str
    seconds: float
    stratum: str | None = None
    """What the task sorts its items by; a table without any has no such column."""
    realised_order: str | None = None
    """What came first in this reply, whatever was asked: `answer_first`, `reasoning_first`, or `answer_only`; None where that
    cannot be told (readers/order.py), in a second pass, and in rows of earlier versions."""
    fields: str | None = None
    """Of a record, by the path of each field as JSON: the verdicts, strict and latent, and whether the gold record has a value
    there, {"total": ["unread", "right", "filled"]}; the words are those of answers/held.py. It is in the row so that it travels
    with it. A table in which no row is of a record has no such column."""
    thought: str | None = None
    """What the model wrote before its reply; no reader sees it. With two passes, the thoughts of both. A table in which no reply
    has one lacks these three columns."""
    thought_tokens: Count | None = None
    """Tokens of the thought, among `completion_tokens`; None where there is no thought, or a server does not count them."""
    thought_words: Count | None = None
    """Words of the thought, which are not among `reasoning_words`."""

    def as_dict(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ROW_FIELDS}


ROW_FIELDS = tuple(one.name for one in fields(Row))
