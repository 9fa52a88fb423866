"""Models that think before they reply, on the transformers engine: a thought is kept apart, and the mask begins after it."""

from pathlib import Path
from typing import Any

import pytest

from fmtbench.backbone import Backbone
from fmtbench.backends.hf import HF
from fmtbench.backends.proof import PROBE_GRAMMAR
from fmtbench.backends.tokens import prompt
from fmtbench.decoding.grammar import allows
from fmtbench.types import Constraint, Generation, Message, Request, Thinking
from tests.thinking_backbone import THINKING, WRITES, write_thinking_backbone

MARKS = {name: THINKING[name] for name in ("opens", "closes", "forced")}
ASKED: dict[str, Any] = {"messages": (Message(role="user", content="Hello?"),), "max_tokens": 40}
ON, OFF = {"enable_thinking": True}, {"enable_thinking": False}


@pytest.fixture(scope="module")
def fields(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("thinker")
    return write_thinking_backbone(folder, WRITES) | {"chat_template_kwargs": OFF, "thinking": THINKING}


@pytest.fixture(scope="module")
def thinker(fields: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FMTBENCH_CACHE", str(tmp_path_factory.mktemp("cache")))
        with HF(device="cpu").open(Backbone(**fields)) as session:
            yield session


def said(session: Any, tokens: int | None = None, **changed: Any) -> Generation:
    (one,) = session.generate(
        [Request(**ASKED | {"thinking": Thinking(tokens=tokens, **MARKS), "chat_template_kwargs": ON} | changed)]
    )
    return one


def test_a_thought_is_kept_apart_from_the_reply(thinker: Any) -> None:
    one = said(thinker)
    assert (one.thought, one.text, one.finish_reason) == ("Wait", "Ok", "stop")
    assert one.thought_tokens == 5  # W a i t and the mark
    assert len(one.token_ids) == one.completion_tokens == 8
    assert one.token_ends == (0, 0, 0, 0, 0, 1, 2, 2)


def test_a_mask_begins_after_the_thought(thinker: Any) -> None:
    one = said(thinker, constraint=PROBE_GRAMMAR)
    assert one.thought == "Wait"
    assert allows(PROBE_GRAMMAR, one.text)
    assert one.finish_reason == "stop"
    assert one.decoder.startswith("outlines")


def test_a_mask_from_the_first_token_forbids_the_thought(thinker: Any) -> None:
    one = said(thinker, constraint=PROBE_GRAMMAR, thinking=None)
    assert one.thought == ""
    assert allows(PROBE_GRAMMAR, one.text)
    assert one.thought_tokens == 0


@pytest.mark.parametrize("tokens", [1, 2, 3])
def test_a_budget_forces_the_end_of_the_thought(thinker: Any, tokens: int) -> None:
    one = said(thinker, tokens)
    assert one.thought == "Wait"[:tokens]
    forced = thinker.tokenizer.encode(MARKS["forced"], add_special_tokens=False)
    assert list(one.token_ids[tokens : tokens + len(forced)]) == forced
    masked = said(thinker, tokens, constraint=PROBE_GRAMMAR)
    assert (masked.thought, masked.finish_reason) == (one.thought, "stop")
    assert masked.text.startswith('{"a"')


def test_a_budget_that_is_not_spent_changes_nothing(thinker: Any) -> None:
    assert said(thinker, 6).token_ids == said(thinker).token_ids


def test_a_thought_that_the_limit_cuts_is_kept(thinker: Any) -> None:
    one = said(thinker, max_tokens=3)
    assert (one.thought, one.text, one.finish_reason) == ("Wai", "", "length")
    held = said(thinker, max_tokens=3, constraint=PROBE_GRAMMAR)
    assert (held.thought, held.text, held.finish_reason) == ("Wai", "", "length")


def test_rows_of_one_batch_think_each_for_themselves(thinker: Any) -> None:
    kinds: list[dict[str, Any]] = [{}, {"tokens": 2}, {"constraint": PROBE_GRAMMAR}, {"tokens": 1, "constraint": PROBE_GRAMMAR}]
    alone = [said(thinker, **kind) for kind in kinds]
    asked = [
        Request(
            **ASKED,
            chat_template_kwargs=ON,
            thinking=Thinking(tokens=kind.get("tokens"), **MARKS),
            constraint=kind.get("constraint"),
        )
        for kind in kinds
    ]
    together = {one.key: one for one in thinker.generate(asked)}
    assert [together[one.key].token_ids for one in asked] == [one.token_ids for one in alone]


def test_the_prompt_begins_the_thought_where_the_template_does_not(thinker: Any) -> None:
    def shown(**changed: Any) -> str:
        return str(thinker.tokenizer.decode(prompt(thinker.tokenizer, Request(**ASKED | changed)).ids))

    thinking = Thinking(**MARKS)
    assert shown() == "<|im|>Hello?<|im|>"
    assert shown(chat_template_kwargs=OFF) == "<|im|>Hello?<|im|><think></think>"
    assert shown(chat_template_kwargs=ON, thinking=thinking) == "<|im|>Hello?<|im|><think>\n"


def test_a_template_that_begins_the_thought_is_left_alone(tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    write_thinking_backbone(tmp_path, WRITES, "{% for m in messages %}<|im|>{{ m.content }}{% endfor %}<|im|><think>\n")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    plain, thinks = (prompt(tokenizer, Request(**ASKED, thinking=one)).ids for one in (None, Thinking(**MARKS)))
    assert plain == thinks


def test_a_thought_may_end_inside_a_budgeted_end(thinker: Any) -> None:
    """A mark of several tokens that the model has begun is completed and not begun again."""
    from fmtbench.decoding.after_thought import ThoughtWatch

    watch = ThoughtWatch(thinker.tokenizer, Thinking(tokens=3, opens="(", closes="</t>", forced="</t>"))
    for letter in "a</":
        assert watch.due is None
        watch.advance(*thinker.tokenizer.encode(letter))
    written = ""
    while (token := watch.due) is not None:
        written += thinker.tokenizer.decode([token])
        watch.advance(token)
    assert (written, watch.over) == ("t>", True)


def test_any_text_may_be_a_thought_that_a_constraint_forbids(thinker: Any) -> None:
    """The thought `Wait` is no digit; the reply may be nothing else."""
    one = said(thinker, constraint=Constraint(kind="regex", source="[0-9]{3}"))
    assert one.thought == "Wait"
    assert len(one.text) == 3
    assert one.text.isdigit()
