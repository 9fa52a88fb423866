"""Remedies: asking again with the validator's error, the first valid of several draws, a second backbone that writes the JSON.

Planted truths: a model that is valid with probability p is valid with 1 - (1 - p)^k under k tries and takes (1 - (1 - p)^k) / p
of them; one that is always valid takes one, and its reply is the same; one that is valid and wrong is never asked again.
"""

import hashlib
import json
import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fmtbench
from fmtbench.analysis.tables.remedies import remedies_table
from fmtbench.answers import Number, Record
from fmtbench.auditing.requests import read_requests
from fmtbench.backbone import Backbone
from fmtbench.backends.base import Session
from fmtbench.backends.scripted import Scripted, ScriptedSession
from fmtbench.conditions.complaint import complaint
from fmtbench.conditions.condition import Condition
from fmtbench.errors import UserError
from fmtbench.probes.replies import cell_replies
from fmtbench.running.cell_work import CellWork
from fmtbench.running.pipeline import run
from fmtbench.running.planning import plan
from fmtbench.running.scoring import score
from fmtbench.tasks.arithmetic import Addition
from fmtbench.types import Constraint, Generation, Request, Sampling
from tests.commanding import command
from tests.killing import asked, killed_when, slowly
from tests.made_rows import made_rows
from tests.test_pipeline import PROMPT, Counting, adds, job

JSON = Condition(asked="json")
RETRY = replace(JSON, remedy="retry", tries=3)
DRAWS = replace(JSON, remedy="first_valid", tries=3)
ARMS: dict[str, Any] = {"free_cot": Condition(), "json_prompt": JSON, "json_prompt_retry": RETRY}
SAID = replace(PROMPT, retry="Invalid: {error}. Again.")
DRAWN = Sampling(max_tokens=50, temperature=1.0)
VALID, BROKEN = '{"reasoning": "two words", "answer": 0}', '{"reasoning": "two words", "answer": 0'


def right(request: Request) -> str:
    """The sum as JSON, whatever was said after the question."""
    text = adds(replace(request, constraint=None, messages=request.messages[:1]))
    return json.dumps({"reasoning": "two words", "answer": int(text.removesuffix(".").rpartition(" ")[2])})


def valid_with(chance: float) -> Callable[[Request], str]:
    """A model whose every reply is valid with this chance, by its seed, and has five words either way."""

    def reply(request: Request) -> str:
        if '"answer"' not in request.messages[0].content:
            return adds(request)
        drawn = random.Random(hashlib.sha256(request.key.encode()).digest()).random()
        return right(request) if drawn < chance else right(request).removesuffix("}")

    return reply


def rows_of(rows: Sequence[Any], condition: str) -> list[Any]:
    return [row for row in rows if row.condition == condition]


# -- the planted chance


@pytest.mark.parametrize("remedy", ["first_valid", "retry"])
def test_k_tries_are_valid_as_often_and_take_as_many_tokens_as_the_chance_says(tmp_path: Path, remedy: Any) -> None:
    chance, tries, items = 0.4, 4, 400
    arm = replace(JSON, remedy=remedy, tries=tries)
    rows = run(
        job(
            tmp_path,
            valid_with(chance),
            conditions={"json_prompt": JSON, "arm": arm},
            prompts={"p": SAID},
            tasks={"addition": Addition(seed=0, digits=3, size=items)},
            limit=items,
            sampling=DRAWN,
        )
    )
    once, again = rows_of(rows, "json_prompt"), rows_of(rows, "arm")
    assert len(once) == len(again) == items
    kept = np.array([row.status == "ok" for row in again])
    assert kept.mean() == pytest.approx(1 - (1 - chance) ** tries, abs=3 * 0.5 / items**0.5)
    words = once[0].completion_tokens
    assert {row.completion_tokens % words for row in again} == {0}, "every try is paid for, and nothing else"
    taken = np.array([row.completion_tokens / words for row in again])
    assert taken.mean() == pytest.approx((1 - (1 - chance) ** tries) / chance, abs=3 * 1.2 / items**0.5)
    assert set(taken[~kept]) == {tries}
    prompt = {row.item_id: row.prompt_tokens for row in once}
    for row, many in zip(again, taken):
        whole = many * prompt[row.item_id]
        assert row.prompt_tokens == whole if remedy == "first_valid" else row.prompt_tokens >= whole


def test_draws_of_an_item_are_independent_of_one_another_and_of_its_other_samples(tmp_path: Path) -> None:
    seeds = Counter[int | None]()

    def never(request: Request) -> str:
        seeds[request.seed] += 1
        return BROKEN

    run(job(tmp_path, never, conditions={"draws": DRAWS}, sampling=replace(DRAWN, samples=2), limit=4))
    assert len(seeds) == 4 * 2 * 3
    assert set(seeds.values()) == {1}


# -- the nulls


def test_a_model_that_is_always_valid_takes_one_try_and_its_reply_is_the_same(tmp_path: Path) -> None:
    arms = {**ARMS, "draws": DRAWS}
    counting = Counting(valid_with(1.0))
    rows = run(job(tmp_path, counting, conditions=arms, prompts={"p": SAID}, sampling=DRAWN))
    assert set(counting.asked.values()) == {1}
    assert len(counting.asked) == 8 + 8, "free text, and one try for three conditions"
    plain = rows_of(rows, "json_prompt")
    for name in ("json_prompt_retry", "draws"):
        assert [replace(row, condition="json_prompt") for row in rows_of(rows, name)] == plain


def test_a_reply_that_is_valid_and_wrong_is_never_asked_again(tmp_path: Path) -> None:
    counting = Counting(lambda request: VALID if '"answer"' in request.messages[0].content else adds(request))
    rows = run(job(tmp_path, counting, conditions={**ARMS, "draws": DRAWS}, prompts={"p": SAID}, sampling=DRAWN))
    assert len(counting.asked) == 16
    assert not any(row.correct for row in rows if row.condition != "free_cot")


def test_the_gold_answer_moves_no_request(tmp_path: Path) -> None:
    """The same replies to the same questions with other gold answers: the same requests are made."""

    class Other(Addition):
        def items(self) -> list[Any]:
            return [replace(item, gold="-1") for item in super().items()]

    made = []
    for number, kind in enumerate((Addition, Other)):
        counting = Counting(valid_with(0.5))
        run(
            job(
                tmp_path / str(number),
                counting,
                conditions={"retry": RETRY, "draws": DRAWS},
                prompts={"p": SAID},
                sampling=DRAWN,
                tasks={"addition": kind(seed=0, size=10)},
            )
        )
        made.append(counting.asked)
    assert made[0] == made[1]
    assert len(made[0]) > 8


# -- what is said


KIND = Record(
    source=json.dumps(
        {"type": "object", "properties": {"vendor": {"type": "string"}, "total": {"type": "number"}}, "required": ["total"]}
    )
)
OWN = Condition(reasoning="none", order="answer_only", asked="json", rendering="json_schema", remedy="retry", tries=2)


@pytest.mark.parametrize(
    ("condition", "kind", "text", "said"),
    [
        (RETRY, Number(), VALID, ""),
        (RETRY, Number(), BROKEN, "it is not valid JSON (Expecting ',' delimiter"),
        (RETRY, Number(), "Sure! " + VALID, "it is not valid JSON (Expecting value"),
        (RETRY, Number(), "[1]", "it is a JSON list, and must be an object"),
        (RETRY, Number(), '{"reasoning": "r"}', "$: 'answer' is a required property"),
        (RETRY, Number(), '{"reasoning": "r", "answer": 1, "more": 2}', "$: Additional properties are not allowed"),
        (RETRY, Number(), '{"answer": 1, "reasoning": "r"}', "the keys must come in this order: reasoning, answer"),
        (RETRY, Number(), "", "it gives no answer"),
        (OWN, KIND, '{"vendor": "A", "total": 12}', ""),
        (OWN, KIND, '{"vendor": "A", "total": "lots"}', "$.total: 'lots' is not of type 'number'"),
        (OWN, KIND, '{"vendor": "A"}', "$: 'total' is a required property"),
        (replace(RETRY, asked="xml"), Number(), "<reasoning>r</reasoning>", "it"),
    ],
)
def test_the_error_is_what_a_validator_says_of_the_reply(condition: Condition, kind: Any, text: str, said: str) -> None:
    found = complaint(condition, Generation(key="", text=text), kind)
    assert found.startswith(said)
    assert bool(found) == bool(said)
    assert "\n" not in found


def test_asking_again_shows_the_model_its_reply_and_the_error(tmp_path: Path) -> None:
    seen: list[Request] = []

    def second_time(request: Request) -> str:
        seen.append(request)
        return right(request) if len(request.messages) > 1 else "Sure!"

    (cell,) = (this := job(tmp_path, second_time, conditions={"retry": RETRY}, prompts={"p": SAID}, limit=1)).cells
    (row,) = run(this)
    first, again = seen
    assert [message.role for message in again.messages] == ["user", "assistant", "user"]
    assert again.messages[0] == first.messages[0]
    assert again.messages[1].content == "Sure!"
    assert again.messages[2].content.startswith("Invalid: it is not valid JSON (")
    assert again.messages[2].content.endswith("). Again.")
    assert (row.status, row.correct, row.reasoning_words, row.realised_order) == ("ok", True, 2, "reasoning_first")
    assert row.completion_tokens == 1 + len(row.text.split())
    folder = cell.folder(this.results)
    assert [one.after for one in folder.requests()] == ["", first.key]
    assert [one.request.key for one in cell_replies(folder, this.tasks["addition"], RETRY)] == [first.key, again.key]


# -- journalled and resumed


def test_running_again_asks_nothing_and_scoring_needs_no_engine(tmp_path: Path) -> None:
    arms = {"retry": RETRY, "draws": DRAWS}
    settings: dict[str, Any] = {"conditions": arms, "prompts": {"p": SAID}, "sampling": DRAWN}
    this = job(tmp_path, valid_with(0.3), **settings)
    rows = run(this)
    counting = Counting(valid_with(0.3))
    assert run(job(tmp_path, counting, **settings)) == rows
    assert not counting.asked
    assert [
        row for cell in this.cells for row in score(cell.folder(this.results), cell, this.tasks["addition"], arms[cell.condition])
    ] == rows
    for cell, first in plan(this).items():
        work = CellWork(job=this, cell=cell, folder=cell.folder(this.results), first=first)
        work.follow()
        assert (work.missing, work.most_left()) == ([], 0)
    fresh = job(tmp_path / "fresh", valid_with(0.3), **settings)
    cell, first = next(iter(plan(fresh).items()))
    assert CellWork(job=fresh, cell=cell, folder=cell.folder(fresh.results), first=first).most_left() == 24


def test_an_audit_knows_which_try_follows_which(tmp_path: Path) -> None:
    this = job(tmp_path, valid_with(0.0), conditions={"retry": RETRY}, prompts={"p": SAID}, sampling=DRAWN, limit=2)
    run(this)
    path = this.cells[0].folder(this.results).path / "requests.jsonl"
    planned, found = read_requests(path)
    assert (len(planned), found) == (6, [])
    path.write_text(path.read_text().replace(f'"after": "{planned[0].request.key}"', '"after": "elsewhere"'), encoding="utf-8")
    assert [one.what.partition(" (")[0] for one in read_requests(path)[1]] == ["follows elsewhere, which is not a pass of it"]


def slow_run(folder: Path) -> None:
    run(job(folder, slowly(valid_with(0.3), folder / "trace"), conditions={"retry": RETRY}, prompts={"p": SAID}, sampling=DRAWN))


@pytest.mark.slow
def test_kill_and_resume_between_tries(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    moments = (3, 9, 13)
    kills = sum(killed_when(lambda stop=stop: len(asked(trace)) >= stop, slow_run, tmp_path) for stop in moments)
    assert kills >= 2
    whole = run(job(tmp_path / "whole", valid_with(0.3), conditions={"retry": RETRY}, prompts={"p": SAID}, sampling=DRAWN))
    again = run(job(tmp_path, valid_with(0.3), conditions={"retry": RETRY}, prompts={"p": SAID}, sampling=DRAWN))
    assert [(row.item_id, row.text) for row in again] == [(row.item_id, row.text) for row in whole]
    counts = Counter(asked(trace))
    assert counts.total() - len(counts) <= kills


# -- another backbone


@dataclass(frozen=True, kw_only=True)
class Two(Scripted):
    """Says which backbone speaks; the small one cannot be opened where it is broken."""

    opened: list[str]
    broken: bool = False

    def identity(self, backbone: Backbone, constraint: Constraint | None) -> str:
        if self.broken and backbone.name == "small":
            raise UserError("backbone small: there are no weights")
        return json.dumps({"engine": "scripted", "weights": backbone.name})

    def open(self, backbone: Backbone) -> Session:
        self.opened.append(backbone.name)
        return Speaking(self.reply, backbone.name)


class Speaking(ScriptedSession):
    def __init__(self, reply: Callable[[Request], str], name: str) -> None:
        super().__init__(reply)
        self.name = name

    def generate(self, requests: Sequence[Request], at_most: int | None = None) -> Iterator[Generation]:
        assert all(f'"weights": "{self.name}"' in request.identity for request in requests), "each is asked its own"
        yield from super().generate(requests)

    def facts(self) -> dict[str, Any]:
        return {"engine": "scripted", "of": self.name}


def converts(request: Request) -> str:
    return adds(request) if len(request.messages) == 1 else right(request)


FORMATTED: dict[str, Any] = {
    "free_cot": Condition(),
    "nl_to_json_schema": Condition(asked="json", enforced="schema", when="second_pass"),
    "formatted": Condition(asked="json", enforced="schema", when="second_pass", formatter="other"),
}


def formatted_job(tmp_path: Path, **changes: Any) -> Any:
    made = job(tmp_path, conditions=FORMATTED)
    small = replace(made.backbone, name="small")
    opened: list[str] = []
    settings: dict[str, Any] = {"backend": Two(reply=converts, opened=opened), "formatter": small} | changes
    return replace(made, **settings)


def test_another_backbone_writes_the_second_pass(tmp_path: Path) -> None:
    this = formatted_job(tmp_path)
    rows = run(this)
    assert len(rows) == 24
    assert all(row.correct for row in rows)
    assert this.backend.opened == ["small", "b", "small"], "opened before the work starts, and again when the other is closed"
    cell = this.cells[2]
    folder = cell.folder(this.results)
    by = {bool(one.after): json.loads(one.request.identity)["weights"] for one in folder.requests()}
    assert by == {False: "b", True: "small"}
    manifest = folder.manifest()
    assert (manifest["engine"]["of"], manifest["formatter"]["of"], manifest["status"]) == ("b", "small", "complete")
    ours, theirs = rows_of(rows, "nl_to_json_schema"), rows_of(rows, "formatted")
    assert [(row.text, row.completion_tokens) for row in ours] == [(row.text, row.completion_tokens) for row in theirs]
    assert len(list(cell_replies(folder, this.tasks["addition"], FORMATTED["formatted"]))) == 8, "probes see their own model"
    again = formatted_job(tmp_path)
    assert run(again) == rows
    assert again.backend.opened == []


def test_a_formatter_that_changes_writes_anew_and_nothing_else_is_asked(tmp_path: Path) -> None:
    first = formatted_job(tmp_path)
    run(first)
    other = replace(first.formatter, name="smaller")
    again = formatted_job(tmp_path, formatter=other)
    run(again)
    assert again.backend.opened == ["smaller"]


def test_a_formatter_without_weights_is_refused_before_work_starts(tmp_path: Path) -> None:
    opened: list[str] = []
    with pytest.raises(UserError, match="backbone small: there are no weights"):
        run(formatted_job(tmp_path, backend=Two(reply=converts, opened=opened, broken=True)))
    assert opened == []


def test_what_cannot_be_tried_is_said_and_the_other_cells_run(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rows = run(formatted_job(tmp_path, formatter=None))
    assert {row.condition for row in rows} == {"free_cot", "nl_to_json_schema"}
    assert "formatter=other needs another backbone" in caplog.text
    with pytest.raises(UserError, match="remedy=first_valid at temperature 0 draws the same text"):
        run(job(tmp_path, conditions={"draws": DRAWS}))
    with pytest.raises(UserError, match=r"condition retry asks again, and prompt p has no words for that: give it a retry"):
        run(job(tmp_path, conditions={"retry": RETRY}))
    with pytest.raises(UserError, match="formatter=small: no condition has its second pass written by another"):
        run(replace(job(tmp_path), formatter=formatted_job(tmp_path).formatter))


# -- the table


def table_of(valid: dict[str, Any], right: dict[str, Any], tokens: dict[str, Any]) -> Any:
    rows = made_rows(right, completion_tokens=tokens, prompt_tokens=0)
    rows["status"] = ["ok" if one else "no_mark" for name in right for one in np.asarray(valid[name]).ravel()]
    axes: dict[str, dict[str, Any]] = {
        "free_cot": {},
        "json_prompt": {"asked": "json"},
        "retry": {"asked": "json", "remedy": "retry", "tries": 3},
        "json_schema": {"asked": "json", "enforced": "schema"},
    }
    return remedies_table(rows, {name: axes[name] for name in right}, draws=200).set_index("condition")


def test_the_cheapest_arm_is_the_one_that_was_planted() -> None:
    """JSON asked for loses half, the schema loses a third for the fewest tokens, and asking again loses nothing."""
    items = np.arange(120)
    everything = np.ones(120, bool)
    found = table_of(
        {"free_cot": everything, "json_prompt": items < 60, "retry": everything, "json_schema": everything},
        {"free_cot": items < 90, "json_prompt": items < 45, "retry": items < 90, "json_schema": items < 60},
        {
            "free_cot": everything * 30,
            "json_prompt": everything * 20,
            "retry": np.where(items < 60, 20, 40),
            "json_schema": everything * 10,
        },
    )
    assert list(found.index) == ["json_schema", "json_prompt", "free_cot", "retry"], "by tokens"
    assert found["cheapest"].to_dict() == {"json_schema": False, "json_prompt": False, "free_cot": False, "retry": True}
    retry = found.loc["retry"]
    assert (retry.valid, retry.difference, retry.tokens) == pytest.approx((1.0, 0.0, 30.0))
    assert retry.tokens_per_correct == pytest.approx(40.0)
    assert retry.tokens_per_correct_low < 40 < retry.tokens_per_correct_high
    assert retry.seconds_per_correct == pytest.approx(0.1 / 0.75)
    assert found.loc["json_prompt"].valid == pytest.approx(0.5)
    assert found.loc["json_prompt"].high < 0


def test_free_text_is_no_arm_and_without_a_remedy_there_is_no_table() -> None:
    right = {"free_cot": np.ones(40), "json_prompt": np.zeros(40), "retry": np.zeros(40)}
    found = table_of(right, right, {})
    assert not found["cheapest"].any()
    with pytest.raises(UserError, match="no condition has a remedy"):
        table_of({"free_cot": np.ones(4)}, {"free_cot": np.ones(4)}, {})


def test_presets_are_valid_and_share_their_first_pass() -> None:
    item = (task := fmtbench.task("addition")).items()[0]
    for name, shares in {
        "json_prompt_retry": "json_prompt",
        "json_prompt_first_valid": "json_prompt",
        "nl_to_json_formatter": "free_cot",
        "draft_to_json_schema": "chain_of_draft",
    }.items():
        one, other = (fmtbench.condition(name).render(item, task.kind(item), fmtbench.prompt()) for name in (name, shares))
        assert one == other
    assert fmtbench.condition("own_schema_retry") == replace(fmtbench.condition("own_schema_unenforced"), remedy="retry", tries=3)


# -- the command line


def test_a_formatter_is_named_on_the_command_line(tmp_path: Path) -> None:
    words = ("backend=scripted", "task=[capitals]", "limit=2", "condition=[free_cot,nl_to_json_formatter]", f"results={tmp_path}")
    done = command("run", *words, "formatter=smollm2_135m", "name=two")
    assert done.code == 0, done.err
    (folder,) = tmp_path.rglob("nl_to_json_formatter/plain-seed0")
    assert "formatter:\n  _target_: fmtbench.backbone.Backbone\n  name: smollm2_135m\n" in (folder / "config.yaml").read_text()
    assert json.loads((folder / "manifest.json").read_text())["formatter"] == {"engine": "scripted"}
    wrong = command("run", *words, "formatter=smollm2_136m", "name=wrong")
    assert wrong.code == 2
    assert wrong.error.startswith("error: formatter=smollm2_136m: it is no backbone: did you mean smollm2_135m? allowed are ")
    assert not (tmp_path / "wrong").exists()
