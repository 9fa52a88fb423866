"""The masking libraries, with the real tokenizer and the embedded model. Those that are absent are skipped (CI has them)."""

import codecs
import json
import random
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import cache
from importlib.util import find_spec
from typing import Any

import jsonschema
import pytest
import torch
from outlines_core import Guide, Index, Vocabulary

from experiments.decoders import complaint
from experiments.starting.build import build
from fmtbench.answers import Text
from fmtbench.backends.hf import HF
from fmtbench.conditions.allowed import one_line
from fmtbench.decoding.decoders import DECODERS, Decoder, token_bytes
from fmtbench.decoding.grammar import ANYTHING, allows, regex
from fmtbench.decoding.guide import EndedGuide
from fmtbench.decoding.mask_memory import MaskMemory
from fmtbench.decoding.sandbox import Limits, Sandbox
from fmtbench.decoding.schema import json_schema
from fmtbench.errors import BarredError, UserError
from fmtbench.probes.walks import Comparison, unpacked
from fmtbench.types import Constraint
from tests.conftest import composed
from tests.decoders_here import EACH, HERE
from tests.test_backends import SCHEMA, requests

THOUGHT = Constraint(kind="regex", source=r'[^!]*!([ \n]?\{"a": [0-9]+\})')
LINE_BREAKS = "\n\r\x0b\x0c\x85\u2028\u2029"
SCHEMAS = [
    Constraint(kind="json_schema", source=json_schema({"reasoning": str, "answer": float})),
    Constraint(kind="json_schema", source='{"type": "object", "properties": {"label": {"enum": ["사실", "거짓", "B & C"]}}, '
               '"required": ["label"], "additionalProperties": false}'),
]  # fmt: skip
TEXTS = dict(zip(SCHEMAS, ['{"reasoning": "가\\n😀 7", "answer": 7.5}', '{"label": "거짓"}']))


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Masks are small: threads would only wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


Grammars = dict[Constraint, dict[str, Any]]
"""By the library that compiled them."""


@pytest.fixture(scope="module")
def decoders(tokenizer: Any) -> dict[str, Decoder]:
    return {name: DECODERS[name](tokenizer) for name in HERE}


@pytest.fixture(scope="module")
def grammars(decoders: dict[str, Decoder], tmp_path_factory: pytest.TempPathFactory) -> Grammars:
    """What each library compiled of each constraint, in one child process a library."""
    constraints, folder = [*SCHEMAS, ANYTHING, THOUGHT, one_line(Text())], tmp_path_factory.mktemp("grammars")
    made: Grammars = {constraint: {} for constraint in constraints}
    for name, decoder in decoders.items():
        with closing(Sandbox(decoder, Limits(seconds=120), folder)) as box:
            for constraint in constraints:
                made[constraint][name] = decoder.load(box.payload(constraint))
    return made


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("walks", [3, pytest.param(40, marks=pytest.mark.slow)])
@pytest.mark.parametrize("driver", EACH)
def test_walks(driver: str, walks: int, tokenizer: Any, decoders: dict[str, Decoder], grammars: Grammars) -> None:
    """Whatever a mask allows validates, keeps its keys in order and the one whitespace rule; all here follow it."""
    comparison = Comparison(decoders, len(tokenizer))
    ended = 0
    for schema in SCHEMAS:
        for seed in range(walks):
            ids = comparison.walk(grammars[schema], driver, random.Random(seed))
            if ids is not None:
                ended += 1
                assert complaint(schema, tokenizer.decode(ids, skip_special_tokens=True), driver) == []
    assert ended >= 2 * walks * 0.95
    assert all(found.steps > 5 * walks for found in comparison.differences.values())


def begins(written: bytes, forbidden: str) -> bool:
    """Whether a text without any of these characters may begin with these bytes."""
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(written)
    except UnicodeDecodeError:
        return False
    return not set(text) & set(forbidden)


def unfinished(written: bytes) -> bytes:
    """The bytes of the last character, where some are still to come."""
    return written[len(written.decode(errors="ignore").encode()) :]


@pytest.fixture(scope="module")
def spelled(tokenizer: Any) -> dict[int, bytes]:
    """The bytes of each token, but of the special ones and of those with U+0000, with which texts end for outlines_core."""
    tokens = {number: text for text, numbers in token_bytes(tokenizer).items() for number in numbers if b"\0" not in text}
    for special in tokenizer.get_added_vocab().values():
        tokens.pop(special)
    return tokens


@pytest.fixture(scope="module")
def going_on(spelled: dict[int, bytes]) -> Callable[[bytes, str], set[int]]:
    """The tokens that may follow, as `begins` has it: of an allowed text only its unfinished character matters."""

    @cache
    def found(rest: bytes, forbidden: str) -> set[int]:
        return {number for number, text in spelled.items() if begins(rest + text, forbidden)}

    return found


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize(("sham", "forbidden"), [(ANYTHING, ""), (one_line(Text()), LINE_BREAKS)])
@pytest.mark.parametrize("driver", EACH)
def test_what_may_go_on_from_anywhere(
    driver: str,
    sham: Constraint,
    forbidden: str,
    tokenizer: Any,
    decoders: dict[str, Decoder],
    grammars: Grammars,
    spelled: dict[int, bytes],
    going_on: Callable[[bytes, str], set[int]],
) -> None:
    """Along a text of many scripts, whose characters are written in pieces: each token that begins an allowed text, no other."""
    matcher, written = decoders[driver].matcher(grammars[sham][driver]), b""
    for token in tokenizer("So 3 + 4, é:\t정답은 7 😀 猫.")["input_ids"]:
        words = torch.zeros(-(-len(tokenizer) // 32), dtype=torch.int32)
        matcher.fill(words)
        allowed_V = unpacked(words)
        assert spelled.keys() & set(allowed_V.nonzero().flatten().tolist()) == going_on(unfinished(written), forbidden)
        assert bool(allowed_V[tokenizer.eos_token_id]) == (not unfinished(written))
        matcher.advance(token)
        written += spelled[token]
    assert written.decode() == "So 3 + 4, é:\t정답은 7 😀 猫."


@pytest.mark.parametrize("driver", EACH)
def test_a_reply_ends_where_its_text_may(driver: str, tokenizer: Any, decoders: dict[str, Decoder], grammars: Grammars) -> None:
    """Not wherever anything may follow: a thought, which may hold any character, is no reply."""
    grammar, text = grammars[THOUGHT][driver], 'Fine: 정답은 7 F! {"a": 7}'
    matcher, ids = decoders[driver].matcher(grammar), tokenizer(text)["input_ids"]
    for place in range(len(ids) + 1):
        words = torch.zeros(-(-len(tokenizer) // 32), dtype=torch.int32)
        matcher.fill(words)
        may_end = allows(THOUGHT, tokenizer.decode(ids[:place]))
        assert bool(unpacked(words)[tokenizer.eos_token_id]) == may_end == (place == len(ids))
        if place < len(ids):
            matcher.advance(ids[place])


@pytest.mark.parametrize("schema", SCHEMAS)
def test_an_end_that_is_written_out_leaves_the_masks_of_a_schema_as_they_were(
    schema: Constraint, tokenizer: Any, grammars: Grammars
) -> None:
    """So that replies under a schema keep their keys (`masks_version`)."""
    end, words = tokenizer.eos_token_id, -(-len(tokenizer) // 32)
    plain = Vocabulary(end, {token: ids for token, ids in token_bytes(tokenizer).items() if end not in ids})
    before, index = Guide(Index(regex(schema), plain)), grammars[schema]["outlines"].index
    now = EndedGuide(Guide(index), index, end)
    for token in tokenizer(TEXTS[schema])["input_ids"]:
        as_it_was = torch.zeros(words, dtype=torch.int32)
        before.write_mask_into(as_it_was.data_ptr(), words, 4)
        assert torch.equal(as_it_was, now.mask(words))
        before.advance(token, return_tokens=False)
        now.advance(token)
    assert unpacked(now.mask(words)).nonzero().tolist() == [[end]]
    assert before.is_finished()
    assert now.is_finished()


def test_a_remembered_mask_is_the_one_that_outlines_writes(
    tokenizer: Any, grammars: Grammars, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Along walks through two grammars with one memory, too small for all their states."""
    monkeypatch.setattr("fmtbench.decoding.mask_memory.MASKS", 20)
    memory = MaskMemory()
    words = -(-len(tokenizer) // 32)
    seen, masks = set(), 0
    for seed in range(20):
        draw, grammar = random.Random(seed), grammars[SCHEMAS[seed % 2]]["outlines"]
        guide = EndedGuide(Guide(grammar.index), grammar.index, tokenizer.eos_token_id)
        while not guide.is_finished() and masks < 2000:
            ours = torch.full((words,), -1, dtype=torch.int32)
            memory.fill(ours, grammar.name, guide)
            assert torch.equal(ours, guide.mask(words))
            seen.add((grammar.name, guide.get_state()))
            masks += 1
            guide.advance(draw.choice(guide.get_tokens()))
    assert masks > len(seen) > 20, "some masks came out of the memory, and some had been forgotten"


@pytest.mark.model
@pytest.mark.parametrize("name", EACH)
def test_hf_masks_with_the_decoder_asked_for(name: str, backbone: Any) -> None:
    with HF(decoder=name, limits=Limits(seconds=120)).open(backbone) as session:  # type: ignore[arg-type]
        for generation in session.generate(requests(constraint=SCHEMA)):
            assert name.replace("guidance", "llguidance") in generation.decoder
            assert generation.finish_reason != "error"
            if generation.finish_reason == "stop":
                jsonschema.validate(json.loads(generation.text), json.loads(SCHEMA.source))


def test_what_a_decoder_cannot_do_is_a_typed_error(backbone: Any) -> None:
    backend = build(composed("compile.seconds=3").backend, "backend")
    with pytest.raises(BarredError, match="is barred: outlines cannot compile it"):
        backend.admit(backbone, Constraint(kind="regex", source=r"(?=a)b"))
    with pytest.raises(BarredError, match="is barred: Outlines cannot turn it into a grammar") as caught:
        backend.admit(backbone, Constraint(kind="json_schema", source='{"$ref": "https://example.com/schema.json"}'))
    assert not caught.value.declared


@pytest.mark.skipif(bool(find_spec("xgrammar")), reason="xgrammar is installed")
def test_a_decoder_that_is_not_installed_is_named() -> None:
    backend = build(composed("decoder=xgrammar").backend, "backend")
    with pytest.raises(UserError, match=r"decoder=xgrammar needs xgrammar: pip install 'fmtbench\[decoders\]'"):
        backend.identity(build(composed().backbone, "backbone"), SCHEMA)


def test_complaints_are_made() -> None:
    schema = SCHEMAS[0]
    good = '{"reasoning": "a  b\\n", "answer": 3}'
    assert complaint(schema, good, "x") == []
    for bad in ('{"reasoning": "a", "answer": "3"}', '{"answer": 3, "reasoning": "a"}', '{"reasoning":  "a", "answer": 3}', "{"):
        assert len(complaint(schema, bad, "x")) == 1
