"""Data sets on their real files, where these are at hand: counts, labels, and gold answers derived again by other means."""

import ast
import datetime
import json
import operator
import re
from collections import Counter
from typing import Any

import pytest

from experiments.starting.build import build_group
from fmtbench.answers import AnswerKind, Choice, Label, Number, Record
from fmtbench.conditions.condition import Condition
from fmtbench.decoding.grammar import allows
from fmtbench.readers.latent import read_latent
from fmtbench.tasks.base import check_items
from fmtbench.types import Generation, Item
from tests.conftest import DATA, composed, options
from tests.readings import distinct_uses

HERE = pytest.mark.skipif(not DATA.is_dir(), reason="the evaluation data is not on this machine")
TRACKING = ("three", "five", "seven")
BBH = dict.fromkeys((name for name in options("task") if name.startswith("bbh_")), 125) | {
    "bbh_logical_deduction_three_objects": 120,
    "bbh_logical_deduction_five_objects": 124,
    "bbh_logical_deduction_seven_objects": 128,
    "bbh_penguins_in_a_table": 73,
}
SIZES = BBH | {
    "aqua": 254,
    "banking77": 3080,
    "commonsenseqa": 1221,
    "date_understanding": 244,
    "folio": 204,
    "gsm8k": 800,
    "gsm8k_ko": 800,
    "last_letter_2_names": 150,
    "last_letter_3_names": 150,
    "last_letter_4_names": 150,
    "multifin": 277,
    "prontoqa": 500,
    "proofwriter": 600,
    "shuffled_objects_bigbench_3": 625,
    "shuffled_objects_bigbench_5": 1125,
    "shuffled_objects_bigbench_7": 1625,
    "sports_understanding": 870,
    "strategyqa": 2290,
    "strategyqa_ko": 200,
    "task280": 3208,
}


@pytest.fixture(scope="module")
def real() -> dict[str, tuple[Any, list[Item]]]:
    tasks = build_group(composed(f"task=[{','.join(SIZES)}]", f"data_root={DATA}").task)
    return {name: (task, task.items()) for name, task in tasks.items()}


def test_the_sizes_of_all_sixteen_bbh_tasks_are_known() -> None:
    assert len(BBH) == 16


@HERE
@pytest.mark.parametrize("name", SIZES)
def test_real_file(real: dict[str, Any], name: str) -> None:
    task, items = real[name]
    check_items(task, items, name)
    assert len(items) == SIZES[name]
    for item in items:
        kind = task.kind(item)
        if isinstance(kind, Choice):
            assert item.gold in kind.letters
            assert len(item.choices) >= 2
        if isinstance(kind, Label):
            assert item.gold in kind.labels


GOLDS = {
    "folio": {"A": 72, "B": 63, "C": 69},
    "prontoqa": {"A": 258, "B": 242},
    "proofwriter": {"A": 200, "B": 200, "C": 200},
    "strategyqa": {"yes": 1071, "no": 1219},
    "strategyqa_ko": {"사실": 89, "거짓": 111},
    "task280": {"Profession": 1291, "Race": 1283, "Gender": 490, "Religion": 144},
}


@HERE
@pytest.mark.parametrize("name", GOLDS)
def test_gold_answers_are_spread_as_the_data_says(real: dict[str, Any], name: str) -> None:
    assert Counter(item.gold for item in real[name][1]) == GOLDS[name]


@HERE
def test_every_label_of_a_closed_set_occurs(real: dict[str, Any]) -> None:
    for name, labels in (("banking77", 77), ("multifin", 6), ("task280", 4)):
        task, items = real[name]
        assert {item.gold for item in items} == set(task.kind(items[0]).labels)
        assert len(task.kind(items[0]).labels) == labels


@HERE
def test_the_right_date_does_not_always_stand_first(real: dict[str, Any]) -> None:
    golds = Counter(item.gold for item in real["date_understanding"][1])
    assert max(golds.values()) < 0.3 * len(real["date_understanding"][1])


def swapped(question: str) -> str:
    """Who holds (dances with, plays, has) what at the end of a tracking story, by carrying out its swaps."""
    story, _, end = question.partition("\n(A)")[0].replace("\nOptions:", "").rpartition("At the end of")
    opening, _, swaps = re.sub(r"\s+", " ", story).partition(" First, ")
    held = dict(
        re.findall(
            r"(\w+) (?:has a|is dancing with|is playing|gets|buys|has the|bought)(?: an?| the)? ([^,.]+?)(?:, and|,|\.)",
            opening.partition(":")[2] + ",",
        )
    )
    for one, other in re.findall(r"([A-Z]\w+) and ([A-Z]\w+) (?:swap|switch|trade)", swaps):
        held[one], held[other] = held[other], held[one]
    asked = re.search(r", ([A-Z]\w+) (?:has|is)", end)
    assert asked, end
    return held[asked[1]]


TRACKED = [f"bbh_tracking_shuffled_objects_{n}_objects" for n in TRACKING] + [f"shuffled_objects_bigbench_{n}" for n in (3, 5, 7)]


@HERE
@pytest.mark.parametrize("name", TRACKED)
def test_shuffled_objects_by_swapping(real: dict[str, Any], name: str) -> None:
    for item in real[name][1]:
        assert item.choices[ord(item.gold) - ord("A")] == swapped(item.question), item.id


@HERE
def test_boolean_expressions_by_their_syntax_tree(real: dict[str, Any]) -> None:
    def value(node: ast.expr) -> bool:
        match node:
            case ast.Constant(value=bool(constant)):
                return constant
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return not value(operand)
            case ast.BoolOp(op=ast.And(), values=values):
                return all(map(value, values))
            case ast.BoolOp(op=ast.Or(), values=values):
                return any(map(value, values))
        raise AssertionError(ast.dump(node))

    for item in real["bbh_boolean_expressions"][1]:
        tree = ast.parse(item.question.removesuffix(" is"), mode="eval")
        assert item.gold == str(value(tree.body)), item.id


@HERE
def test_multistep_arithmetic_by_its_syntax_tree(real: dict[str, Any]) -> None:
    operators = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul}

    def value(node: ast.expr) -> int:
        match node:
            case ast.Constant(value=int(constant)):
                return constant
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return -value(operand)
            case ast.BinOp(left=left, op=op, right=right):
                return operators[type(op)](value(left), value(right))
        raise AssertionError(ast.dump(node))

    for item in real["bbh_multistep_arithmetic_two"][1]:
        assert item.gold == str(value(ast.parse(item.question.removesuffix("="), mode="eval").body)), item.id


@HERE
def test_word_sorting_by_sorting(real: dict[str, Any]) -> None:
    for item in real["bbh_word_sorting"][1]:
        assert item.gold.split() == sorted(item.question.partition("List: ")[2].split()), item.id


@HERE
def test_web_of_lies_by_following_it(real: dict[str, Any]) -> None:
    for item in real["bbh_web_of_lies"][1]:
        honest: dict[str, bool] = {}
        for name, verb, said in re.findall(r"(\w+) (?:(lies|tells)(?: the truth)?|says (\w+ (?:lies|tells)))", item.question):
            about, _, claim = said.partition(" ")
            honest[name] = (verb == "tells") if verb else honest[about] == (claim == "tells")
        asked = re.search(r"Does (\w+) tell", item.question)
        assert asked
        assert item.gold == ("Yes" if honest[asked[1]] else "No"), item.id


def returns(question: str) -> bool:
    """Whether a walker ends where it began."""
    place, ahead = 0j, 1j
    forward = "Always face forward" in question
    for step in re.findall(r"Take (\d+) steps?(?: (\w+))?|Turn (left|right|around)", question):
        length, side, turn = step
        if turn:
            ahead *= {"left": 1j, "right": -1j, "around": -1}[turn]
        else:
            place += (
                int(length) * {"": ahead, "forward": ahead, "backward": -ahead, "left": 1j * ahead, "right": -1j * ahead}[side]
            )
    assert not (forward and ahead != 1j)
    return place == 0


@HERE
def test_navigate_by_walking(real: dict[str, Any]) -> None:
    for item in real["bbh_navigate"][1]:
        assert item.gold == ("Yes" if returns(item.question.partition("\nOptions")[0]) else "No"), item.id


@HERE
@pytest.mark.parametrize("words", [2, 3, 4])
def test_last_letters_by_taking_them(real: dict[str, Any], words: int) -> None:
    for item in real[f"last_letter_{words}_names"][1]:
        names = item.question.split('"')[1].split()
        assert len(names) == words
        assert item.gold == "".join(name[-1] for name in names)


@HERE
def test_gsm8k_ko_has_the_answers_of_gsm8k(real: dict[str, Any]) -> None:
    pairs = zip(real["gsm8k"][1], real["gsm8k_ko"][1])
    assert all(Number().same(korean.gold, english.gold) for english, korean in pairs)


@HERE
def test_dates_are_dates(real: dict[str, Any]) -> None:
    for item in real["date_understanding"][1]:
        datetime.datetime.strptime(item.choices[ord(item.gold) - ord("A")], "%m/%d/%Y")


def of_flat_fields(condition: Condition) -> bool:
    return condition.enforced == "one_line" or (condition.enforced == "schema" and condition.asked in ("xml", "yaml"))


@pytest.mark.parametrize("name", options("task"))
def test_the_gold_answer_survives_every_condition(tasks: dict[str, Any], conditions: dict[str, Any], name: str) -> None:
    """Written as each contract asks, it is allowed by the constraint, found by the reader, and right."""
    uses: dict[AnswerKind, Any] = {}
    for item in tasks[name].items()[:20]:
        kind = tasks[name].kind(item)
        # Refused for records: their fields stand on lines of their own, and not each has a form in XML or YAML.
        asked = (one for one in conditions.values() if not isinstance(kind, Record) or not of_flat_fields(one))
        if kind not in uses:
            uses[kind] = distinct_uses(asked, kind)
        for (_, constraint), condition in uses[kind].items():
            if isinstance(kind, Record) and condition.layout.arrangement.forced and None in json.loads(item.gold).values():
                continue  # what the schema makes a model write has no right form
            text = condition.example(kind, "Let me see.", item.gold)
            assert constraint is None or kind.canon(item.gold) != item.gold or allows(constraint, text)
            assert kind.same(condition.read(Generation(key="", text=text), kind).answer, item.gold)
            assert kind.same(read_latent(text, kind).answer, item.gold)
