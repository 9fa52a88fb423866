"""Chat templates that show tools: what a model is shown, in which syntax it is held, and which templates are turned down.

The templates are written from the models' documentation, since no package here ships the files.
"""

from __future__ import annotations

import json
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

import fmtbench
from fmtbench.answers import Number
from fmtbench.backbone import Backbone
from fmtbench.backends.hf import HF
from fmtbench.backends.template import calls_in
from fmtbench.backends.tokens import prompt
from fmtbench.errors import UserError
from fmtbench.formats.calls import CALLS
from fmtbench.running.calling import tools_offered
from fmtbench.types import Message, Request
from tests.thinking_backbone import TEMPLATE, THINKING, WRITES, byte_tokenizer, write_thinking_backbone

pytestmark = pytest.mark.model  # it makes tokenizers, which the light environment lacks

TEMPLATES = Path(__file__).parent / "cases" / "templates"
SAID = (Message(role="user", content="What is 9 * 2?"),)
NAMED = [name for name, one in CALLS.items() if one.rendered]
ANY = Backbone(name="any", path="/x")


def template(name: str) -> str:
    return (TEMPLATES / f"{name}.jinja").read_text("utf-8")


def asked(condition: Any) -> Request:
    offered = tools_offered(condition, Number())
    return Request(messages=SAID, constraint=condition.constraint(Number()), max_tokens=200, chat_template_kwargs=offered)


@pytest.mark.parametrize("name", NAMED)
def test_a_template_shows_the_tool_and_tells_its_syntax(name: str) -> None:
    text = template(f"{name}_tools")
    special = ["</s>", "[INST]", "[/INST]", "[TOOL_CALLS]", "[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]", "<|eot_id|>", "<|im_end|>"]
    tokenizer = byte_tokenizer(text, special, ["<tool_call>", "</tool_call>"])
    assert calls_in(text, ANY).syntax == name
    shown = {}
    for preset in ("tool_prompt", "tool_schema", "json_prompt"):
        condition = fmtbench.condition(preset, **({"calls": name} if preset == "tool_schema" else {}))
        shown[preset] = tokenizer.decode(prompt(tokenizer, asked(condition)).ids)
    assert ["submit" in text for text in shown.values()] == [True, True, False]
    begins = shown["tool_prompt"].replace(" ", "").replace("\n", "").index('"properties":{"reasoning":{"type":"string"},"answer"')
    assert begins > 0
    assert shown["tool_schema"] == shown["tool_prompt"] + ("[TOOL_CALLS]" if name == "mistral" else "")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            template("deepseek_r1"),
            "asked=tool needs a chat template that shows tools, and that of backbone any does not: leave out",
        ),
        ("{{ tools | tojson }}<tool_call>\\n<function=x>", "has its model call tools in a syntax that is not known, so no call"),
    ],
)
def test_a_template_without_tools_or_in_an_unknown_syntax_is_turned_down(text: str, said: str) -> None:
    found = calls_in(text, ANY)
    assert found.syntax == ""
    assert said in found.why_not
    assert "\n" not in found.why_not


def test_a_backbone_may_say_its_syntax() -> None:
    assert calls_in("{{ tools }}", replace(ANY, calls="llama")).syntax == "llama"
    assert calls_in(template("hermes_tools"), replace(ANY, calls="pythonic")).syntax == "pythonic"
    assert calls_in({"default": "{{ messages }}", "tool_use": template("hermes_tools")}, ANY).syntax == "hermes"
    with pytest.raises(
        UserError, match=r"backbone\.calls=xml is no syntax of calls: give one of hermes, mistral, llama, pythonic"
    ):
        calls_in("{{ tools }}", replace(ANY, calls="xml"))


def test_a_tool_in_the_arguments_is_not_the_users() -> None:
    with pytest.raises(ValueError, match="fmtbench itself sets tools: leave it out"):
        Backbone(name="x", path="/x", chat_template_kwargs={"tools": []})


SHORT = '{% if tools %}{{ tools[0].function.name }}<tool_call>\n{"name": {% endif %}' + TEMPLATE  # its prompt fits into 512 bytes


@pytest.mark.parametrize("calls", NAMED)
def test_the_mask_holds_a_model_to_the_call(calls: str, tmp_path: Path) -> None:
    """On transformers, with a model whose next token depends on the last one alone."""
    tiny = Backbone(**write_thinking_backbone(tmp_path, WRITES, SHORT), calls=calls)
    assert HF().calls(tiny) == (calls, "")
    condition = fmtbench.condition("tool_schema", calls=calls)
    with HF(device="cpu").open(tiny) as session:
        (one,) = session.generate([asked(condition)])
    assert (one.finish_reason, one.error) == ("stop", "")
    found = condition.read(one, Number())
    assert found.status == "ok", one.text
    assert Number().readable(found.answer or "")


def test_a_model_that_thinks_calls_after_its_thought(tmp_path: Path) -> None:
    tiny = Backbone(**write_thinking_backbone(tmp_path, WRITES, SHORT), thinking=THINKING)
    condition = fmtbench.condition("tool_schema", thinking="free")
    request = replace(asked(condition), thinking=tiny.thinking.thought(None))  # type: ignore[union-attr]
    with HF(device="cpu").open(tiny) as session:
        (one,) = session.generate([request])
    assert one.thought == "Wait"
    assert condition.read(one, Number()).status == "ok", one.text


@pytest.mark.skipif(find_spec("xgrammar") is None, reason="xgrammar, which knows the syntax of many models, is not installed")
@pytest.mark.parametrize(("calls", "known"), [("hermes", "qwen_3"), ("llama", "llama")])
def test_the_grammar_opens_a_call_as_xgrammar_does(calls: str, known: str) -> None:
    from xgrammar import get_model_structural_tag

    tool = {"type": "function", "function": {"name": "submit", "parameters": {"type": "object", "properties": {}}}}
    theirs = json.dumps(get_model_structural_tag(known, tools=[tool]).model_dump(), ensure_ascii=False)
    written = CALLS[calls].write("submit", {})
    assert json.dumps(written[: written.index("{}")], ensure_ascii=False)[1:-1] in theirs
