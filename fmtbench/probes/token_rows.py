"""The rows of `mass.parquet` and `spelling.parquet`: what probes found about a reply, with the part that each token wrote."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal

from fmtbench.decoding.decoders import token_bytes
from fmtbench.formats.blanks import undone
from fmtbench.formats.json import JsonFormat
from fmtbench.probes.mass import MassRecord
from fmtbench.probes.replies import ProbedReply, places
from fmtbench.probes.spelling import Speller
from fmtbench.readers.plain import words

Kind = Literal["line_break", "space", "word", "mark", "special"]
STRING = r'"(?:[^"\\]|\\.)*+"'
CLOSED = re.compile(rf"(?P<held>{STRING})", re.S)
LISTED = re.compile(rf"\[\s*(?P<held>{STRING}(?:\s*,\s*{STRING})*)\s*\]", re.S)
"""A closed rationale in JSON, up to the last quote of its string or strings."""


def token_kinds(tokenizer: Any) -> dict[int, Kind]:
    """What each token writes: a line break takes precedence, then white space, then a word, then marks."""
    special = set(tokenizer.all_special_ids)
    written = ((token, text.decode(errors="replace")) for text, tokens in token_bytes(tokenizer).items() for token in tokens)
    return {token: "special" if token in special else kind_of(text) for token, text in written}


def kind_of(text: str) -> Kind:
    if "\n" in text:
        return "line_break"
    if not text.strip():
        return "space"
    return "word" if any(character.isalnum() for character in text) else "mark"


def mass_rows(
    replies: Iterable[ProbedReply], records: Mapping[str, Iterable[MassRecord]], kinds: Mapping[int, Kind]
) -> Iterator[dict[str, Any]]:
    """The rows of some replies. `records` holds each reply's records by the key of its request."""
    for one in replies:
        for record in records.get(one.request.key, ()):
            told = {
                "against": record.against,
                "decoder": record.decoder,
                "dtype": record.dtype,
                "temperature": one.request.temperature,
                "top_p": one.request.top_p,
            }
            if record.problem:
                yield {"request_key": one.request.key, "problem": record.problem, **told}
            else:
                yield from (row | told for row in _figures(one, record, kinds))


def _figures(one: ProbedReply, record: MassRecord, kinds: Mapping[int, Kind]) -> Iterator[dict[str, Any]]:
    closes, count = closing(one) if record.against == "own" else (None, None)
    for place, row in zip(range(len(record.left)), _tokens(one)):
        yield row | {
            "left": record.left[place],
            "left_own": record.left_own[place] if record.left_own else None,
            "logprob": record.logprob[place],
            "override": bool(record.override[place]),
            "allowed": record.allowed[place],
            "top": record.top[place],
            "first": kinds.get(record.top[place], "special"),  # ids beyond the tokenizer have no text
            "breaks": record.breaks[place],
            "closing": place == closes,
            "words": count if place == closes else None,
        }


def spelling_rows(replies: Iterable[ProbedReply], speller: Speller) -> Iterator[dict[str, Any]]:
    for one in replies:
        spelling = speller.spelling(one)
        if spelling.problem:
            yield {"request_key": one.request.key, "problem": spelling.problem}
        yield from (row | {"respelt": respelt} for row, respelt in zip(_tokens(one), spelling.respelt))


def _tokens(one: ProbedReply) -> Iterator[dict[str, Any]]:
    generation = one.generation
    for place, (token, end) in enumerate(zip(generation.token_ids, generation.token_ends)):
        yield {
            "request_key": one.request.key,
            "position": place,
            "token": token,
            "end": end,
            "part": one.parts[place],
            "bridge": one.bridges[place],
        }


def closing(one: ProbedReply) -> tuple[int | None, int | None]:
    """The index of the token that closes the rationale's string, and the number of words in it.

    Of several rationale fields, the last counts; a list counts from where its last string closes, with the words of all its
    strings. None if a reply is not JSON, has no rationale, or was cut before its end.
    """
    layout, text = one.condition.layout, one.generation.text
    if not isinstance(one.condition.produced, JsonFormat) or not layout.stages:
        return None, None
    opening = re.search(rf'"{re.escape(layout.stages[-1])}"\s*:\s*', text)
    held = (LISTED if layout.rationale == "list" else CLOSED).match(text, opening.end()) if opening else None
    if held is None:
        return None, None
    quote = held.end("held") - 1
    place = next((place for place, (_, end) in enumerate(places(one.generation)) if end > quote), None)
    return place, sum(len(words(undone(string[1:-1]))) for string in re.findall(STRING, held["held"], re.S))
