"""Worked examples of tasks are right, whoever wrote them: each is derived again from its question, by another way."""

import ast
import re
from typing import Any

import pytest

from fmtbench.conditions.condition import Condition
from fmtbench.errors import UserError
from fmtbench.tasks.base import worked_examples
from fmtbench.tasks.coin_flip import CoinFlip
from fmtbench.types import Shot
from tests.conftest import composed

TRADE = re.compile(r"(\w+) and (\w+) (?:trade|swap|switch) \w+\.")
SUM = re.compile(r"([\d+*/ -]+) = (\d+)")


def with_shots(tasks: dict[str, Any]) -> dict[str, list[Shot]]:
    return {name: shots for name, task in tasks.items() if (shots := list(task.worked()))}


def test_the_examples_of_a_study_are_at_hand(tasks: dict[str, Any]) -> None:
    there = with_shots(tasks)
    for name in ("say_what_you_mean", "crane", "chain_of_draft"):
        assert {len(there[task]) >= 3 for task in composed(f"experiment={name}").task} == {True}
    drafted = {task for task, shots in there.items() if all(shot.draft for shot in shots)}
    assert drafted >= set(composed("experiment=chain_of_draft").task)


def test_every_example_is_an_answer_that_its_kind_reads(tasks: dict[str, Any]) -> None:
    for name, shots in with_shots(tasks).items():
        kind = tasks[name].kind(tasks[name].items()[0])
        assert all(kind.canon(shot.answer) is not None for shot in shots), name


def test_sums_in_examples_are_right(tasks: dict[str, Any]) -> None:
    checked = 0
    for name in ("gsm8k", "gsm8k_platinum", "gsm_symbolic"):
        for shot in tasks[name].worked():
            steps = [*SUM.findall(shot.reasoning), *SUM.findall(shot.draft)]
            assert steps[-1][1] == shot.answer
            for left, right in steps:
                assert computed(left) == int(right), (name, left)
            checked += len(steps)
    assert checked >= 20


def computed(text: str) -> float:
    """Of an expression of numbers and signs alone."""
    tree = ast.parse(text.strip(), mode="eval")
    assert {type(node) for node in ast.walk(tree)} <= {
        *(ast.Expression, ast.BinOp, ast.Constant),
        *(ast.Add, ast.Sub, ast.Mult, ast.Div),
    }
    return float(eval(compile(tree, "sum", "eval")))


def test_last_letters_of_examples_are_right(tasks: dict[str, Any]) -> None:
    for shot in tasks["last_letter_4_names"].worked():
        names = re.search(r'"(.+)"', shot.question)
        assert names
        assert "".join(name[-1] for name in names[1].split()) == shot.answer
        assert re.findall(r"(\w+) ends in (\w)", shot.reasoning) == [(name, name[-1]) for name in names[1].split()]


def test_shuffled_objects_of_examples_end_where_the_example_says(tasks: dict[str, Any]) -> None:
    shots = tasks["bbh_tracking_shuffled_objects_five_objects"].worked()
    for shot in shots:
        held = dict(re.findall(r"(\w+) has the (\w+ \w+)[,.]", shot.question.splitlines()[0]))
        listed = dict(re.findall(r"\((\w)\) (.+)", shot.question))
        assert sorted(listed.values()) == sorted(held.values())
        for one, other in TRADE.findall(shot.question):
            held[one], held[other] = held[other], held[one]
        asked = re.search(r"At the end, (\w+) has the$", shot.question, re.M)
        assert asked
        assert held[asked[1]] == listed[shot.answer]
        assert shot.reasoning.endswith(f"{asked[1]} has the {listed[shot.answer]}.")
    assert {shot.answer for shot in shots} == {"C", "D", "E"}


def test_dates_of_examples_are_those_of_their_drafts(tasks: dict[str, Any]) -> None:
    for shot in tasks["date_understanding"].worked():
        listed = dict(re.findall(r"\((\w)\) (.+)", shot.question))
        assert shot.draft.endswith(f"{listed[shot.answer]}.")


def test_no_step_of_a_draft_has_more_than_five_words(tasks: dict[str, Any]) -> None:
    for name, shots in with_shots(tasks).items():
        for shot in shots:
            steps = [re.findall(r"[\w/]+", step) for step in shot.draft.split(";")]
            assert max(map(len, steps)) <= 5, (name, shot.draft)
            assert len(shot.draft) < len(shot.reasoning)


def told(question: str) -> list[bool]:
    """Who flipped the coin, read out of the question's own words."""
    return [verb == "flips it" for verb in re.findall(r"\w+ (flips it|does not flip it)\.", question)]


@pytest.mark.parametrize("people", [1, 4, 8])
def test_a_coin_is_heads_up_after_an_even_number_of_flips(people: int) -> None:
    task = CoinFlip(seed=3, people=people, size=12)
    items = task.items()
    pairs = [*((item.question, item.gold) for item in items), *((shot.question, shot.answer) for shot in task.worked())]
    for question, answer in pairs:
        assert len(told(question)) == people
        assert answer == ("yes" if sum(told(question)) % 2 == 0 else "no")
    assert {item.gold for item in items} == {"yes", "no"}
    assert not {shot.question for shot in CoinFlip(seed=3).worked()} & {item.question for item in CoinFlip(seed=3).items()}


def test_a_condition_of_drafts_shows_drafts(tasks: dict[str, Any], prompts: dict[str, Any]) -> None:
    task = tasks["coin_flip"]
    item = task.items()[0]
    shots = worked_examples(task, "coin_flip", item, 2, drafted=True)
    for reasoning, shown, hidden in (("draft", "draft", "reasoning"), ("free", "reasoning", "draft")):
        turns = Condition(reasoning=reasoning, shots=2).render(item, task.kind(item), prompts["plain"], shots)  # type: ignore[arg-type]
        replies = [turn.content for turn in turns if turn.role == "assistant"]
        assert len(replies) == 2
        for shot, reply in zip(shots, replies):
            assert getattr(shot, shown) in reply
            assert getattr(shot, hidden) not in reply
            assert reply.endswith(f"The answer is {shot.answer}.")


def test_a_task_whose_examples_have_no_drafts_is_refused(tasks: dict[str, Any]) -> None:
    task = tasks["last_letter_4_names"]
    with pytest.raises(UserError, match=r"has 0 worked examples with a draft and the condition asks for shots=3"):
        worked_examples(task, "last_letter_4_names", task.items()[0], 3, drafted=True)


def test_the_right_option_of_a_field_of_its_own_goes_anywhere(tasks: dict[str, Any]) -> None:
    items = tasks["gpqa_diamond"].items()
    assert [item.choices[ord(item.gold) - ord("A")] for item in items] == ["120 Wh", "Not nitrogen but argon"]
    assert [sorted(item.choices) for item in items] == [
        ["120 Wh", "30 Wh", "60 Wh", "not 120 Wh, but 62 Wh"],
        ["Chlorine", "Nitrogen", "Not nitrogen but argon", "Oxygen"],
    ]
    assert tasks["gpqa_diamond"].items() == items, "the order is the question's own"
