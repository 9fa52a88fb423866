"""Templates and token ids: what an encoder is shown, with the backbone's own tokenizer."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from fmtbench.embed.loading import append_eos
from fmtbench.embed.spec import EncoderSpec
from fmtbench.embed.templates import Template
from fmtbench.embed.tokens import tokenise
from fmtbench.errors import UserError

PLAIN = Template()
INSTRUCT = Template(query="Instruct: {instruction}\nQuery: {text}", document="{text}")
ONE_WORD = Template(query='This sentence: "{text}" means in one word: "')
ECHO = Template(query="Rewrite: {text}\nRewritten: {text}")
LONG = "The quick brown fox jumps over the lazy dog. " * 40


@pytest.fixture(scope="module")
def bare(backbone: Any) -> Any:
    from transformers import AutoTokenizer

    from fmtbench.backbone import prepare

    return AutoTokenizer.from_pretrained(prepare(backbone.resolve()))


@pytest.fixture(scope="module")
def tokenizer(bare: Any) -> Any:
    import copy

    ended = copy.deepcopy(bare)
    append_eos(ended)
    return ended


def ids(tokenizer: Any, text: str, template: Template = PLAIN, role: str = "query", instruction: str = "", n: int = 64) -> Any:
    return tokenise(tokenizer, [text], EncoderSpec(template=template, max_tokens=n), role, instruction)[0]


def test_the_instruction_stands_before_queries_only() -> None:
    assert INSTRUCT.render("x", "query", "Find it.").text == "Instruct: Find it.\nQuery: x"
    assert INSTRUCT.render("x", "document", "Find it.").text == "x"
    with pytest.raises(UserError, match="needs an instruction"):
        INSTRUCT.render("x", "query", "")


@given(text=some.text(min_size=1), instruction=some.text(min_size=1))
def test_names_within_the_text_are_text(text: str, instruction: str) -> None:
    for template in (INSTRUCT, ONE_WORD, ECHO):
        rendered = template.render(text, "query", instruction)
        assert all(rendered.text[start:end] == text for start, end in rendered.spans)
        assert len(rendered.spans) == (2 if template is ECHO else 1)
    assert ONE_WORD.render("{text} {x}", "query", "").text == 'This sentence: "{text} {x}" means in one word: "'


@pytest.mark.parametrize("words", ["no name", "{instruction}", "{text} {other}", "{text} {}"])
def test_a_template_must_hold_the_text_and_nothing_unknown(words: str) -> None:
    with pytest.raises(ValueError, match="must hold"):
        Template(query=words)


def test_only_a_fixed_prefix_goes_into_the_folder() -> None:
    e5 = Template(query="query: {text}", document="passage: {text}")
    assert (e5.prefix("query"), e5.prefix("document"), Template().prefix("query")) == ("query: ", "passage: ", "")
    assert [template.prefix("query") for template in (INSTRUCT, ONE_WORD, ECHO)] == [None] * 3


def test_no_chat_template_and_eos_at_the_end(bare: Any, tokenizer: Any) -> None:
    assert bare.chat_template
    assert ids(tokenizer, "Hi").ids == [*bare("Hi").input_ids, bare.eos_token_id]
    assert bare("Hi").input_ids[-1] != bare.eos_token_id, "the backbone's own tokenizer appends none"


def test_eos_is_not_appended_twice(tokenizer: Any) -> None:
    before = tokenizer("Hi").input_ids
    append_eos(tokenizer)
    assert tokenizer("Hi").input_ids == before


def test_eos_comes_after_what_a_tokenizer_puts_around_a_text_already(bare: Any) -> None:
    import copy

    from tokenizers.processors import TemplateProcessing

    begun = copy.deepcopy(bare)
    special = [("<|im_start|>", bare.convert_tokens_to_ids("<|im_start|>"))]
    begun.backend_tokenizer.post_processor = TemplateProcessing(single="<|im_start|> $A", special_tokens=special)
    append_eos(begun)
    assert begun("Hi").input_ids == [special[0][1], *bare("Hi").input_ids, bare.eos_token_id]


@pytest.mark.parametrize("template", [Template(), INSTRUCT, ONE_WORD, ECHO], ids=["plain", "instruct", "one_word", "echo"])
@pytest.mark.parametrize("limit", [40, 64])
def test_a_long_text_is_cut_and_the_words_around_it_and_eos_stay(tokenizer: Any, template: Template, limit: int) -> None:
    found = ids(tokenizer, LONG, template, instruction="Find it.", n=limit)
    assert found.cut
    assert limit - 1 <= len(found.ids) <= limit
    assert found.ids[-1] == tokenizer.eos_token_id
    shown = tokenizer.decode(found.ids[:-1])
    before, after = template.query.replace("{instruction}", "Find it.").rsplit("{text}", 1)
    assert shown.startswith(before.split("{text}")[0] + "The quick")
    assert shown.endswith(after)


def test_a_plain_cut_is_the_tokenizers_own(tokenizer: Any) -> None:
    assert ids(tokenizer, LONG, n=32).ids == tokenizer(LONG, truncation=True, max_length=32).input_ids


@pytest.mark.parametrize("template", [INSTRUCT, ONE_WORD, ECHO])
@pytest.mark.parametrize("text", ["short", LONG], ids=["short", "long"])
def test_the_start_is_that_of_the_texts_last_copy(tokenizer: Any, template: Template, text: str) -> None:
    found = ids(tokenizer, text, template, instruction="Find it.", n=48)
    assert tokenizer.decode(found.ids[found.start :]).strip().startswith(text[:5])
    assert "{" not in tokenizer.decode(found.ids)
    before = tokenizer.decode(found.ids[: found.start])
    assert before.rstrip().endswith({INSTRUCT: "Query:", ONE_WORD: '"', ECHO: "Rewritten:"}[template])


def test_mistakes(tokenizer: Any) -> None:
    with pytest.raises(UserError, match="text 1 is empty"):
        tokenise(tokenizer, ["x", " \n"], EncoderSpec(), "query", "")
    with pytest.raises(UserError, match="leaves no room"):
        ids(tokenizer, LONG, ONE_WORD, n=8)
    assert tokenise(tokenizer, [], EncoderSpec(), "query", "") == []
