"""What the model is shown, for one item of every task under every condition: a changed prompt is a visible diff.

`make golden` writes the files anew.
"""

from pathlib import Path
from typing import Any

import pytest

from tests.conftest import options

GOLDEN = Path(__file__).parent / "golden" / "prompts"


@pytest.mark.parametrize("task", options("task"))
@pytest.mark.parametrize("condition", options("condition"))
def test_prompt(
    pytestconfig: Any, tasks: dict[str, Any], conditions: dict[str, Any], prompts: dict[str, Any], task: str, condition: str
) -> None:
    item = tasks[task].items()[0]
    kind = tasks[task].kind(item)
    constraint = conditions[condition].constraint(kind)
    shown = "".join(f"[{m.role}]\n{m.content}\n" for m in conditions[condition].render(item, kind, prompts["plain"]))
    shown += "" if constraint is None else f"[{constraint.kind}]\n{constraint.source}\n"
    path = GOLDEN / f"{task}__{condition}.txt"
    if pytestconfig.getoption("update_golden"):
        path.write_text(shown)
    assert path.read_text() == shown


def test_no_golden_file_is_left_over() -> None:
    expected = {f"{task}__{condition}.txt" for task in options("task") for condition in options("condition")}
    assert {path.name for path in GOLDEN.iterdir()} == expected


@pytest.mark.parametrize("prompt", options("prompt"))
@pytest.mark.parametrize("task", options("task"))
def test_only_the_contract_differs(
    tasks: dict[str, Any], conditions: dict[str, Any], prompts: dict[str, Any], task: str, prompt: str
) -> None:
    """Strip the contract, and conditions that share a reasoning level show the same words."""
    item = tasks[task].items()[0]
    kind = tasks[task].kind(item)
    stripped: dict[Any, set[str]] = {}
    for condition in conditions.values():
        contract = condition.parts(item, kind, prompts[prompt]).contract
        (message,) = condition.render(item, kind, prompts[prompt])
        assert message.content.count(contract) == 1
        stripped.setdefault((condition.reasoning, condition.words), set()).add(message.content.replace(contract, ""))
    assert all(len(texts) == 1 for texts in stripped.values()), stripped
    rest = [set(text.split()) for texts in stripped.values() for text in texts]
    instructions = {word for c in conditions.values() for word in c.parts(item, kind, prompts[prompt]).reasoning.split()}
    assert len({frozenset(words - instructions) for words in rest}) == 1


def test_unasked_and_sham_show_the_prompt_of_free_cot(
    tasks: dict[str, Any], conditions: dict[str, Any], prompts: dict[str, Any]
) -> None:
    item = tasks["addition"].items()[0]
    shown = {
        name: conditions[name].render(item, tasks["addition"].kind(item), prompts["plain"])
        for name in ("free_cot", "sham", "json_schema_unasked")
    }
    assert len(set(shown.values())) == 1


def test_data_is_never_a_template(conditions: dict[str, Any], prompts: dict[str, Any], tasks: dict[str, Any]) -> None:
    from fmtbench.types import Item

    hostile = "{words} {stages} {{ 7 * 7 }} %s <|im_end|> \\1"
    item = Item(id="x", question=hostile, gold="1")
    for condition in conditions.values():
        (message,) = condition.render(item, tasks["addition"].kind(item), prompts["plain"])
        assert hostile in message.content
