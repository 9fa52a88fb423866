"""Chat templates of models that think: what switches it, where the thought begins, and where it ends.

The templates are written from the models' documentation, since no package here ships the files; the marks are held against
those that xgrammar knows of the same models.
"""

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from experiments.starting.build import build
from fmtbench.backbone import Backbone
from fmtbench.backends.template import check_arguments_read, read_by
from fmtbench.backends.tokens import Prompted, finished, prompt
from fmtbench.conditions.condition import Condition
from fmtbench.decoding.after_thought import ThoughtWatch
from fmtbench.errors import UserError
from fmtbench.running.thinking import asked_to_think
from fmtbench.types import Message, Request
from tests.conftest import composed
from tests.thinking_backbone import byte_tokenizer

pytestmark = pytest.mark.model  # it makes tokenizers, which the light environment lacks

TEMPLATES = Path(__file__).parent / "cases" / "templates"
HARMONY = ["<|return|>", "<|start|>", "<|end|>", "<|message|>", "<|channel|>"]
MODELS: dict[str, tuple[str, list[str], list[str], str]] = {
    "qwen3_8b": ("qwen3", ["<|im_end|>", "<|im_start|>"], ["<think>", "</think>"], "qwen_3"),
    "deepseek_r1_7b": (
        "deepseek_r1",
        ["<｜end▁of▁sentence｜>", "<｜User｜>", "<｜Assistant｜>"],
        ["<think>", "</think>"],
        "deepseek_r1",
    ),
    "gpt_oss_20b": ("gpt_oss", HARMONY, [], "harmony"),
}
"""Template, special and ordinary marks, and xgrammar's name, by backbone."""
SAID = (Message(role="user", content="Hi?"), Message(role="assistant", content="Yes."), Message(role="user", content="So?"))
FREE, BUDGET, MASKED = (
    Condition(thinking="free"),
    Condition(thinking="budget", thinking_tokens=3),
    Condition(asked="json", enforced="schema", thinking="masked"),
)


@pytest.fixture(params=MODELS)
def model(request: pytest.FixtureRequest) -> tuple[Backbone, Any]:
    """The backbone as conf/ has it, and a tokenizer with its template and marks."""
    template, special, ordinary, _ = MODELS[request.param]
    tokenizer = byte_tokenizer((TEMPLATES / f"{template}.jinja").read_text("utf-8"), special, ordinary)
    return build(composed(f"backbone={request.param}").backbone, "backbone"), tokenizer


def shown(model: tuple[Backbone, Any], condition: Condition) -> str:
    backbone, tokenizer = model
    request = Request(messages=SAID, **asked_to_think(backbone, condition))
    return str(tokenizer.decode(prompt(tokenizer, request).ids))


ENDS = {
    "qwen3_8b": (
        "So?<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n",
        "So?<|im_end|>\n<|im_start|>assistant\n<think>\n",
        "So?<|im_end|>\n<|im_start|>assistant\n",
    ),
    "deepseek_r1_7b": ("So?<｜Assistant｜><think>\n",) * 3,
    "gpt_oss_20b": (
        "So?<|end|><|start|>assistant",
        "So?<|end|><|start|>assistant<|channel|>analysis<|message|>",
        "So?<|end|><|start|>assistant",
    ),
}
"""How a prompt ends where the model is not asked to think, is, and is masked from the first token."""


def test_a_prompt_ends_where_the_thought_or_the_reply_begins(model: tuple[Backbone, Any]) -> None:
    off, free, masked = ENDS[model[0].name]
    assert shown(model, Condition()).endswith(off)
    assert shown(model, FREE) == shown(model, BUDGET)
    assert shown(model, FREE).endswith(free)
    assert shown(model, MASKED).endswith(masked)


def test_every_argument_is_read_by_the_template(model: tuple[Backbone, Any]) -> None:
    backbone, tokenizer = model
    check_arguments_read(tokenizer.chat_template, backbone)
    unread = Backbone(name="x", path="/x", chat_template_kwargs={"thinking_mode": True})
    with pytest.raises(UserError, match="thinking_mode, which the chat template of backbone x does not read"):
        check_arguments_read(tokenizer.chat_template, unread)


def test_an_effort_is_shown_to_the_model() -> None:
    tokenizer = byte_tokenizer((TEMPLATES / "gpt_oss.jinja").read_text("utf-8"), HARMONY, [])
    texts = [
        tokenizer.decode(prompt(tokenizer, Request(messages=SAID, chat_template_kwargs=given)).ids)
        for given in ({}, {"reasoning_effort": "low"})
    ]
    assert ["Reasoning: medium" in texts[0], "Reasoning: low" in texts[1]] == [True, True]


def test_a_tag_that_only_transformers_knows_hides_no_name() -> None:
    assert read_by("{% for m in messages %}{% generation %}{{ m.content + mood }}{% endgeneration %}{% endfor %}") == {
        "messages",
        "mood",
    }


def test_thought_and_reply_are_told_apart_in_what_the_model_writes(model: tuple[Backbone, Any]) -> None:
    backbone, tokenizer = model
    assert backbone.thinking is not None
    thinking = backbone.thinking.thought(None)
    asked = Prompted(request=Request(messages=SAID, thinking=thinking), ids=[0])
    ids = tokenizer.encode(f"Let me see.{thinking.forced}It is 42.", add_special_tokens=False)
    one = finished(tokenizer, asked, [*ids, tokenizer.eos_token_id], "stop", seconds=0, decoder="outlines")
    assert (one.thought, one.text) == ("Let me see.", "It is 42.")
    assert len(one.token_ends) == len(one.token_ids) == one.completion_tokens
    cut = finished(tokenizer, asked, ids[:5], "length", seconds=0, decoder="outlines")
    assert (cut.thought, cut.text, cut.thought_tokens) == ("Let m", "", 5)


@pytest.mark.parametrize("begun", [0, 1])
def test_a_spent_budget_writes_the_end_of_the_thought(model: tuple[Backbone, Any], begun: int) -> None:
    """Of an end of several tokens, the first may be the last that the model wrote itself."""
    backbone, tokenizer = model
    assert backbone.thinking is not None
    thinking = backbone.thinking.thought(3)
    end = tokenizer.encode(thinking.forced, add_special_tokens=False)
    watch = ThoughtWatch(tokenizer, thinking)
    written = [*tokenizer.encode("abc", add_special_tokens=False)[: 3 - begun], *end[:begun]]
    for token in written:
        assert (watch.due, watch.over) == (None, False)
        watch.advance(token)
    while (token := watch.due) is not None:
        written.append(token)
        watch.advance(token)
    assert watch.over
    assert tokenizer.decode(written) == "abc"[: 3 - begun] + thinking.forced


@pytest.mark.skipif(find_spec("xgrammar") is None, reason="xgrammar, which knows the marks of many models, is not installed")
@pytest.mark.parametrize("name", MODELS)
def test_the_marks_are_those_that_xgrammar_knows_of_the_model(name: str) -> None:
    from xgrammar import get_model_structural_tag

    style = build(composed(f"backbone={name}").backbone, "backbone").thinking
    known = json.dumps(get_model_structural_tag(MODELS[name][3], reasoning=True).model_dump(), ensure_ascii=False)
    for mark in (style.closes, *([style.opens] if name == "gpt_oss_20b" else [])):
        assert mark in known
