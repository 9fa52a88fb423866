"""Prefix swap on scripted models whose answer depends on the prefix in a known way: every figure of the table is planted."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from fmtbench.analysis.rows.study import load_study
from fmtbench.analysis.showing.swap_figure import swap_curves
from fmtbench.analysis.tables import swap as tables
from fmtbench.analysis.tables.swap import swap_table
from fmtbench.auditing.cell import audit_cell
from fmtbench.backends.prefix import prefix_of
from fmtbench.backends.scripted import Scripted
from fmtbench.backends.special import USUAL
from fmtbench.errors import UserError
from fmtbench.probes import swap
from fmtbench.probes.swap import Arm, PrefixTokens, SwapSettings, arm_of
from fmtbench.running.asking import request_seed
from fmtbench.running.job import Job
from fmtbench.running.pipeline import run
from fmtbench.running.swapping import Engine, Ran, SwapJob, greedy_jobs, swap_jobs
from fmtbench.store.folder import RunFolder, find_folders
from fmtbench.tasks.arithmetic import Addition
from fmtbench.types import Generation, Request, Row, Sampling
from tests.test_pipeline import CONDITIONS
from tests.test_pipeline import job as base_job

PAIR = {name: CONDITIONS[name] for name in ("free_cot", "json_schema")}
WORDS = "We add the two numbers step by step"
OPENING = '{"reasoning": "'
SAMPLING = Sampling(max_tokens=50, temperature=0.7, samples=2)
FOUR = replace(SAMPLING, samples=4)
WORDS_COUNT = PrefixTokens(count=lambda text: len(text.split()), special=USUAL)


def total(request: Request) -> int:
    question = request.messages[0].content.rpartition("\n\n")[2]
    return sum(int(word) for word in question.strip("?").split() if word.isdigit())


def model(
    right: Callable[[Request, str], bool],
    words: Callable[[Request], str] = lambda request: WORDS,
    closing: Callable[[Request], str] = lambda request: "\nThe answer is {}.",
) -> Callable[[Request], str]:
    """A model that goes on with the words of its own rationale from wherever its reply was cut, and is right as `right` says of
    the request and the rationale so far."""

    def reply(request: Request) -> str:
        begun, held = prefix_of(request), request.constraint is not None
        said = begun.removeprefix(OPENING)
        rest = " ".join(words(request).split()[len(said.split()) :])
        rest = f" {rest}" if said and rest else rest
        answer = total(request) + (not right(request, said + rest))
        if held:
            return f'{"" if begun else OPENING}{rest}", "answer": {answer}}}'
        return rest + closing(request).format(answer)

    return reply


def ran(job: Job, sampling: Sampling = SAMPLING) -> list[Ran]:
    """The cells of a job as `experiments.lockin` reads them."""
    told: dict[str, Any] = {"name": "e", "backbone": {"name": "b"}, "sampling": asdict(sampling), "seed": 0}
    return [
        Ran(
            cell=cell,
            folder=cell.folder(job.results),
            task=job.tasks[cell.task],
            condition=job.conditions[cell.condition],
            config=told | {"condition": {cell.condition: {}}},
        )
        for cell in job.cells
    ]


def begin(tmp_path: Path, reply: Callable[[Request], str], **changes: Any) -> Job:
    """A run of both conditions."""
    job = base_job(tmp_path, reply, conditions=PAIR, **({"sampling": SAMPLING} | changes))
    run(job)
    return job


def swaps_of(job: Job, tokens: PrefixTokens = WORDS_COUNT, **settings: Any) -> SwapJob:
    engine = Engine(backbone=job.backbone, backend=job.backend, tokens=tokens)
    (made,) = swap_jobs(ran(job, job.sampling), SwapSettings(**settings), engine, job.results)
    return made


def swapped(job: Job, **settings: Any) -> list[Row]:
    made = swaps_of(job, **settings)
    return run(made.job, plans=made.plans)


def table(job: Job) -> pd.DataFrame:
    swapped(job)
    study = load_study([job.results / "e"], slim=True)
    assert set(study.rows.condition) == set(PAIR), "no other table sees what was swapped"
    return swap_table(study.rows, study.swaps, draws=200)


def curve(found: pd.DataFrame, column: str, items: str = "all") -> list[float]:
    return [round(float(value), 6) for value in found[found["items"] == items].sort_values("fraction")[column]]


# -- nulls


def test_a_format_that_changes_nothing_has_no_lock_in(tmp_path: Path) -> None:
    found = table(begin(tmp_path, model(lambda request, said: True)))
    for column in ("L", "C", "strict_L", "strict_C"):
        assert curve(found, column) == [0, 0, 0, 0, 0]
    assert curve(found, "hold") == curve(found, "bind") == [1, 1, 1, 1, 1]
    assert set(found[found["items"] == "all"].note) == {tables.NO_LOSS}
    assert curve(found, "L_low")[0] == curve(found, "L_high")[0] == 0, "one request for both origins: zero by definition"
    assert all(low < 0 for low in curve(found, "L_low")[1:]), "behind a prefix it is a finding, with an interval"
    assert "locked" not in set(found["items"]), "no item is"


def test_both_origins_are_one_request_without_a_prefix(tmp_path: Path) -> None:
    made = swaps_of(begin(tmp_path, model(lambda request, said: True)))
    plans = {arm_of(cell.condition): [one.request for one in made.plans.plan(cell)] for cell in made.plans.cells}
    for mode in PAIR:
        free, held = (plans[Arm(origin, mode, 0.0)] for origin in PAIR)
        assert free == held
    assert not any(prefix_of(one) for one in plans[Arm("json_schema", "free_cot", 0.0)])
    assert {prefix_of(one) for one in plans[Arm("free_cot", "json_schema", 0.0)]} == {OPENING}


def test_a_longer_prefix_buys_no_longer_reply(tmp_path: Path) -> None:
    made = swaps_of(begin(tmp_path, model(lambda request, said: True)))
    for cell in made.plans.cells:
        for one in made.plans.plan(cell):
            assert one.request.max_tokens + len(prefix_of(one.request).split()) == 50
            assert one.sample == 1, "the other chooses the items"
            assert one.request.seed != request_seed(0, one.item.id, one.sample), "a draw of its own"


# -- planted effects


def test_right_until_a_brace(tmp_path: Path) -> None:
    """The format drags: content is sound, and letting go at any point brings the answer back."""
    found = table(begin(tmp_path, model(lambda request, said: request.constraint is None)))
    for items in ("all", "locked"):
        assert curve(found, "hold", items) == curve(found, "bind", items) == [0, 0, 0, 0, 0]
        assert curve(found, "release", items) == [1, 1, 1, 1, 1]
        assert curve(found, "C", items) == [1, 1, 1, 1, 1]
        assert curve(found, "L", items) == [0, 0, 0, 0, 0]
    assert found.f_star.isna().all()
    assert set(found.note) == {tables.NEVER}
    assert set(found.n) == {8}


def test_fixed_after_half_of_the_words(tmp_path: Path) -> None:
    """A word that the format's rationale has at its middle decides: from there on nothing is repaired."""

    def words(request: Request) -> str:
        return WORDS.replace("two", "wrong") if request.constraint else WORDS

    found = table(begin(tmp_path, model(lambda request, said: "wrong" not in said, words)))
    assert curve(found, "release") == [1, 1, 0, 0, 0]
    assert curve(found, "L") == [0, 0, 1, 1, 1]
    assert curve(found, "C") == [1, 1, 0, 0, 0]
    assert set(found.f_star) == {0.5}
    assert curve(found, "bind") == [0, 0, 1, 1, 1], "what was begun well stays well"


def test_what_is_merely_unstated_after_release_is_no_drag(tmp_path: Path) -> None:
    """Released replies say what it comes to, and not in the form that was asked for: latently nothing is lost."""

    def closing(request: Request) -> str:
        released = "numbered" in prefix_of(request)
        return "\nSo the result is {}." if released else "\nThe answer is {}."

    def words(request: Request) -> str:
        return "numbered " + WORDS if request.constraint else WORDS

    found = table(begin(tmp_path, model(lambda request, said: True, words, closing)))
    assert curve(found, "C") == [0, 0, 0, 0, 0]
    assert curve(found, "L") == [0, 0, 0, 0, 0]
    assert curve(found, "strict_C") == [0, -1, -1, -1, -1]
    assert curve(found, "strict_L") == [0, 1, 1, 1, 1]


def coin(request: Request) -> bool:
    """Half of the time, by the item, the sample and the format."""
    said = f"{request.seed}/{request.messages[0].content}/{request.constraint is None}"
    return hashlib.sha256(said.encode()).digest()[0] % 2 == 0


def test_items_are_chosen_on_other_samples_than_they_are_estimated_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each reply is right by a coin that its first word shows, and stays so: nothing is lost to the format. A table that
    estimates on the samples by which it chose the items finds a lock-in of half of them."""

    def words(request: Request) -> str:
        return ("Rightly " if coin(request) else "Wrongly ") + WORDS

    job = begin(
        tmp_path,
        model(lambda request, said: said.startswith("Rightly"), words),
        limit=60,
        sampling=FOUR,
        tasks={"addition": Addition(seed=0, size=60)},
    )
    with monkeypatch.context() as patched:
        patched.setattr(swap, "estimates", lambda sample: True)
        swapped(job, fractions=(0.0, 0.5))
    study = load_study([job.results / "e"], slim=True)
    assert study.swaps is not None
    assert set(study.swaps["sample"]) == {0, 1, 2, 3}
    found = swap_table(study.rows, study.swaps, draws=400)
    locked = found[(found["items"] == "locked") & (found.fraction == 0.5)].iloc[0]
    assert locked.n >= 10
    assert locked.L_low < 0 < locked.L_high
    assert abs(locked.L) < 0.3
    same = study.swaps[study.swaps["sample"] % 2 == 0]
    naive = swap_table(study.rows, same.assign(sample=same["sample"] + 1), draws=400)
    assert naive[(naive["items"] == "locked") & (naive.fraction == 0.5)].iloc[0].L_low > 0.2, "the bias that the halves keep out"


# -- what is left out


def test_what_cannot_be_cut_is_counted_by_its_reason(tmp_path: Path) -> None:
    """One kind of trouble an item, in its sample 1; an item whose rationale is short is left out whole."""
    trouble = ["", "short", "special", "control", "first", "long", "", ""]
    items = [item.id for item in Addition(seed=0, size=10).items()[:8]]
    first = {request_seed(0, item, 1): what for item, what in zip(items, trouble)}

    def words(request: Request) -> str:
        special = {"short": "Two words", "special": WORDS + " <|box|>", "control": WORDS + " \x7f", "long": WORDS + 50 * " so"}
        return special.get(first.get(request.seed or 0, ""), WORDS) if request.constraint is None else WORDS

    plain = model(lambda request, said: True, words)

    def reply(request: Request) -> str:
        if first.get(request.seed or 0) == "first" and request.constraint is None:
            return f"The answer is {total(request)}. {WORDS}."
        return plain(request)

    job = begin(tmp_path, reply, sampling=FOUR)
    made = swaps_of(job)
    assert made.left_out == {"truncated": 1, "answer_first": 1, "no_rationale": 2, "special_in_prefix": 1, "not_escapable": 1}
    run(made.job, plans=made.plans)
    sizes = {made.plans.size(cell) for cell in made.plans.cells}
    assert sizes == {16 - 6}
    study = load_study([job.results / "e"], slim=True)
    found = swap_table(study.rows, study.swaps, draws=200)
    assert set(found.left_out) == {"truncated 1, answer_first 1, no_rationale 2, special_in_prefix 1, not_escapable 1"}
    assert curve(found, "n") == [7] * 5


def test_a_prefix_that_leaves_no_token_is_too_long(tmp_path: Path) -> None:
    job = begin(tmp_path, model(lambda request, said: True), limit=2)
    tokens = PrefixTokens(count=lambda text: 5 * len(text.split()) + 10 * text.startswith("{"), special=USUAL)
    made = swaps_of(job, tokens)
    assert (made.left_out, made.plans.cells) == ({"too_long": 2}, [])


def test_replies_that_are_not_there_or_failed(tmp_path: Path) -> None:
    job = begin(tmp_path, model(lambda request, said: True), limit=4)
    place = job.cells[0].folder(job.results)
    kept = list(place.generations())
    odd = {one.request.key for one in place.requests() if one.sample == 1}
    (place.path / "generations.jsonl").unlink()
    lost, failed = sorted(odd)[:2]
    with place:
        for one in kept:
            if one.key != lost:
                place.append(replace(one, finish_reason="error", text="", error="x") if one.key == failed else one)
    assert swaps_of(job).left_out == {"no_reply": 1, "engine_error": 1}


def test_greedy_and_single_samples_are_refused(tmp_path: Path) -> None:
    reply = model(lambda request, said: True)
    greedy = begin(tmp_path / "greedy", reply, sampling=Sampling(max_tokens=50))
    with pytest.raises(UserError, match=r"its replies are greedy.*sampling\.temperature=0\.7"):
        swaps_of(greedy)
    single = begin(tmp_path / "single", reply, sampling=replace(SAMPLING, samples=1))
    with pytest.raises(UserError, match="one sample of an item"):
        swaps_of(single)


def test_conditions_that_cannot_be_swapped(tmp_path: Path) -> None:
    job = begin(tmp_path, model(lambda request, said: True), limit=2)
    for settings, message in (
        ({"held": "json_mode"}, "there is no cell of that condition; there are free_cot, json_schema"),
        ({"free": "json_schema", "held": "free_cot"}, "the second must be held by a mask, the first not"),
    ):
        with pytest.raises(UserError, match=message):
            swaps_of(job, **settings)
    with pytest.raises(ValueError, match="from 0 to 1, in order"):
        SwapSettings(fractions=(0.5, 0.25))


class Deaf(Scripted):
    """An engine that has no words for a reply that is begun."""

    def why_not_continued(self) -> str:
        return super(Scripted, self).why_not_continued()


def test_an_engine_that_would_begin_another_reply_is_refused(tmp_path: Path) -> None:
    job = begin(tmp_path, model(lambda request, said: True), limit=2)
    with pytest.raises(UserError, match="no words for going on with a reply that is begun"):
        swaps_of(replace(job, backend=Deaf()))


# -- ordinary cells


def test_swapped_cells_are_resumed_and_audited_like_any_other(tmp_path: Path) -> None:
    job = begin(tmp_path, model(lambda request, said: request.constraint is None))
    rows = swapped(job)
    assert len(rows) == 20 * 8
    root = job.results / "e-swap" / "b" / "addition"
    assert len(find_folders(root)) == 20
    folder = root / "json_schema+free_cot+0.50" / "p-seed0"
    (row,) = [one for one in rows if one.condition == "json_schema+free_cot+0.50" and one.item_id == rows[0].item_id][:1]
    assert re.fullmatch(rf"{WORDS}\nThe answer is \d+\.", row.text), "prefix and continuation are read as one text"
    assert row.reasoning_words == 8
    assert row.reasoning_tokens == 4, "those of the prefix were not generated"
    facts = RunFolder(folder).manifest()["swap"]
    assert facts == {"free": "free_cot", "held": "json_schema", "greedy": False, "left_out": {}}

    def silent(request: Request) -> str:
        raise AssertionError("it is there already")

    assert swapped(replace(job, backend=Scripted(reply=silent))) == rows
    cell = next(one for one in swaps_of(job).plans.cells if one.folder(job.results).path == folder)
    audit = audit_cell(folder, lambda path: (cell, job.tasks["addition"], PAIR["free_cot"]))
    assert not audit.findings, audit.findings


def test_a_swap_that_was_cut_short_goes_on(tmp_path: Path) -> None:
    def words(request: Request) -> str:
        return WORDS.replace("two", "2") if request.constraint else WORDS

    reply = model(lambda request, said: True, words)
    job = begin(tmp_path, reply, limit=4)
    rows = swapped(job)
    asked: list[str] = []

    def noted(request: Request) -> str:
        asked.append(request.key)
        return reply(request)

    journals = sorted((job.results / "e-swap").rglob("generations.jsonl"))
    lines = journals[3].read_bytes().splitlines(keepends=True)
    journals[3].write_bytes(b"".join(lines[:-2]) + lines[-2][:40])
    assert swapped(replace(job, backend=Scripted(reply=noted))) == rows
    assert len(asked) == 2


def test_the_swap_of_another_pair_has_a_folder_of_its_own() -> None:
    assert SwapSettings().experiment("x") == "x-swap"
    assert SwapSettings(held="json_schema_unasked").experiment("x") == "x-swap+free_cot+json_schema_unasked"


def test_a_study_of_swapped_cells_alone_shows_them_as_conditions(tmp_path: Path) -> None:
    job = begin(tmp_path, model(lambda request, said: request.constraint is None), limit=4)
    swapped(job)
    study = load_study([job.results / "e-swap"], slim=True)
    assert "json_schema+free_cot+0.50" in set(study.rows.condition)
    found = swap_table(study.rows, study.swaps, draws=200)
    assert curve(found, "C") == [1, 1, 1, 1, 1]
    assert found[found["items"] == "locked"].note.tolist() == [tables.NO_CHOICE]


def test_where_nothing_was_swapped_the_table_names_the_command(tmp_path: Path) -> None:
    job = begin(tmp_path, model(lambda request, said: True), limit=2)
    study = load_study([job.results / "e"], slim=True)
    with pytest.raises(UserError, match=r"run python -m experiments.lockin results=FOLDER probe=swap"):
        swap_table(study.rows, study.swaps)


def test_an_error_of_the_engine_is_not_right_because_of_its_prefix(tmp_path: Path) -> None:
    """A prefix may state the answer; where nothing went on from it there is no reply."""
    job = begin(
        tmp_path, model(lambda request, said: True, lambda request: f"{WORDS} so the result is {total(request)}"), limit=2
    )
    made = swaps_of(job)
    for cell in made.plans.cells:
        with cell.folder(job.results) as folder:
            for one in made.plans.plan(cell):
                folder.append(Generation(key=one.request.key, text="", finish_reason="error", error="x"))
    rows = run(made.job, plans=made.plans)
    assert not any(row.latent_correct or row.text for row in rows)
    assert {row.status for row in rows} == {"engine_error"}


def test_plans_are_written_as_requests_are(tmp_path: Path) -> None:
    job = begin(tmp_path, model(lambda request, said: True), limit=2)
    swapped(job)
    folder = job.results / "e-swap" / "b" / "addition" / "free_cot+json_schema+0.25" / "p-seed0"
    record = json.loads((folder / "requests.jsonl").read_text().splitlines()[0])
    assert record["request"]["messages"][-1] == {"role": "assistant", "content": '{"reasoning": "We add'}
    assert record["request"]["constraint"]["kind"] == "regex"


def test_the_figure_shows_the_four_arms_and_the_point_of_no_return(tmp_path: Path) -> None:
    def words(request: Request) -> str:
        return WORDS.replace("two", "wrong") if request.constraint else WORDS

    found = table(begin(tmp_path, model(lambda request, said: "wrong" not in said, words)))
    figure = swap_curves(found)
    (panel,) = [axis for axis in figure.axes if axis.axison]
    release = next(line for line in panel.lines if str(line.get_label()).startswith("release"))
    assert list(release.get_xdata()) == [0, 0.25, 0.5, 0.75, 1]
    assert list(release.get_ydata()) == [100, 100, 0, 0, 0]
    assert [text.get_text() for text in panel.texts] == ["f*"]
    with pytest.raises(UserError, match="cut at two places"):
        swap_curves(found[found.fraction == 0])


# -- what stands beside every curve


def with_null(job: Job) -> pd.DataFrame:
    swapped(job)
    engine = Engine(backbone=job.backbone, backend=job.backend, tokens=WORDS_COUNT)
    made = []
    for one in greedy_jobs(ran(job), SwapSettings(), engine, job.results):
        made.append(one)
        run(one.job, plans=one.plans)
    first, second = (len(one.job.cells) for one in made)
    assert (first, second) == (2, 8)
    study = load_study([job.results / "e"], slim=True)
    assert set(study.rows.condition) == set(PAIR)
    assert set(study.rows["sample"]) == {0, 1}, "the greedy replies are not among those of the run"
    return swap_table(study.rows, study.swaps, study.greedy_swaps, draws=200)


def test_greedy_replies_that_end_as_they_ended(tmp_path: Path) -> None:
    found = with_null(begin(tmp_path, model(lambda request, said: True)))
    at = found[(found["items"] == "all") & (found.fraction > 0)]
    assert at.same.tolist() == [1, 1, 1, 1]
    assert at.same_change.tolist() == [0, 0, 0, 0]
    assert found[found.fraction == 0].same.isna().all(), "nothing is cut there"


def test_greedy_replies_that_end_otherwise(tmp_path: Path) -> None:
    """From half of its words on, a reply that goes on is wrong: whatever the swap finds there is not the format's."""

    def right(request: Request, said: str) -> bool:
        return len(prefix_of(request).removeprefix(OPENING).split()) < 4

    found = with_null(begin(tmp_path, model(right)))
    at = found[(found["items"] == "all") & (found.fraction > 0)]
    assert at.same.tolist() == [1, 0, 0, 0]
    assert at.same_change.tolist() == [0, -1, -1, -1]
    assert (at.same_change_high.iloc[1:] < 0).all()


def test_own_endings_against_fresh_ones(tmp_path: Path) -> None:
    """A reply in the format is right as it was drawn, and wrong where it goes on from its text alone."""
    found = table(begin(tmp_path, model(lambda request, said: request.constraint is None or not prefix_of(request))))
    assert curve(found, "fresh") == [-1, -1, -1, -1, -1]
    same = table(begin(tmp_path / "same", model(lambda request, said: True)))
    assert curve(same, "fresh") == [0, 0, 0, 0, 0]
