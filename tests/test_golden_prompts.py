"""What the model is shown, for one item of every task under every condition: a changed prompt is a visible diff.

`make golden` writes the files anew: one text file a condition, and one table of token counts and hashes a tokenizer.
"""

import csv
import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache, partial
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest

from fmtbench.answers import AnswerKind, Record
from fmtbench.conditions.condition import Condition
from fmtbench.errors import UserError
from fmtbench.formats import FORMATS
from fmtbench.formats.base import Layout
from fmtbench.tasks.base import worked_examples
from fmtbench.types import Constraint, Item, Message, Request
from tests.conftest import options
from tests.readings import described

GOLDEN = Path(__file__).parent / "golden"
WORKED = ("So it is.", "answer")


firsts: dict[str, tuple[Item, AnswerKind]] = {}


def first(tasks: dict[str, Any], name: str) -> tuple[Item, AnswerKind]:
    """The first item of a task, and its kind. Kept, since many tasks draw all of their items to have one."""
    if name not in firsts:
        item = tasks[name].items()[0]
        firsts[name] = item, tasks[name].kind(item)
    return firsts[name]


def shown(tasks: dict[str, Any], task: str, condition: Condition, prompt: Any) -> tuple[Message, ...]:
    """All turns of one item, the second pass of an example's reply included. Raises `UserError` where shots are missing."""
    item, kind = first(tasks, task)
    messages = condition.render(
        item, kind, prompt, worked_examples(tasks[task], task, item, condition.shots, condition.reasoning == "draft")
    )
    if not condition.rewrites:
        return messages
    reasoning, answer = WORKED
    reply = condition.opening.example(kind, reasoning, item.gold if isinstance(kind, Record) else answer)
    return condition.follow(messages, reply, kind, prompt)


Plain = Callable[[str, str], tuple[Message, ...]]


@pytest.fixture(scope="module")
def plain(tasks: dict[str, Any], conditions: dict[str, Any], prompts: dict[str, Any]) -> Plain:
    """What a task shows under a condition, by their names, with the plain prompt: made once for all the golden files."""

    @cache
    def made(task: str, condition: str) -> tuple[Message, ...] | UserError:
        try:
            return shown(tasks, task, conditions[condition], prompts["plain"])
        except UserError as error:
            return error

    def told(task: str, condition: str) -> tuple[Message, ...]:
        found = made(task, condition)
        if isinstance(found, UserError):
            raise found
        return found

    return told


class Annotated(NamedTuple):
    """An answer kind of which nothing is left but the type of its answer: a grammar is made from that alone."""

    type: Any

    def annotation(self) -> Any:
        return self.type


@cache
def allowed(condition: Condition, annotation: Any) -> Constraint | None:
    return condition.constraint(Annotated(annotation))  # type: ignore[arg-type]


def page(tasks: dict[str, Any], task: str, condition: Condition, messages: Callable[[], tuple[Message, ...]]) -> str:
    try:
        turns = "".join(f"[{turn.role}]\n{turn.content}\n" for turn in messages())
    except UserError as error:
        return f"== {task}\n[refused]\n{error}\n\n"
    _, kind = first(tasks, task)
    try:
        constraint = condition.constraint(kind) if isinstance(kind, Record) else allowed(condition, kind.annotation())
    except UserError as error:
        return f"== {task}\n{turns}[refused]\n{error}\n\n"
    return f"== {task}\n{turns}" + (f"[{constraint.kind}]\n{constraint.source}\n\n" if constraint else "\n")


def compare(path: Path, text: str, update: bool) -> None:
    if update:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == text


@pytest.mark.parametrize("condition", options("condition"))
def test_prompts(pytestconfig: Any, tasks: dict[str, Any], conditions: dict[str, Any], plain: Plain, condition: str) -> None:
    text = "".join(page(tasks, task, conditions[condition], partial(plain, task, condition)) for task in options("task"))
    compare(GOLDEN / "prompts" / f"{condition}.txt", text, pytestconfig.getoption("update_golden"))


def test_no_golden_file_is_left_over() -> None:
    assert {path.name for path in (GOLDEN / "prompts").iterdir()} == {f"{condition}.txt" for condition in options("condition")}


# -- token ids


@cache
def mistral() -> Any:
    from mistral_common.tokens.tokenizers.mistral import MistralTokenizer

    return MistralTokenizer.v3()


def ids_of_mistral(messages: tuple[Message, ...]) -> list[int]:
    """Mistral's own tokenizer and chat template, which its package carries."""
    from mistral_common.protocol.instruct.messages import AssistantMessage, UserMessage
    from mistral_common.protocol.instruct.request import ChatCompletionRequest

    turns = {"user": UserMessage, "assistant": AssistantMessage}
    request = ChatCompletionRequest(messages=[turns[message.role](content=message.content) for message in messages])
    return mistral().encode_chat_completion(request).tokens


@pytest.fixture(scope="session")
def smollm2(backbone: Any) -> Callable[[tuple[Message, ...]], list[int]]:
    from fmtbench.backbone import load_tokenizer
    from fmtbench.backends.tokens import prompt

    tokenizer = load_tokenizer(backbone.resolve())
    return lambda messages: prompt(tokenizer, Request(messages=messages)).ids


def id_lines(plain: Plain, encode: Any) -> Iterator[tuple[str, str, int, str]]:
    encoded = cache(encode)  # conditions that show the same messages
    for condition in options("condition"):
        for task in options("task"):
            try:
                ids = encoded(plain(task, condition))
            except UserError:
                continue
            yield condition, task, len(ids), hashlib.sha256(repr(ids).encode()).hexdigest()[:16]


def compare_ids(name: str, lines: Iterator[tuple[str, str, int, str]], update: bool) -> None:
    text = "condition,task,tokens,sha256\n" + "".join(",".join(map(str, line)) + "\n" for line in lines)
    compare(GOLDEN / f"prompt_ids_{name}.csv", text, update)


def test_token_ids_of_the_embedded_model(pytestconfig: Any, plain: Plain, smollm2: Any) -> None:
    compare_ids("smollm2", id_lines(plain, smollm2), pytestconfig.getoption("update_golden"))


@pytest.mark.skipif(find_spec("mistral_common") is None, reason="mistral-common, which carries the tokenizer, is not installed")
def test_token_ids_of_mistral(pytestconfig: Any, plain: Plain) -> None:
    compare_ids("mistral_v3", id_lines(plain, ids_of_mistral), pytestconfig.getoption("update_golden"))


def test_both_tables_hold_the_same_prompts() -> None:
    files = [GOLDEN / f"prompt_ids_{name}.csv" for name in ("smollm2", "mistral_v3")]
    tables = [list(csv.reader(file.read_text().splitlines())) for file in files]
    assert [line[:2] for line in tables[0]] == [line[:2] for line in tables[1]]
    assert all(one[3] != other[3] for one, other in zip(tables[0][1:], tables[1][1:])), "two tokenizers, not one twice"


# -- what conditions may differ in


@pytest.mark.parametrize("prompt", options("prompt"))
def test_only_the_contract_differs(
    tasks: dict[str, Any], conditions: dict[str, Any], prompts: dict[str, Any], prompt: str
) -> None:
    """Strip the contract, and conditions that share a reasoning level show the same words.

    With the plain prompt for every task, with each other one for a task of each kind of answer: a prompt sees no more of a task.
    """
    asked = {asking(condition): condition for condition in conditions.values()}.values()
    of_each_kind = {type(first(tasks, task)[1]): task for task in tasks}
    assert len(of_each_kind) >= 7
    for task in tasks if prompt == "plain" else of_each_kind.values():
        item, kind = first(tasks, task)
        stripped: dict[Any, set[str]] = {}
        instructions: set[str] = set()
        for condition in asked:
            parts = condition.parts(item, kind, prompts[prompt])
            (message,) = condition.render(item, kind, prompts[prompt])
            assert message.content.count(parts.contract) == 1
            stripped.setdefault((condition.reasoning, condition.words), set()).add(message.content.replace(parts.contract, ""))
            instructions.update(parts.reasoning.split())
        assert all(len(texts) == 1 for texts in stripped.values()), stripped
        rest = [set(text.split()) for texts in stripped.values() for text in texts]
        assert len({frozenset(words - instructions) for words in rest}) == 1


class Asking(NamedTuple):
    """All of a condition that the words of its prompt are made from."""

    written: tuple[str, str | None]
    reasoning: str
    words: int | None
    stages: tuple[str, ...]
    layout: Layout
    opened: Layout
    """That of the pass which the prompt is of."""
    descriptions: str


def asking(condition: Condition) -> Asking:
    opening = condition.opening
    written = described(opening.asking)
    return Asking(
        written, condition.reasoning, condition.words, condition.stages, condition.layout, opening.layout, opening.descriptions
    )


class OnlyAsking(NamedTuple):
    """A condition of which nothing is left but what its prompt is made from."""

    opening: Any
    reasoning: str
    words: int | None
    stages: tuple[str, ...]
    layout: Layout
    parts: Any


def test_conditions_that_share_what_their_prompt_is_made_from_show_the_same_one(
    tasks: dict[str, Any], conditions: dict[str, Any], prompts: dict[str, Any]
) -> None:
    """Why `test_only_the_contract_differs` looks at one of them: nothing else of a condition reaches the prompt."""
    asked = {asking(condition): condition for condition in conditions.values()}
    assert len(asked) >= 20
    for task in tasks:
        item, kind = first(tasks, task)
        for one in conditions.values():
            expected = asked[asking(one)].render(item, kind, prompts["plain"])
            made_from = {name: getattr(one.opening, name) for name in ("asking", "layout", "descriptions")}
            opening = SimpleNamespace(**made_from)
            opening.contract = partial(Condition.contract, opening)
            only = OnlyAsking(opening, one.reasoning, one.words, one.stages, one.layout, None)
            only = only._replace(parts=partial(Condition.parts, only))
            assert one.render(item, kind, prompts["plain"]) == expected == Condition.render(only, item, kind, prompts["plain"])


def test_the_words_around_the_contract_are_the_same_for_every_format(conditions: dict[str, Any], prompts: dict[str, Any]) -> None:
    """The format wording is the prompt's: without it, a condition asks the same under each of the three wordings."""
    from fmtbench.answers import Number

    for name in options("prompt"):
        before, after = prompts[name].format.split("{contract}")
        for condition in conditions.values():
            wrapped = prompts[name].wrapped(condition.asking.ask(condition.layout, Number()))
            assert wrapped == before + condition.asking.ask(condition.layout, Number()) + after


def test_unasked_sham_one_line_and_first_passes_show_the_prompt_of_free_cot(
    tasks: dict[str, Any], conditions: dict[str, Any], prompts: dict[str, Any]
) -> None:
    item = tasks["addition"].items()[0]
    converted = [name for name, one in conditions.items() if one.when == "second_pass" and one.reasoning == "free"]
    names = ("free_cot", "sham", "no_line_breaks", "json_schema_unasked", "free_cot_reconsidered", *converted)
    assert len({conditions[name].render(item, tasks["addition"].kind(item), prompts["plain"]) for name in names}) == 1


def test_whatever_is_reconsidered_is_so_in_the_same_words(
    tasks: dict[str, Any], conditions: dict[str, Any], prompts: dict[str, Any]
) -> None:
    item = tasks["addition"].items()[0]
    kind = tasks["addition"].kind(item)
    again = {}
    for before in ("free_cot", "json_schema", "json_schema_answer_first", "direct", "staged", "yaml_prompt"):
        condition = replace(conditions[before], when="reconsider")
        first = condition.render(item, kind, prompts["plain"])
        assert first == conditions[before].render(item, kind, prompts["plain"])
        assert condition.opening == conditions[before]
        again[before] = condition.follow(first, "a reply", kind, prompts["plain"])[-1].content
        assert condition.constraint(kind) is None
    assert len(set(again.values())) == 1
    assert again["free_cot"].startswith(prompts["plain"].reconsider)
    assert again["free_cot"].endswith(conditions["free_cot"].contract(kind))


FIELDS = re.compile(r"[a-z]+")


@pytest.mark.parametrize("staged", [False, True])
@pytest.mark.parametrize("asked", sorted(set(FORMATS) - {"text"}))
def test_every_format_and_its_control_ask_for_the_same_fields_in_the_same_order(asked: str, staged: bool) -> None:
    """Information matched: names, placeholders and order in `prose` are those of every registered format."""
    from fmtbench.answers import Number

    reasoning: Any = "staged" if staged else "free"
    condition = Condition(reasoning=reasoning, asked=asked)
    told = FIELDS.findall(condition.asking.ask(condition.layout, Number()).lower().partition("order")[2])
    control = Condition(reasoning=reasoning, asked="prose")
    expected = FIELDS.findall(control.asking.ask(control.layout, Number()).lower().partition("order")[2])
    names, held = {*condition.layout.fields}, {"text", "number"}
    for content in (names, held) if asked == "csv" else (names | held,):  # a table has all names before all that they hold
        assert unrepeated(word for word in told if word in content) == unrepeated(word for word in expected if word in content)


def unrepeated(words: Iterator[str]) -> list[str]:
    """Closing tags name their field again."""
    found: list[str] = []
    for word in words:
        if word not in found or (word == "text" and found[-1] != "text"):
            found.append(word)
    return found


@pytest.mark.parametrize("name", ["free_cot_3_shot", "json_prompt_3_shot", "json_schema_3_shot"])
def test_shots_carry_one_rationale_in_every_format(
    tasks: dict[str, Any], conditions: dict[str, Any], prompts: dict[str, Any], name: str
) -> None:
    turns = shown(tasks, "gsm8k", conditions[name], prompts["plain"])
    assert [turn.role for turn in turns] == ["user", "assistant"] * 3 + ["user"]
    for shot, question, reply in zip(tasks["gsm8k"].worked(), turns[::2], turns[1::2]):
        assert question.content.endswith(shot.question)
        assert shot.reasoning in reply.content
        assert shot.answer in reply.content


def test_a_task_without_worked_examples_refuses_shots(tasks: dict[str, Any]) -> None:
    item = tasks["capitals"].items()[0]
    assert worked_examples(tasks["capitals"], "capitals", item, 0) == []
    with pytest.raises(UserError, match=r"task 'capitals' has 0 worked examples and the condition asks for shots=3: leave"):
        worked_examples(tasks["capitals"], "capitals", item, 3)


def test_an_item_is_never_its_own_worked_example(tasks: dict[str, Any]) -> None:
    for name, task in tasks.items():
        for item in task.items():
            count = len([shot for shot in task.worked() if shot.question != item.question])
            assert item.question not in {shot.question for shot in worked_examples(task, name, item, count)}


def test_worked_examples_are_right(tasks: dict[str, Any]) -> None:
    checked = 0
    for name, task in tasks.items():
        kind = task.kind(task.items()[0])
        for shot in task.worked():
            assert kind.canon(shot.answer) is not None, name
            checked += 1
    assert checked >= 20


def test_data_is_never_a_template(conditions: dict[str, Any], prompts: dict[str, Any], tasks: dict[str, Any]) -> None:
    from fmtbench.types import Item

    hostile = "{words} {stages} {contract} {{ 7 * 7 }} %s <|im_end|> \\1"
    item = Item(id="x", question=hostile, gold="1")
    for condition in conditions.values():
        messages = condition.render(item, tasks["addition"].kind(item), prompts["plain"])
        assert hostile in messages[-1].content
        following = condition.follow(messages, hostile, tasks["addition"].kind(item), prompts["plain"])
        assert following[-2].content == hostile
