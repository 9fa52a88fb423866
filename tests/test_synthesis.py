"""Synthetic triples: what is rejected and why, duplicates, rounds, resume and kill, with a scripted writer."""

import hashlib
import json
from collections import Counter
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.starting.build import build
from fmtbench.backbone import Backbone
from fmtbench.backends.base import Session
from fmtbench.backends.scripted import Scripted, ScriptedSession
from fmtbench.errors import DecoderError, LockedError, UserError
from fmtbench.store.folder import RunFolder
from fmtbench.synthesis.checks import REASONS, bad_text, written_in
from fmtbench.synthesis.recipe import Bounds, Language, SynthesisRecipe, fill
from fmtbench.synthesis.run import Synthesis, synthesize
from fmtbench.synthesis.similarity import Seen, contained, jaccard, normal, rows_a_band, shingles
from fmtbench.types import Generation, Request
from tests.conftest import composed, options
from tests.killing import asked, killed_when, slowly

WORDS = "amber basin cedar delta ember fjord gorge heron inlet joker knoll lemon mango nymph oasis".split()  # noqa: SIM905
KOREAN = "가나다 라마바 사아자 차카타 파하고 노도로 모보소 오조초 코토포 호구누 두루무 부수우".split()  # noqa: SIM905


@cache
def english() -> SynthesisRecipe:
    return build(composed("languages=[English]", root="synthesize").synthesis, "synthesis")


def recipe(**changes: Any) -> SynthesisRecipe:
    return replace(english(), **changes)


def prose(name: str, words: list[str], size: int) -> str:
    """A text of its own for every name."""
    drawn = hashlib.sha512(name.encode()).digest()
    return " ".join(words[byte % len(words)] + words[byte // len(words) % len(words)] for byte in drawn[:size])


def writes(request: Request) -> str:
    """A writer that keeps every rule, and never says the same twice."""
    assert request.constraint
    asked = request.messages[0].content
    properties = json.loads(request.constraint.source)["properties"]
    if "tasks" in properties:
        size = properties["tasks"]["minItems"]
        return json.dumps({"tasks": [prose(f"{i}{request.key}", WORDS, 6) for i in range(size)]})
    words = KOREAN if "in Korean" in asked else WORDS
    common = "" if "in Korean" in asked else " the and of"
    parts = {"query": prose(request.key, words, 4), "positive": prose(f"positive{request.key}", words, 20) + common}
    return json.dumps(parts | {"negative": prose(f"negative{request.key}", words, 20) + common}, ensure_ascii=False)


def brainstorms(request: Request) -> bool:
    return '"tasks"' in request.messages[0].content


class Counting:
    def __init__(self, reply: Any = writes) -> None:
        self.reply, self.asked = reply, Counter[str]()

    def __call__(self, request: Request) -> str:
        self.asked[request.key] += 1
        return self.reply(request)


def synthesis(tmp_path: Path, reply: Any = writes, **changes: Any) -> Synthesis:
    whole: dict[str, Any] = {
        "recipe": recipe(), "backbone": Backbone(name="b"), "backend": Scripted(reply=reply),
        "tasks": 7, "triples": 12, "output": tmp_path / "out",
    }  # fmt: skip
    return Synthesis(**(whole | changes))


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


# -- what is made


def test_both_steps_and_what_they_leave(tmp_path: Path) -> None:
    both = recipe(languages=["English", "Korean"])
    made = synthesize(synthesis(tmp_path, recipe=both))
    assert (len(made.tasks), len(made.triples)) == (7, 12)
    assert made.counts["tasks"] | {"requests": 2, "written": 10, "kept": 7, "not_needed": 3} == made.counts["tasks"]
    assert not any(count[reason] for count in made.counts.values() for reason in REASONS)
    lines = read(tmp_path / "out" / "triples.jsonl")
    assert list(lines[0]) == ["id", "query", "positive", "negative", "task", "attributes", "key"]
    requests = {one.request.key: one for one in RunFolder(tmp_path / "out").requests()}
    tasks = {one.task: one for one in made.tasks}
    for line in lines:
        planned = requests[line["key"]]
        shown = planned.request.messages[0].content
        assert line["task"] in shown
        assert all(value in shown for value in line["attributes"].values())
        assert planned.after == tasks[line["task"]].key, "the brainstorm that its task is from"
        assert planned.request.temperature == planned.request.top_p == 1
        assert written_in(line["positive"], both.known[line["attributes"]["language"]])
    assert {line["attributes"]["language"] for line in lines} == {"English", "Korean"}
    assert Counter(line["task"] for line in lines).most_common(1)[0][1] == 2, "the tasks take turns"
    assert len({one.request.seed for one in requests.values()}) == len(requests)
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert (manifest["status"], manifest["counts"]) == ("complete", made.counts)
    assert {"code", "packages", "engine", "recipe", "grammars", "started", "finished"} <= manifest.keys()


def test_attributes_are_a_function_of_seed_and_number(tmp_path: Path) -> None:
    drawn = [
        [one.attributes for one in synthesize(synthesis(tmp_path / name, seed=seed)).triples]
        for name, seed in (("a", 1), ("b", 1), ("c", 2))
    ]
    assert drawn[0] == drawn[1] != drawn[2]


# -- what is rejected

GOOD = {
    "query": "Who built the bridge?",
    "positive": "The tower and the gate of it rose over a wide and quiet valley in the north.",
    "negative": "A river of the plain and a fog fell on the wide and quiet valley in the north.",
}
BAD: list[tuple[str, dict[str, str] | str]] = [
    ("schema_violation", "no JSON at all"),
    ("schema_violation", '{"query": "a b c d"}'),
    ("schema_violation", json.dumps({**GOOD, "query": 7})),
    ("schema_violation", json.dumps({**GOOD, "more": "x"})),
    ("schema_violation", json.dumps(GOOD)[:-1] + ', "query": "said twice"}'),
    ("schema_violation", json.dumps({**GOOD, "positive": "too short for it"})),
    ("broken_characters", {**GOOD, "query": "Who built \ufffd it?"}),
    ("broken_characters", {**GOOD, "query": "Who built \ud800 it?"}),
    ("empty", {**GOOD, "query": " . . ?"}),
    ("too_short", {**GOOD, "positive": "short" + " " * 80}),
    ("too_long", {**GOOD, "query": "who " * 200}),
    ("loop", {**GOOD, "positive": "The gate and the tower " + "la la " * 30}),
    ("query_is_positive", {**GOOD, "query": GOOD["positive"].upper() + "!"}),
    ("query_is_positive", {**GOOD, "query": "Yes: " + GOOD["positive"]}),
    ("positive_is_negative", {**GOOD, "negative": GOOD["positive"]}),
    ("query_is_negative", {**GOOD, "query": GOOD["negative"]}),
    (
        "copies_prompt",
        {**GOOD, "positive": "What a user types in. Both texts stand for themselves, do not mention the query."},
    ),
    ("language", {**GOOD, "query": "누가 다리를 지었나요"}),
    ("language", {**GOOD, "positive": prose("x", WORDS, 25)}),
]


@pytest.mark.parametrize(("reason", "written"), BAD, ids=[f"{case[0]}{number}" for number, case in enumerate(BAD)])
def test_each_reason(tmp_path: Path, reason: str, written: Any) -> None:
    text = written if isinstance(written, str) else json.dumps(written)

    def reply(request: Request) -> str:
        return writes(request) if brainstorms(request) else text

    made = synthesize(synthesis(tmp_path, reply, triples=1, attempts=1))
    counts = made.counts["triples"]
    assert (counts["written"], counts["kept"], counts[reason]) == (1, 0, 1), counts
    (rejected,) = [one for one in read(tmp_path / "out" / "rejected.jsonl") if one["id"].startswith("triple/")]
    assert (rejected["reason"], rejected["text"].encode("utf-8", "replace")) == (reason, text.encode("utf-8", "replace"))
    assert json.loads((tmp_path / "out" / "manifest.json").read_text())["status"] == "incomplete"


def test_the_good_one_is_kept(tmp_path: Path) -> None:
    """Else the reasons above would say nothing."""
    made = synthesize(
        synthesis(tmp_path, lambda r: writes(r) if '"tasks"' in r.messages[0].content else json.dumps(GOOD), triples=1)
    )
    assert [(one.query, one.positive) for one in made.triples] == [(GOOD["query"], GOOD["positive"])]


def test_a_hard_negative_may_be_a_word_away(tmp_path: Path) -> None:
    hard = GOOD | {"negative": GOOD["positive"].replace("north", "south")}
    this = synthesis(tmp_path, lambda request: writes(request) if brainstorms(request) else json.dumps(hard), triples=1)
    assert len(synthesize(this).triples) == 1


class Ending(Scripted):
    """Writes good replies, and reports them as something else."""

    ends: dict[str, str]

    def open(self, backbone: Any) -> Session:
        return EndingSession(self.reply)


class EndingSession(ScriptedSession):
    def generate(self, requests: Any, at_most: Any = None) -> Any:
        for good in super().generate(requests):
            yield replace(good, **Ending.ends)


def test_truncated_failed_and_unmasked_replies(tmp_path: Path) -> None:
    for ends, reason in (
        ({"finish_reason": "length"}, "truncated"),
        ({"finish_reason": "error", "error": "oom"}, "engine_error"),
    ):
        Ending.ends = ends
        made = synthesize(synthesis(tmp_path / reason, backend=Ending(reply=writes), attempts=1))
        assert made.counts["tasks"][reason] == made.counts["tasks"]["requests"] == 2
        assert (made.tasks, made.triples) == ([], [])
    Ending.ends = {"decoder": "none"}
    with pytest.raises(DecoderError, match="no decoder masked"):
        synthesize(synthesis(tmp_path / "unmasked", backend=Ending(reply=writes)))


def test_repeats_are_kept_once_and_asked_for_again(tmp_path: Path) -> None:
    """Every second triple repeats the first positive but for a word, or its query but for case."""
    first: dict[str, dict[str, str]] = {}
    numbers = iter(range(1000))

    def reply(request: Request) -> str:
        text = writes(request)
        if brainstorms(request):
            return text
        mine, number = json.loads(text), next(numbers)
        original = first.setdefault("it", mine)
        if number % 4 == 1:
            mine["positive"] = original["positive"].replace("the and of", "the and of it")
        elif number % 4 == 3:
            mine["query"] = original["query"].upper()
        return json.dumps(mine)

    made = synthesize(synthesis(tmp_path, reply))
    counts = made.counts["triples"]
    assert (counts["kept"], len(made.triples)) == (12, 12)
    assert counts["duplicate"] > 0
    assert counts["near_duplicate"] > 0
    assert counts["requests"] == counts["kept"] + counts["duplicate"] + counts["near_duplicate"] + counts["not_needed"] > 12
    positives = [shingles(normal(one.positive)) for one in made.triples]
    assert max(jaccard(a, b) for i, a in enumerate(positives) for b in positives[:i]) < 0.7


def test_tasks_that_repeat_an_example_of_the_prompt(tmp_path: Path) -> None:
    this = recipe()
    parrot = json.dumps({"tasks": [*this.brainstorm.examples, this.brainstorm.examples[0].upper()]})
    made = synthesize(synthesis(tmp_path, lambda request: parrot, attempts=1))
    assert made.counts["tasks"]["duplicate"] == made.counts["tasks"]["written"] == 10


def test_asking_ends(tmp_path: Path) -> None:
    counting = Counting(lambda request: "{}")
    made = synthesize(synthesis(tmp_path, counting, attempts=3))
    assert made.counts["tasks"]["schema_violation"] == sum(counting.asked.values()) == 3 * 2


def test_a_query_that_is_its_task(tmp_path: Path) -> None:
    def reply(request: Request) -> str:
        if brainstorms(request):
            return writes(request)
        task = request.messages[0].content.splitlines()[0].removeprefix("Here is a search task: ")
        return json.dumps(GOOD | {"query": task.title() + "?"})

    assert synthesize(synthesis(tmp_path, reply, triples=1, attempts=1)).counts["triples"]["copies_prompt"] == 1


# -- similarity, languages, prompts


@given(st.lists(st.text("ab c", max_size=12), max_size=12), st.sampled_from([0.3, 0.5, 0.7, 1.0]))
def test_nothing_is_taken_for_a_repeat_that_is_none(texts: list[str], threshold: float) -> None:
    """Against every pair compared."""
    seen, kept = Seen(threshold), list[str]()
    for text in texts:
        plain = [normal(one) for one in kept]
        alike = [jaccard(shingles(normal(text)), shingles(one)) for one in plain]
        found = seen.repeats(text)
        assert (found == "duplicate") == (normal(text) in plain)
        assert found != "near_duplicate" or max(alike) >= threshold
        if not found:
            seen.add(text)
            kept.append(text)


@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.7, 0.9])
def test_near_duplicates_are_found(threshold: float) -> None:
    """A text with one word after another replaced, down to just above the threshold: of 400 pairs, none or one is missed."""
    missed = 0
    for number in range(400):
        words = prose(str(number), WORDS, 30).split()
        other = list(words)
        for place, word in enumerate(prose(f"other {number}", WORDS, 30).split()):
            changed = [*other[:place], word, *other[place + 1 :]]
            if jaccard(*(shingles(normal(" ".join(one))) for one in (words, changed))) < threshold:
                break
            other = changed
        seen = Seen(threshold)
        seen.add(" ".join(words))
        missed += other != words and seen.repeats(" ".join(other)) != "near_duplicate"
    assert missed <= 1


def test_rows_a_band() -> None:
    assert [rows_a_band(threshold) for threshold in (0.01, 0.4, 0.7, 1.0)] == [1, 2, 4, 8]


def test_normal_forms_and_containment() -> None:
    assert normal(" Ｗho,  built\nIT? ") == normal("who built it") == "who built it"
    assert normal("한국어!") == "한국어"
    assert contained("built the bridge", "Who built the bridge, and when?") == 1
    assert contained("something else", "Who built the bridge?") == 0


@pytest.mark.parametrize(
    ("text", "name", "right"),
    [
        ("서울은 대한민국의 수도이다.", "Korean", True),
        ("서울은 Korea의 수도이다.", "Korean", True),
        ("Seoul is the capital.", "Korean", False),
        ("서울은 수도이다.", "English", False),
        ("東京は日本の首都です。", "Japanese", True),
        ("Москва — столица России.", "Russian", True),
        ("12345 67", "English", False),
        ("Die Katze sitzt auf der Matte und schläft. " * 4, "English", False),
        ("Die Katze sitzt auf der Matte und schläft. " * 4, "German", True),
        ("The cat sits on the mat and has a good sleep. " * 4, "German", False),
        ("Gute Frage", "English", True),
    ],
)
def test_languages(text: str, name: str, right: bool) -> None:
    assert written_in(text, recipe().known[name]) is right


def test_a_language_of_which_nothing_is_known_is_not_checked() -> None:
    assert written_in("123", Language())


def test_white_space_is_no_broken_character() -> None:
    assert bad_text("one\n\ttwo three", Bounds(least=1, most=50)) == ""


def test_a_value_with_braces_is_not_filled_again() -> None:
    assert fill("{task} in {language}", {"task": "use {language}", "language": "Korean"}) == "use {language} in Korean"


# -- resume


def test_the_same_again_asks_nothing_and_more_asks_only_for_more(tmp_path: Path) -> None:
    made = synthesize(synthesis(tmp_path))
    written = {path: path.read_bytes() for path in (tmp_path / "out").iterdir()}

    def refuse(request: Request) -> str:
        raise AssertionError("asked again")

    assert synthesize(synthesis(tmp_path, refuse)) == made
    assert {path: path.read_bytes() for path in (tmp_path / "out").iterdir()} == written
    counting = Counting()
    larger = synthesize(synthesis(tmp_path, counting, triples=20))
    assert len(counting.asked) == 8
    assert larger.triples[:12] == made.triples


def sloppy(request: Request) -> str:
    """Breaks the rules in about a third of the replies, always the same ones: so there are several rounds."""
    return "{}" if int(request.key[:2], 16) % 3 == 0 else writes(request)


def slow_synthesis(folder: Path) -> None:
    synthesize(synthesis(folder, slowly(sloppy, folder / "trace")))


def test_kill_and_resume_in_either_step(tmp_path: Path) -> None:
    trace, moments = tmp_path / "trace", (1, 4, 8, 13)
    kills = sum(killed_when(lambda stop=stop: len(asked(trace)) >= stop, slow_synthesis, tmp_path) for stop in moments)
    assert kills >= 3
    resumed = synthesize(synthesis(tmp_path, sloppy))
    assert resumed == synthesize(synthesis(tmp_path / "whole", sloppy)), "a kill leaves no trace in what is made"
    assert resumed.counts["triples"]["schema_violation"] > 0
    counts = Counter(asked(trace))
    assert counts.total() - len(counts) <= kills, "at most the request in flight runs again"


# -- bad input


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    synthesize(synthesis(tmp_path))
    for changes, what in (
        ({"seed": 3}, r"\(seed\)"),
        ({"backbone": Backbone(name="c")}, r"\(backbone\)"),
        ({"recipe": recipe(similarity=0.5)}, r"\(prompts, lists and checks\)"),
        ({"recipe": recipe(languages=["Korean"])}, r"\(prompts, lists and checks\)"),
    ):
        with pytest.raises(UserError, match=rf"holds triples of another recipe {what}: give another output="):
            synthesize(synthesis(tmp_path, **changes))
    with RunFolder(tmp_path / "cell") as folder:
        folder.append(Generation(key="0" * 64, text="x"))
    with pytest.raises(UserError, match="holds a run of another kind"):
        synthesize(synthesis(tmp_path, output=tmp_path / "cell"))


def test_a_folder_that_is_in_use(tmp_path: Path) -> None:
    with RunFolder(tmp_path / "out"), pytest.raises(LockedError, match="locked by another running process"):
        synthesize(synthesis(tmp_path))


@pytest.mark.parametrize("name", options("synthesis"))
def test_every_recipe_builds(name: str) -> None:
    assert build(composed(f"synthesis={name}", root="synthesize").synthesis, "synthesis").name == name
