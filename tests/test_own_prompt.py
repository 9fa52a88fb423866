"""prompt=file: some fields of one's own, or a whole chat that is replayed as it is; one line for each thing that is wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from fmtbench.conditions.condition import Condition
from fmtbench.conditions.prompt import Prompt
from fmtbench.errors import UserError
from fmtbench.presets import condition, prompt
from fmtbench.types import Message, Shot
from tests.commanding import Done, command

CHAT = [
    {"role": "system", "content": 'You keep the books. Reply in the form {"a": 1}.'},
    {"role": "user", "content": "What is 1 + 1?"},
    {"role": "assistant", "content": "2"},
    {"role": "user", "content": "{question}\n\n{contract}"},
]


def own(messages: Any = CHAT) -> Prompt:
    return Prompt(**{**vars_of(prompt()), "messages": messages})


def vars_of(one: Prompt) -> dict[str, Any]:
    return {name: value for name, value in vars(one).items() if not name.startswith("_")}


def asked(folder: Path, *words: str) -> Done:
    common = ("backend=scripted", "name=own", "task=[addition]", "limit=1", f"results={folder / 'results'}", "prompt=file")
    return command("run", *common, "condition=[free_cot,direct]", *words)


def shown(folder: Path, name: str) -> list[dict[str, str]]:
    (path,) = (folder / "results").rglob(f"{name}/file-seed0/requests.jsonl")
    record = json.loads(path.read_text().splitlines()[0])
    return record["request"]["messages"] if "request" in record else record["messages"]


def test_some_fields_differ_and_the_others_are_plain(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text("role: You are a clerk.\n")
    done = asked(tmp_path, f"prompt.file.path={tmp_path}/p.yaml")
    assert done.code == 0, done.err
    (turn,) = shown(tmp_path, "free_cot")
    assert turn["content"].startswith(f"You are a clerk. {prompt().task} ")
    (tmp_path / "p.yaml").unlink()
    assert command("score", f"results={tmp_path / 'results'}").code == 0, "what scores is stored with the results"
    stored = yaml.safe_load(next((tmp_path / "results").rglob("config.yaml")).read_text())
    assert stored["prompt"]["file"]["role"] == "You are a clerk."


def test_a_chat_is_replayed_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "p.json").write_text(json.dumps(CHAT))
    done = asked(tmp_path, f"prompt.file.path={tmp_path}/p.json")
    assert done.code == 0, done.err
    free, direct = (shown(tmp_path, name) for name in ("free_cot", "direct"))
    assert free[:3] == direct[:3] == CHAT[:3]
    assert prompt().free in free[3]["content"]
    assert prompt().none in direct[3]["content"]


def test_only_the_contract_differs_between_conditions(tasks: dict[str, Any]) -> None:
    """Strip it, and the rest is the same words, as with every other prompt."""
    item = tasks["addition"].items()[0]
    kind = tasks["addition"].kind(item)
    rests = set()
    for name in ("free_cot", "json_prompt", "xml_prompt", "json_schema"):
        one: Condition = condition(name)
        turns = one.render(item, kind, own())
        contract = one.parts(item, kind, own()).contract
        assert contract in turns[-1].content
        rests.add(tuple(turn.content.replace(contract, "") for turn in turns))
    assert len(rests) == 1


def test_each_part_can_have_a_place_of_its_own() -> None:
    one = own([{"role": "user", "content": "{hint}|{reasoning}|{contract}|{question}"}])
    said = {"question": "q {contract}", "contract": "c", "hint": "h", "reasoning": "r"}
    assert one.chat(said) == (Message(role="user", content="h|r|c|q {contract}"),), "a question is data"
    assert own([{"role": "user", "content": "{contract} {question}"}]).chat(said)[0].content == "r c q {contract}"


def test_examples_of_ours_do_not_meet_those_of_the_chat(tasks: dict[str, Any]) -> None:
    item = tasks["addition"].items()[0]
    with pytest.raises(UserError, match="shots=1: a prompt with messages of its own has its examples among them"):
        condition("free_cot").render(item, tasks["addition"].kind(item), own(), [Shot(question="q", reasoning="r", answer="1")])


BAD: dict[str, tuple[str, str]] = {
    "no question": ('[{"role": "user", "content": "{contract}"}]', "must hold {question} once in all turns, and has it 0 times"),
    "two contracts": (
        '[{"role": "user", "content": "{question}{contract}{contract}"}]',
        "must hold {contract} once in all turns, and has it 2 times",
    ),
    "the assistant is last": (
        '[{"role": "user", "content": "{question}{contract}"}, {"role": "assistant", "content": "So"}]',
        "must end with a turn of the user, who is answered, and ends with one of the assistant",
    ),
    "another role": ('[{"role": "tool", "content": "{question}{contract}"}]', "'system', 'user' or 'assistant', got 'tool'"),
    "no content": ('[{"role": "user"}]', "file.messages.0.content"),
    "a typo": ("rule: You are a clerk.", "rule is no field of a prompt: did you mean role? allowed are role, task"),
    "a text": ("Answer well.", "holds a str: give some of role, task"),
    "nothing": ("", "holds a NoneType: give some of role, task"),
    "no YAML": ("role: [", "is neither YAML nor JSON"),
    "an interpolation": ("role: ${seed}", "holds ${, which stands for another key"),
    "no contract in the format": ("format: Reply.", "must hold {contract} once"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_file_that_is_no_prompt_ends_in_one_line(tmp_path: Path, name: str) -> None:
    text, problem = BAD[name]
    (tmp_path / "p.yaml").write_text(text)
    done = asked(tmp_path, f"prompt.file.path={tmp_path}/p.yaml")
    assert (done.code, problem in done.error) == (2, True), done.err
    assert not list(tmp_path.rglob("generations.jsonl"))


def test_a_file_must_be_there_and_something_must_be_said(tmp_path: Path) -> None:
    done = asked(tmp_path, "prompt.file.path=nowhere.yaml")
    assert (done.code, "there is no such file" in done.error) == (2, True)
    done = asked(tmp_path)
    assert (done.code, "prompt=file: give prompt.file.path=FILE" in done.error) == (2, True)
    assert asked(tmp_path, "prompt.file.role=You").code == 0
