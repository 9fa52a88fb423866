"""The libraries that mask, behind one small interface: which tokens may come next, and which one came.

All of them get the same regular expression, so that the language is the same. V is the size of the vocabulary; a mask is V
bits in words of 32, lowest bit first, as all three libraries write it.
"""

from __future__ import annotations

import hashlib
import json
import re
from abc import ABC, abstractmethod
from collections.abc import Hashable
from functools import cached_property
from typing import Any, ClassVar, Literal, NamedTuple

from fmtbench.decoding.guide import EndedGuide
from fmtbench.decoding.mask_memory import MaskMemory
from fmtbench.decoding.packed import BITS, bit
from fmtbench.types import Constraint

NOBODYS = 2**32 - 1
"""A number that no token has."""
BYTE_TOKEN = re.compile(r"<0x([0-9A-F]{2})>")
DecoderName = Literal["outlines", "xgrammar", "guidance"]


class Matcher(ABC):
    """The state of one reply in its grammar."""

    def mask(self) -> Hashable | None:
        """A name for the mask of the next token: equal names, equal masks. None if the library has no such name."""
        return None

    @abstractmethod
    def fill(self, words: Any) -> None:
        """Write the mask of the next token into `words`, zeros of int32 on the CPU. After the end everything is allowed."""

    @abstractmethod
    def advance(self, token: int) -> None:
        """Take a token. After the end token nothing more is checked."""


class Decoder(ABC):
    """A masking library with one tokenizer. Building one is cheap."""

    name: ClassVar[DecoderName]

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer

    @cached_property
    def fingerprint(self) -> str:
        """sha256 of everything that the library is told about the tokenizer."""
        return hashlib.sha256(self.material()).hexdigest()

    @abstractmethod
    def material(self) -> bytes:
        """What the sandbox needs to know about the tokenizer."""

    @abstractmethod
    def load(self, compiled: bytes) -> Any:
        """The grammar that the sandbox compiled."""

    @abstractmethod
    def matcher(self, grammar: Any) -> Matcher:
        """A new reply under a loaded grammar."""


class Outlines(Decoder):
    """Outlines' own automaton (outlines_core)."""

    name = "outlines"

    def material(self) -> bytes:
        from fmtbench.decoding.worker import stored_form

        return stored_form(self.vocabulary())

    def vocabulary(self) -> Any:
        """An `outlines_core.Vocabulary` of the bytes of each token, in which the end token alone writes `END` (`worker.ended`).

        Its own end token is one that no mask has a bit for.
        """
        from outlines_core import Vocabulary

        from fmtbench.decoding.worker import END

        end, written = self.tokenizer.eos_token_id, token_bytes(self.tokenizer)
        others = {token: ids for token, ids in written.items() if end not in ids and END.encode() not in token}
        return Vocabulary(NOBODYS, others | {END.encode(): [end]})

    @cached_property
    def memory(self) -> MaskMemory:
        return MaskMemory()

    def load(self, compiled: bytes) -> OutlinesGrammar:
        from outlines_core import Index

        return OutlinesGrammar(hashlib.sha256(compiled).hexdigest(), Index.from_binary(compiled))

    def matcher(self, grammar: OutlinesGrammar) -> Matcher:
        return OutlinesMatcher(grammar, self.memory, self.tokenizer.eos_token_id)


class OutlinesGrammar(NamedTuple):
    """An automaton, and what names it."""

    name: str
    index: Any


def token_bytes(tokenizer: Any) -> dict[bytes, list[int]]:
    """The bytes that each token writes, in the order of ids.

    Outlines itself turns every token into text, where a piece of a character becomes U+FFFD: then no grammar can spell
    a label such as `사실` whose characters are several tokens. So byte-level tokenizers are read by their own alphabet,
    and byte tokens of the others (`<0xEC>`) as the byte they are.
    """
    from outlines.models.transformers import TransformerTokenizer

    by_text = TransformerTokenizer(tokenizer).convert_token_to_string
    added, letters = set(tokenizer.get_added_vocab()), byte_alphabet() if is_byte_level(tokenizer) else {}
    found: dict[bytes, list[int]] = {}
    for token, number in sorted(tokenizer.get_vocab().items(), key=lambda pair: pair[1]):
        if token not in added and letters and set(token) <= letters.keys():
            written = bytes(letters[letter] for letter in token)
        elif byte := BYTE_TOKEN.fullmatch(token):
            written = bytes([int(byte[1], 16)])
        else:
            written = by_text(token).encode()
        found.setdefault(written, []).append(number)
    return found


def is_byte_level(tokenizer: Any) -> bool:
    decoder = json.loads(tokenizer.backend_tokenizer.to_str())["decoder"] or {}
    return "ByteLevel" in {decoder.get("type"), *(part["type"] for part in decoder.get("decoders", ()))}


def byte_alphabet() -> dict[str, int]:
    """The byte that each letter means in byte-level BPE (Radford et al. 2019): printable characters mean themselves."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + i): byte for i, byte in enumerate(rest)}


class OutlinesMatcher(Matcher):
    def __init__(self, grammar: OutlinesGrammar, memory: MaskMemory, end: int) -> None:
        from outlines_core import Guide

        self._grammar, self._memory, self._end, self._ended = grammar.name, memory, end, False
        self._guide = EndedGuide(Guide(grammar.index), grammar.index, end)

    def mask(self) -> Hashable:
        return self._grammar, self._guide.get_state()

    def fill(self, words: Any) -> None:
        self._memory.fill(words, self._grammar, self._guide)

    def advance(self, token: int) -> None:
        self._ended = self._ended or token == self._end
        if not self._ended:
            self._guide.advance(token)


class XGrammar(Decoder):
    name = "xgrammar"

    @cached_property
    def info(self) -> Any:
        from xgrammar import TokenizerInfo

        end = self.tokenizer.eos_token_id
        return TokenizerInfo.from_huggingface(self.tokenizer, vocab_size=len(self.tokenizer), stop_token_ids=[end])

    def material(self) -> bytes:
        return self.info.serialize_json().encode()

    def load(self, compiled: bytes) -> Any:
        from xgrammar import CompiledGrammar

        return CompiledGrammar.deserialize_json(compiled.decode(), self.info)

    def matcher(self, grammar: Any) -> Matcher:
        return XGrammarMatcher(grammar)


class XGrammarMatcher(Matcher):
    def __init__(self, grammar: Any) -> None:
        from xgrammar import GrammarMatcher

        self._matcher = GrammarMatcher(grammar)
        self._words = -(-grammar.tokenizer_info.vocab_size // BITS)

    def fill(self, words: Any) -> None:
        if self._matcher.is_terminated():
            words.fill_(-1)
        else:
            self._matcher.fill_next_token_bitmask(words[None, : self._words])

    def advance(self, token: int) -> None:
        if not self._matcher.is_terminated():
            self._matcher.accept_token(token)


class Guidance(Decoder):
    name = "guidance"

    def material(self) -> bytes:
        from copy import copy

        backend = copy(self.tokenizer.backend_tokenizer)
        backend.no_padding()
        backend.no_truncation()
        settings = {"tokenizer": backend.to_str(), "n_vocab": len(self.tokenizer), "eos": self.tokenizer.eos_token_id}
        return json.dumps(settings).encode()

    @cached_property
    def words(self) -> Any:
        from llguidance import LLTokenizer

        settings = json.loads(self.material())
        return LLTokenizer(settings["tokenizer"], n_vocab=settings["n_vocab"], eos_token=settings["eos"])

    def load(self, compiled: bytes) -> Any:
        return compiled.decode()

    def matcher(self, grammar: Any) -> Matcher:
        return GuidanceMatcher(self.words, grammar)


class GuidanceMatcher(Matcher):
    def __init__(self, words: Any, grammar: str) -> None:
        from llguidance import LLMatcher

        self._matcher = LLMatcher(words, grammar, log_level=0)
        self._words = -(-words.vocab_size // BITS)
        self._end = words.eos_token
        self._ended = False

    def fill(self, words: Any) -> None:
        if self._ended:
            words.fill_(-1)
        elif self._matcher.is_stopped():
            # The text is complete, or the library met a limit of its own: then the reply ends, and fails its check.
            words[self._end // BITS] = bit(self._end)
        else:
            self._matcher.unsafe_compute_mask_ptr(words.data_ptr(), self._words * words.element_size())

    def advance(self, token: int) -> None:
        self._ended = self._ended or token == self._end
        if not self._matcher.is_stopped():
            self._matcher.consume_token(token)


MASKS = "2: tokens as bytes, masked until the end token"
ENDED = "3: and what goes on from where a text may end"
"""The version of our own use of these libraries, the second where Outlines masks with a regular expression. It is part of each
request's key, so that texts made under other masks are never mistaken for these; raise it when the masks change.
"""
DECODERS: dict[str, type[Decoder]] = {decoder.name: decoder for decoder in (Outlines, XGrammar, Guidance)}


def masks_version(decoder: DecoderName, constraint: Constraint) -> str:
    """Outlines' masks of a JSON schema are those of version 2, since its texts may end in one place alone; but for U+0000 where a
    pattern of the schema allows it."""
    return ENDED if decoder == "outlines" and constraint.kind == "regex" else MASKS
