"""The grammars that llama.cpp gets say the same language as the regular expressions that every other engine gets."""

import re
from functools import cache
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fmtbench.answers import Choice, Label, Number, Text
from fmtbench.decoding.gbnf import gbnf
from fmtbench.decoding.grammar import regex
from fmtbench.errors import BarredError
from tests.conftest import options

KINDS = [Number(), Choice(options=("x", "y", "z")), Label(labels=("Business & Management", 'a "quoted" ^label-')), Text()]
PATTERNS = [
    r"[\s\S]*",
    r"a{0,3}b?c+(d|)e.[^\n][-^\]]{2}(?:xy{2}){3}",
    r"[가-힣]+😀?|\"\\|\[\]",
    r"(?:ab)*(a|b)?|[^a-y]",
    r"\d\D\s\S\w\W",
    r"^x\.\Z",
]
TOKEN = re.compile(r'"(?P<text>(?:[^"\\]|\\.)*)"|(?P<kept>\[(?:[^\]\\]|\\.)*\]|[()|*+?]|\{[\d,]+\})|\s+')
ESCAPE = re.compile(r"\\(?:x(..)|U(.{8})|(.))")


def as_regex(grammar: str) -> re.Pattern[str]:
    """A grammar of one rule, read back by what its documentation says; classes are written as in Python."""
    body, found, position = grammar.removeprefix("root ::= "), "", 0
    while position < len(body):
        token = TOKEN.match(body, position)
        assert token, f"no GBNF from here: {body[position : position + 40]}"
        found += f"(?:{re.escape(unescaped(token['text']))})" if token["text"] is not None else token["kept"] or ""
        position = token.end()
    return re.compile(found)


def unescaped(text: str) -> str:
    def character(match: re.Match[str]) -> str:
        code = match[1] or match[2]
        return chr(int(code, 16)) if code else {"n": "\n", "r": "\r", "t": "\t"}.get(match[3], match[3])

    return ESCAPE.sub(character, text)


def every_pattern(conditions: dict[str, Any]) -> list[str]:
    held = {condition.constraint(kind) for condition in conditions.values() for kind in KINDS}
    return sorted({regex(constraint) for constraint in held if constraint})


@cache
def same_language(pattern: str, walks: int) -> None:
    """Random texts of either are texts of the other. Once a pattern: many conditions share theirs."""
    theirs = as_regex(gbnf(pattern))
    _matches(re.compile(pattern), theirs, walks)
    _matches(theirs, re.compile(pattern), walks)


def _matches(written: re.Pattern[str], read: re.Pattern[str], walks: int) -> None:
    @settings(max_examples=walks, database=None, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.from_regex(written, fullmatch=True))
    def check(text: str) -> None:
        assert "\0" in text or read.fullmatch(text)

    check()


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_pattern_and_its_grammar(pattern: str) -> None:
    same_language(pattern, 50)


@pytest.mark.parametrize("name", options("condition"))
def test_every_condition_is_the_same_language(conditions: dict[str, Any], name: str) -> None:
    for pattern in every_pattern({name: conditions[name]}):
        same_language(pattern, 5)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["json_schema", "think_then_json", "json_mode", "sham", "restricted_cot_25_hard"])
def test_a_thousand_walks_each_way(conditions: dict[str, Any], name: str) -> None:
    same_language(every_pattern({name: conditions[name]})[0], 1000)


@pytest.mark.parametrize("pattern", [r"a(?=b)", r"(a)\1", r"\bx", r"a{3000}"])
def test_what_a_grammar_cannot_say_is_barred(pattern: str) -> None:
    with pytest.raises(BarredError, match=r"llama\.cpp"):
        gbnf(pattern)


def test_nul_is_left_out() -> None:
    assert gbnf(r"[\x00-\x08]") == r"root ::= [\x01-\x08]"
