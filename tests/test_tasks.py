"""Every task: unique and repeatable items whose gold answers are derived again here by other means."""

import datetime
import itertools
import json
import re
from typing import Any

import pytest

from experiments.starting.build import build_group
from fmtbench.answers import Choice, Date
from fmtbench.errors import UserError
from fmtbench.tasks.arithmetic import Addition, WordProblems
from fmtbench.tasks.bank_messages import INTENTS, BankMessages
from fmtbench.tasks.base import check_items
from fmtbench.tasks.boolean_expressions import BooleanExpressions
from fmtbench.tasks.capitals import Capitals
from fmtbench.tasks.dates import Dates
from fmtbench.tasks.last_letter import LastLetter
from fmtbench.tasks.object_counting import SORTS, ObjectCounting
from fmtbench.tasks.sentiment import VERDICTS, Sentiment
from fmtbench.tasks.shuffled_objects import ShuffledObjects
from fmtbench.types import Item
from tests.conftest import CONF, composed, options

GENERATED = [name for name in options("task") if "source:" not in (CONF / "task" / f"{name}.yaml").read_text()]


MAKERS = [Addition, WordProblems, Sentiment, LastLetter, ShuffledObjects, ObjectCounting, BooleanExpressions, Dates, BankMessages]


def task(name: str, *overrides: str) -> Any:
    return build_group(composed(f"task=[{name}]", *overrides).task)[name]


@pytest.mark.parametrize("name", GENERATED)
def test_generated_items(name: str) -> None:
    items = task(name).items()
    check_items(task(name), items, name)
    assert items == task(name).items(), "the same seed gives the same items"
    others = task(name, "seed=1").items()
    assert [item.question for item in items] != [item.question for item in others], "another seed gives others"
    assert len({item.question for item in items}) == len(items)
    by_id = {item.id: item for item in others}
    assert all(
        by_id[item.id].gold == item.gold
        for item in items
        if item.id in by_id and name not in ("word_problems", "shuffled_objects")
    )


@pytest.mark.parametrize("make", MAKERS)
def test_an_item_does_not_depend_on_how_many_are_asked_for(make: Any) -> None:
    assert make(seed=3, size=40).items()[:10] == make(seed=3, size=10).items()


def test_korean_invoices_tell_the_fields_of_the_english_ones_in_korean() -> None:
    korean, english = task("invoices_ko"), task("invoices")
    assert list(korean.record.tree.members) == list(english.record.tree.members)
    for item in korean.items():
        text, gold = item.question, json.loads(item.gold)
        assert not re.findall(r"[A-Za-z]{4,}", text), "but for codes and currencies all is Korean"
        for name in ("vendor", "number", "currency"):
            assert gold[name] in text
        assert f"{gold['total']:,.2f}" in text
        assert ("이미" in text) == gold["paid"]
        days = {Date().canon(part) for part in re.findall(r"\d{4}\S+(?: \d+월 \d+일)?", text)}
        assert days - {None} == {gold["date"], gold["due_date"]} - {None}
        assert [one for one in korean.facts["goods"].values if one in text] == sorted(
            gold["goods"] or [], key=korean.facts["goods"].values.index
        )
        assert ("할인" in text) == (gold["discount"] is not None)
    assert {True, False} == {json.loads(item.gold)["due_date"] is None for item in korean.items()}
    assert re.fullmatch(r"글에 나온 항목: .*\.( 나오지 않은 항목: .*\.)?", korean.worked()[0].reasoning)


@pytest.mark.parametrize("digits", [1, 2, 3])
def test_addition(digits: int) -> None:
    for item in Addition(seed=0, digits=digits).items():
        a, b = map(int, re.findall(r"\d+", item.question))
        assert int(item.gold) == a + b
        assert max(a, b) < 10**digits


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_word_problems(steps: int) -> None:
    for item in WordProblems(seed=0, steps=steps).items():
        start, *moves = re.split(r"(?<=\.)\s", item.question)[:-1]
        count = int(re.search(r"has (\d+)", start)[1])  # type: ignore[index]
        assert len(moves) == steps
        for move in moves:
            amount = int(re.search(r"\d+", move)[0])  # type: ignore[index]
            count = {"brings": count + amount, "given": count - amount, "grows": count * amount, "shared": count // amount}[
                re.search(r"brings|given|grows|shared", move)[0]  # type: ignore[index]
            ]
        assert int(item.gold) == count > 0


@pytest.mark.parametrize("objects", [3, 5, 7])
def test_shuffled_objects(objects: int) -> None:
    for item in ShuffledObjects(seed=0, objects=objects).items():  # type: ignore[arg-type]
        held = dict(re.findall(r"(\w+) holds the (\w+ ball)", item.question))
        for one, other in re.findall(r"(\w+) and (\w+) swap", item.question):
            held[one], held[other] = held[other], held[one]
        asked = re.search(r"does (\w+) hold", item.question)[1]  # type: ignore[index]
        assert Choice(options=item.choices).canon(held[asked]) == item.gold
        assert len(item.choices) == len(held) == objects


@pytest.mark.parametrize("words", [2, 4, 8])
def test_last_letter(words: int) -> None:
    for item in LastLetter(seed=0, words=words).items():
        named = re.search(r'"([^"]+)"', item.question)[1].split()  # type: ignore[index]
        assert len(named) == words == len(item.gold)
        assert all(word.endswith(letter) for word, letter in zip(named, item.gold))


@pytest.mark.parametrize("objects", [2, 4, 10])
def test_object_counting(objects: int) -> None:
    sorts = {form: sort for sort, things in SORTS.items() for one, several in things for form in (one[2:], several)}
    assert len(sorts) == 2 * sum(map(len, SORTS.values())), "no thing is of two sorts"
    for item in ObjectCounting(seed=0, objects=objects).items():
        told, question = item.question.split(". ")
        things = re.findall(r"\b(a|\d+) (\w+)", re.split(r" is | are ", told)[1])
        assert len({name for _, name in things}) == len(things) == objects
        asked = re.search(r"How many (\w+)", question)[1]  # type: ignore[index]
        counts = [1 if many == "a" else int(many) for many, name in things if sorts[name] == asked]
        assert int(item.gold) == sum(counts)
        assert 0 < len(counts) < objects


@pytest.mark.parametrize("operators", [2, 3, 8])
def test_boolean_expressions(operators: int) -> None:
    items = BooleanExpressions(seed=0, operators=operators).items()
    for item in items:
        expression = item.question.splitlines()[-1]
        assert re.fullmatch(r"(?:True|False|and|or|not|[() ])+", expression)
        assert item.gold == str(eval(expression))
        assert len(re.findall(r"\b(?:and|or)\b", expression)) == operators
    assert len(items) == 200
    assert 0.35 < sum(item.gold == "True" for item in items) / len(items) < 0.65


@pytest.mark.parametrize("days", [1, 9, 400])
def test_dates(days: int) -> None:
    for item in Dates(seed=0, days=days).items():
        told, question = item.question.removeprefix("Today is ").split(". ")
        today = datetime.datetime.strptime(told, "%d %B %Y").date()
        ahead = int(re.search(r"(\d+) days?", question)[1])  # type: ignore[index]
        ahead = -ahead if question.startswith("What was") else ahead
        assert datetime.date.fromisoformat(item.gold).toordinal() == today.toordinal() + ahead
        assert 0 < abs(ahead) <= days


@pytest.mark.parametrize("labels", [2, 8, 10])
def test_bank_messages(labels: int) -> None:
    """Each is one of the sentences of its intent, and of no other."""
    forms = {
        name: re.compile("|".join(re.sub(r"\\\{\w+\\\}", "[^.]+?", re.escape(one)) for one in some))
        for name, some in INTENTS.items()
    }
    golds = []
    for item in BankMessages(seed=0, labels=labels).items():
        message = item.question.removeprefix("Message to a bank: ").splitlines()[0]
        assert [name for name, form in forms.items() if form.search(message)] == [item.gold]
        golds.append(item.gold)
    assert set(golds) == set(list(INTENTS)[:labels])


def test_sentiment_is_balanced_and_plain() -> None:
    items = Sentiment(seed=0).items()
    assert 0.4 < sum(item.gold == "positive" for item in items) / len(items) < 0.6
    assert all(any(verdict in item.question for verdict in VERDICTS[item.gold]) for item in items)


def test_capitals() -> None:
    golds = {item.id: item for item in Capitals(seed=0).items()}
    assert len(golds) > 150
    assert (golds["capitals/germany"].gold, golds["capitals/ukraine"].aliases) == ("Berlin", ("Kiev",))
    accepted = [[item.gold, *item.aliases] for item in golds.values()]
    assert len(set(itertools.chain(*accepted))) == sum(map(len, accepted)), "no spelling stands for two capitals"


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ([], "has no items"),
        ([Item(id="a", question="q", gold="1"), Item(id="a", question="r", gold="2")], "item id 'a' occurs twice"),
        ([Item(id="a", question="q", gold="many")], "gold answer 'many' is no <number>"),
    ],
)
def test_items_are_checked(items: list[Item], message: str) -> None:
    with pytest.raises(UserError, match=message):
        check_items(Addition(seed=0), items, "some_task")
