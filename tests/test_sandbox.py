"""The schema sandbox with the real tokenizer: bombs are barred or compiled, the child is reused, the cache mends itself."""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fmtbench.backbone import load_tokenizer
from fmtbench.decoding.decoders import Outlines, token_bytes
from fmtbench.decoding.sandbox import Limits, Sandbox
from fmtbench.errors import BarredError
from fmtbench.types import Constraint
from tests.bombs import bombs

QUICK = ("min_items_huge", "regex_ab_60", "regex_backreference", "pattern_invalid", "file_reference", "deep_objects_5000")
"""The others are thrown by make test-all, and all of them, for any decoder, by python -m tests.bombs."""
SMALL = Constraint(kind="regex", source="[ab]{3}")


@pytest.fixture(scope="module")
def decoder(backbone: Any) -> Outlines:
    return Outlines(load_tokenizer(backbone.resolve()))


@pytest.fixture
def sandbox(decoder: Outlines, tmp_path: Path) -> Iterator[Sandbox]:
    box = Sandbox(decoder, Limits(seconds=2), tmp_path)
    yield box
    box.close()


def test_there_are_sixty_bombs() -> None:
    assert len(bombs()) >= 60
    assert set(QUICK) <= set(bombs())


@pytest.mark.parametrize("name", [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in bombs()])
def test_a_bomb_is_barred_or_compiled_in_time(name: str, sandbox: Sandbox) -> None:
    sandbox.compile(SMALL)  # the child is up
    started = time.monotonic()
    try:
        assert sandbox.compile(bombs()[name]).states
    except BarredError as error:
        assert "is barred: " in str(error)  # noqa: PT017
    assert time.monotonic() - started < 20, "two seconds, and a new child on a busy machine"
    assert sandbox.compile(Constraint(kind="regex", source="[cd]{3}")).states == 5, "it goes on"


def test_what_is_barred_says_why_and_what_to_do(decoder: Outlines, tmp_path: Path) -> None:
    slow = Sandbox(decoder, Limits(seconds=0.5), tmp_path)
    with pytest.raises(BarredError, match=r"regex \w{8} \[ab\]\*a\[ab\]\{60\} is barred: .* 0.5 s .* compile.seconds"):
        slow.compile(Constraint(kind="regex", source="[ab]*a[ab]{60}"))
    small = Sandbox(decoder, Limits(seconds=60, memory_gb=0.05), tmp_path)
    with pytest.raises(BarredError, match=r"0.05 GB .* compile.memory_gb"):
        small.compile(Constraint(kind="regex", source="a{1,30000}b{1,30000}"))
    slow.close()
    small.close()


def test_a_refusal_is_remembered(sandbox: Sandbox) -> None:
    bomb = Constraint(kind="regex", source="[ab]*a[ab]{40}")
    for longest in (30, 0.1):
        started = time.monotonic()
        with pytest.raises(BarredError):
            sandbox.compile(bomb)
        assert time.monotonic() - started < longest


def test_the_child_is_reused(sandbox: Sandbox) -> None:
    sandbox.compile(SMALL)
    child = sandbox._child
    sandbox.compile(Constraint(kind="regex", source="[cd]{3}"))
    assert child is not None
    assert sandbox._child is child


def test_the_cache_is_used_and_a_damaged_file_is_made_anew(decoder: Outlines, tmp_path: Path) -> None:
    first = Sandbox(decoder, Limits(), tmp_path)
    made = first.compile(SMALL)
    first.close()
    assert not made.cached
    again = Sandbox(decoder, Limits(), tmp_path)
    found = again.compile(SMALL)
    assert (found.cached, found.states, found.cpu_seconds) == (True, made.states, made.cpu_seconds)
    assert again._child is None, "nothing was compiled"
    whole = made.path.read_bytes()
    for damaged in (b"", whole[:-1], whole[:-4] + b"\0\0\0\0", b"[]\n", os.urandom(100)):
        made.path.write_bytes(damaged)
        box = Sandbox(decoder, Limits(), tmp_path)
        assert not box.compile(SMALL).cached
        assert made.path.read_bytes().partition(b"\n")[2] == whole.partition(b"\n")[2]
        box.close()


def test_the_compiled_form_is_the_automaton(decoder: Outlines, sandbox: Sandbox) -> None:
    grammar = decoder.load(sandbox.payload(SMALL))
    assert len(grammar.index.get_transitions()) == sandbox.compile(SMALL).states
    matcher = decoder.matcher(grammar)
    assert allowed(matcher, decoder) == {
        "a",
        "b",
        "ab",
        "ba",
        "aa",
        "bb",
        "aaa",
        "bbb",
        "aba",
        "bab",
        "aab",
        "bba",
        "abb",
        "baa",
    } & set(decoder.tokenizer.get_vocab())


def allowed(matcher: Any, decoder: Outlines) -> set[str]:
    import torch

    words = torch.zeros(-(-len(decoder.tokenizer) // 32), dtype=torch.int32)
    matcher.fill(words)
    bits = ((words[:, None] >> torch.arange(32, dtype=torch.int32)) & 1).flatten().nonzero().flatten()
    return set(decoder.tokenizer.convert_ids_to_tokens(bits.tolist()))


def test_a_final_state_need_not_be_the_last(decoder: Outlines, sandbox: Sandbox) -> None:
    """`ab?`: after `a` the reply may end, after `ab` it must."""
    matcher = decoder.matcher(decoder.load(sandbox.payload(Constraint(kind="regex", source="ab?"))))
    end = decoder.tokenizer.eos_token
    for token, then in (("a", {"b", end}), ("b", {end})):
        matcher.advance(decoder.tokenizer.convert_tokens_to_ids(token))
        assert allowed(matcher, decoder) == then


def test_labels_of_several_bytes_can_be_spelt(decoder: Outlines, sandbox: Sandbox) -> None:
    """Outlines' own vocabulary turns each byte of a Korean syllable into U+FFFD, and then no label can be written."""
    label = "사실"
    sandbox.compile(Constraint(kind="regex", source=label))
    ids = decoder.tokenizer(label, add_special_tokens=False)["input_ids"]
    written = {number: text for text, numbers in token_bytes(decoder.tokenizer).items() for number in numbers}
    assert b"".join(written[token] for token in ids).decode() == label
    assert len(ids) > len(label)
