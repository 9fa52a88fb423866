"""Runs of models that think: what is stored, what readers see of it, and which cells are refused before any work."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from fmtbench.analysis.rows.frame import load_rows
from fmtbench.backbone import Backbone
from fmtbench.backends.scripted import Scripted
from fmtbench.conditions.condition import Condition
from fmtbench.errors import UserError
from fmtbench.running.pipeline import run
from fmtbench.running.thinking import why_unthinkable
from fmtbench.store.folder import find_folders
from fmtbench.thinking import ThinkingStyle
from fmtbench.types import Request, Row, Sampling
from tests.commanding import command
from tests.test_pipeline import adds, job

STYLE = ThinkingStyle(switch={"enable_thinking": True})
WRONG = 'The answer is 999. {"reasoning": "so it is", "answer": 999} \\boxed{999} #### 999'
"""A wrong answer under every mark in use, in the form of every contract."""
SCHEMA: dict[str, Any] = {"asked": "json", "enforced": "schema"}
OFF = {"free_cot": Condition(), "json_schema": Condition(**SCHEMA)}
ON = {"free_cot": Condition(thinking="free"), "json_schema": Condition(**SCHEMA, thinking="free")}
READ = ("answer", "status", "correct", "marked_answer", "marked_correct", "latent_answer", "latent_correct", "reasoning_words")


def thinker(root: Path, **changed: Any) -> Backbone:
    plain = job(root).backbone
    return replace(plain, chat_template_kwargs={"enable_thinking": False}, thinking=STYLE, **changed)


def thinks(thought: str, reply: Callable[[Request], str] = adds) -> Callable[[Request], str]:
    def answer(request: Request) -> str:
        return f"<think>\n{thought}\n</think>\n\n{reply(request)}" if request.thinking else reply(request)

    return answer


def rows_of(root: Path, thought: str = WRONG, **changes: Any) -> list[Row]:
    whole: dict[str, Any] = {"conditions": ON, "backbone": thinker(root), "sampling": Sampling(max_tokens=200)}
    return run(job(root, thinks(thought), **whole | changes))


def folder(root: Path, condition: str = "free_cot") -> Path:
    return root / "results" / "e" / "b" / "addition" / condition / "p-seed0"


# -- what readers see


def test_no_reader_sees_a_thought(tmp_path: Path) -> None:
    """A wrong answer in the form of every contract stands in the thought, and all is read as without it."""
    with_thought, without = rows_of(tmp_path / "on"), rows_of(tmp_path / "off", conditions=OFF)
    assert len(with_thought) == 16
    for one, other in zip(with_thought, without):
        assert (one.text, one.condition, one.item_id) == (other.text, other.condition, other.item_id)
        assert [getattr(one, name) for name in READ] == [getattr(other, name) for name in READ]
        assert one.correct
        assert one.thought == WRONG
        assert other.thought is None


def test_a_thought_has_tokens_and_words_of_its_own(tmp_path: Path) -> None:
    with_thought, without = rows_of(tmp_path / "on"), rows_of(tmp_path / "off", conditions=OFF)
    for one, other in zip(with_thought, without):
        assert one.thought_words == len(WRONG.split())
        assert one.thought_tokens == len(WRONG.split()) + 2  # the script counts words, the two marks among them
        assert one.completion_tokens == other.completion_tokens + one.thought_tokens
        assert one.reasoning_tokens == other.reasoning_tokens


def test_a_thought_that_the_limit_cuts_is_a_truncated_reply_with_its_text(tmp_path: Path) -> None:
    for row in rows_of(tmp_path, "one two three four five", sampling=Sampling(max_tokens=4)):
        assert (row.status, row.text, row.thought) == ("truncated", "", "one two three")
        assert (row.finish_reason, row.correct, row.latent_answer, row.marked_answer) == ("length", False, None, None)


def test_only_the_first_of_two_passes_thinks(tmp_path: Path) -> None:
    def convert(request: Request) -> str:
        if len(request.messages) == 1:
            return adds(request)
        assert request.thinking is None
        assert request.chat_template_kwargs == {"enable_thinking": False}
        assert "999" not in request.messages[1].content, "the second pass converts the reply, without its thought"
        return adds(request)

    both = {"free_cot": ON["free_cot"], "nl_to_json": Condition(asked="json", when="second_pass", thinking="free")}
    first, second = (
        rows_of(tmp_path, conditions=both)[:8],
        run(
            job(tmp_path, thinks(WRONG, convert), conditions=both, backbone=thinker(tmp_path), sampling=Sampling(max_tokens=200))
        )[8:],
    )
    assert [row.thought for row in second] == [row.thought for row in first] == [WRONG] * 8


class WithoutMaskedThoughts(Scripted):
    """Keeps thoughts apart only where no constraint follows."""

    def why_unthinkable(self, *, budget: bool, masked: bool) -> str:
        return "no mask after a thought" if masked else ""


@pytest.mark.parametrize(
    ("condition", "reason"),
    [
        (Condition(**SCHEMA, thinking="free", when="reconsider"), "no mask after a thought"),
        (Condition(thinking="free", when="reconsider"), ""),
        (Condition(**SCHEMA, thinking="free", when="second_pass"), ""),
    ],
)
def test_it_is_the_first_pass_that_thinks_and_may_be_masked(tmp_path: Path, condition: Condition, reason: str) -> None:
    backend = WithoutMaskedThoughts(reply=adds)
    this = job(tmp_path, conditions={"c": condition}, backbone=thinker(tmp_path), backend=backend)
    assert why_unthinkable(this, this.cells[0]) == reason


# -- what is stored


def test_without_thinking_nothing_of_it_is_written(tmp_path: Path) -> None:
    """Requests, journal and rows of a backbone that says nothing of thinking are what they were before there was any."""
    run(job(tmp_path))
    for one in find_folders(tmp_path / "results"):
        for name in ("requests.jsonl", "generations.jsonl", "manifest.json"):
            text = (one.path / name).read_text()
            assert "thinking" not in text
            assert "thought" not in text
            assert "chat_template_kwargs" not in text
        assert not [name for name in pd.read_parquet(one.path / "rows.parquet") if "thought" in name]


def test_a_key_holds_what_is_said_of_thinking_and_only_where_something_is(tmp_path: Path) -> None:
    def keys(backbone: Backbone, conditions: dict[str, Condition]) -> set[str]:
        from fmtbench.running.planning import plan

        one = job(tmp_path, backbone=backbone, conditions=conditions, sampling=Sampling(max_tokens=200))
        return {planned.request.key for cell in plan(one).values() for planned in cell}

    plain = job(tmp_path).backbone
    off = keys(plain, OFF)
    assert keys(replace(plain, thinking=STYLE), OFF) == off
    assert keys(replace(plain, chat_template_kwargs={"enable_thinking": False}), OFF).isdisjoint(off)
    others = [
        keys(thinker(tmp_path), {"c": Condition(thinking=how, thinking_tokens=tokens)})
        for how, tokens in (("free", None), ("budget", 16), ("budget", 17))
    ]
    others.append(keys(thinker(tmp_path), {"c": Condition(**SCHEMA, thinking="masked")}))
    other_marks = replace(thinker(tmp_path), thinking=replace(STYLE, opens="<|begin|>"))
    others.append(keys(other_marks, {"c": Condition(thinking="free")}))
    assert len(set[str]().union(*others)) == sum(map(len, others)) == 5 * 8


def test_a_study_with_thoughts_is_read_scored_and_audited(tmp_path: Path) -> None:
    rows = rows_of(tmp_path)
    assert rows_of(tmp_path) == rows, "resumed"
    loaded = load_rows(tmp_path / "results")
    assert set(loaded.thought) == {WRONG}
    assert set(loaded.thought_words) == {len(WRONG.split())}
    line = json.loads((folder(tmp_path) / "generations.jsonl").read_text().splitlines()[0])
    assert line["thought"] == WRONG
    assert "999" not in line["text"]


def test_rows_with_and_without_thoughts_are_one_table(tmp_path: Path) -> None:
    rows_of(tmp_path, conditions={"free_cot": Condition(), "free_cot_thinking": Condition(thinking="free")})
    loaded = load_rows(tmp_path / "results").set_index("condition")
    assert set(loaded.loc["free_cot_thinking"].thought) == {WRONG}
    assert loaded.loc["free_cot"].thought.isna().all()


def test_a_reply_that_thinks_though_not_asked_to_is_counted_and_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    run(job(tmp_path, lambda request: f"<think>{WRONG}</think>{adds(request)}", sampling=Sampling(max_tokens=200)))
    manifest = json.loads((folder(tmp_path) / "manifest.json").read_text())
    assert manifest["thought_unasked"] == 8
    assert "8 replies thought first, and their requests do not ask for that" in caplog.text
    rows = pd.read_parquet(folder(tmp_path) / "rows.parquet")
    assert set(rows.status) == {"ok"}
    assert rows.correct.all()


# -- which cells are refused


def refused(root: Path, condition: str) -> str:
    return str(json.loads((folder(root, condition) / "manifest.json").read_text()).get("barred", ""))


def test_a_cell_that_cannot_think_is_refused_and_the_others_go_on(tmp_path: Path) -> None:
    """Its requests have other keys than those of the same condition without a thought, so that it takes none of its replies."""
    cells = OFF | {
        "free_cot_thinking": Condition(thinking="free"),
        "json_schema_thinking_masked": Condition(**SCHEMA, thinking="masked"),
        "free_cot_thinking_9": Condition(thinking="budget", thinking_tokens=9),
    }
    rows = run(job(tmp_path, conditions=cells))
    assert {row.condition for row in rows} == set(OFF)
    for name in set(cells) - set(OFF):
        assert f"thinking={cells[name].thinking} needs a backbone that thinks, and backbone b does not say how" in refused(
            tmp_path, name
        )
    assert refused(tmp_path, "free_cot") == ""


def test_a_model_that_always_thinks_has_no_cell_without(tmp_path: Path) -> None:
    always = replace(thinker(tmp_path), chat_template_kwargs={}, thinking=ThinkingStyle())
    rows = rows_of(tmp_path, backbone=always, conditions=OFF | {"free_cot_thinking": ON["free_cot"]})
    assert {row.condition for row in rows} == {"free_cot_thinking"}
    assert "backbone b always thinks, since nothing switches it off" in refused(tmp_path, "free_cot")


def test_a_budget_that_leaves_nothing_for_the_reply_is_refused(tmp_path: Path) -> None:
    cells = {"free_cot": Condition(), "free_cot_thinking_256": Condition(thinking="budget", thinking_tokens=256)}
    rows_of(tmp_path, conditions=cells)
    assert refused(tmp_path, "free_cot_thinking_256").startswith("thinking_tokens=256 leaves no token for the reply")


def test_where_no_cell_can_think_it_is_the_users_mistake(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"condition c: thinking=budget needs a backbone that thinks.* state backbone\.thinking"):
        run(job(tmp_path, conditions={"c": Condition(thinking="budget", thinking_tokens=9)}))
    assert not (tmp_path / "results").exists()


# -- on the command line


def test_a_budget_without_a_thinking_model_is_one_line(tmp_path: Path) -> None:
    words = ("backend=scripted", "task=[addition]", "limit=2", f"results={tmp_path}")
    done = command("run", *words, "condition=[free_cot_thinking_256]", "sampling.max_tokens=512")
    assert done.code == 2
    assert "free_cot_thinking_256: thinking=budget needs a backbone that thinks, and backbone smollm2_135m" in done.error
    assert not list(tmp_path.iterdir())


def test_the_plan_says_which_cells_will_not_run(tmp_path: Path) -> None:
    words = ("backend=scripted", "task=[addition]", "limit=2", f"results={tmp_path}", "prompt=[plain]")
    done = command("plan", *words, "condition=[free_cot,free_cot_thinking]")
    assert done.code == 0, done.err
    assert "addition/free_cot_thinking: does not run: thinking=free needs a backbone that thinks" in done.out
    assert "1 cells, 2 requests" in done.out


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            ["backbone.chat_template_kwargs={enable_thinking: false}"],
            "backbone.chat_template_kwargs has enable_thinking, which the chat template of backbone tiny does not read",
        ),
        (
            ["backbone.thinking={switch: {enable_thinking: true}}"],
            "backbone.thinking.switch has enable_thinking, which the chat template of backbone tiny does not read",
        ),
        (["backbone.chat_template_kwargs={tokenize: false}"], "fmtbench itself sets tokenize: leave it out"),
        (["backbone.thinking={closes: END}"], "does not end the thought: it must hold closes='END'"),
        (["backbone.thinking={end: x}"], "end"),
    ],
)
def test_a_template_without_the_switch_is_one_line(tmp_path: Path, settings: list[str], said: str) -> None:
    from tests.tiny_backbone import write_backbone

    made = write_backbone(tmp_path / "tiny")
    words = (f"backbone.path={made['path']}", "backbone.name=tiny", "task=[addition]", "limit=2", f"results={tmp_path / 'r'}")
    done = command("run", "backbone=local", "backend=hf", *words, "condition=[free_cot]", *settings)
    assert (done.code, said in done.error) == (2, True), done.err
    assert not (tmp_path / "r").exists()


def test_a_thinking_model_runs_from_the_command_line(tmp_path: Path) -> None:
    """Of random weights, on the transformers engine, with our own masks: every preset of models that think."""
    from tests.thinking_backbone import WRITES, write_thinking_backbone

    made = write_thinking_backbone(tmp_path / "tiny", WRITES)
    words = (f"backbone.path={made['path']}", "backbone.name=tiny", "task=[addition]", "prompt=[plain]", "limit=2")
    presets = "free_cot,free_cot_thinking,free_cot_thinking_256,json_schema_after_thinking,json_schema_thinking_masked"
    thinking = (
        "backbone.chat_template_kwargs={enable_thinking: false}",
        "backbone.thinking={switch: {enable_thinking: true}}",
    )
    done = command(
        "run", "backbone=local", "backend=hf", *words, *thinking, f"condition=[{presets}]", "sampling.max_tokens=300",
        "backbone.context=2048", f"results={tmp_path / 'r'}", "name=t",
    )  # fmt: skip
    assert done.code == 0, done.err
    rows = load_rows(tmp_path / "r").set_index("condition")
    for name in ("free_cot_thinking", "free_cot_thinking_256", "json_schema_after_thinking"):
        assert set(rows.loc[name].thought) == {"Wait"}
    assert set(rows.loc["free_cot_thinking"].text) == {"Ok"}
    assert rows.loc["json_schema_after_thinking"].text.str.startswith('{"reasoning').all()
    assert rows.loc["json_schema_thinking_masked"].text.str.startswith('{"reasoning').all()
    assert rows.loc[["free_cot", "json_schema_thinking_masked"]].thought.isna().all()
    audited = command("audit", f"run={tmp_path / 'r'}", "resample=1")
    assert audited.code == 0, audited.err


def test_the_page_holds_thoughts_and_only_where_there_are_any(tmp_path: Path) -> None:
    from fmtbench.analysis.page.payload import payload

    rows_of(tmp_path / "on", conditions={"free_cot": Condition(), "free_cot_thinking": Condition(thinking="free")})
    origin = {"runs": "r", "commit": "c"}
    held = payload(load_rows(tmp_path / "on" / "results"), origin, "free_cot")
    shown = dict(zip(held["rows"]["condition"], held["rows"]["thought"]))
    assert [shown[held["names"]["condition"].index(name)] for name in ("free_cot", "free_cot_thinking")] == [None, WRONG]
    run(job(tmp_path / "off"))
    assert "thought" not in payload(load_rows(tmp_path / "off" / "results"), origin, "free_cot")["rows"]
