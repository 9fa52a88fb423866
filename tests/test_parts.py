"""The parts of a reply: each character has one, in every format, wherever the reply is cut."""

from __future__ import annotations

from typing import Any

import pytest

from fmtbench.answers import AnswerKind, Number, Text
from fmtbench.conditions.condition import Condition
from fmtbench.formats import FORMATS
from fmtbench.formats.base import Layout
from fmtbench.formats.parts import PARTS
from tests.forms import CASES
from tests.readings import Reading, distinct

LETTERS = {"scaffold": ".", "key": "k", "whitespace": "_", "reasoning": "r", "answer": "a"}
RATIONALE = "Let me think about it."
LAYOUT = Layout(stages=("reasoning",), answer="answer", order="reasoning_first")


@pytest.fixture(scope="module")
def readings(conditions: dict[str, Any]) -> dict[Reading, Condition]:
    return distinct(conditions.values())


def shown(condition: Condition | str, text: str, kind: AnswerKind | None = None) -> str:
    """A letter for each character."""
    kind = kind or Number()
    parts = FORMATS[condition].divide(text, LAYOUT, kind) if isinstance(condition, str) else condition.divide(text, kind)
    assert len(parts) == len(text)
    return "".join(LETTERS[part] for part in parts)


def held(text: str, parts: str, letter: str) -> str:
    return "".join(character for character, part in zip(text, parts) if part == letter)


@pytest.mark.parametrize(("kind", "form"), [case.values[::3] for case in CASES], ids=[str(case.id) for case in CASES])
def test_every_character_of_every_form_has_a_part_wherever_it_is_cut(
    readings: dict[Reading, Condition], kind: AnswerKind, form: str
) -> None:
    for condition in readings.values():
        text = condition.example(kind, reasoning=RATIONALE, answer=form)
        for cut in range(len(text) + 1):
            parts = condition.divide(text[:cut], kind)
            assert len(parts) == cut
            assert set(parts) <= set(PARTS) - {"end"}


def test_the_whole_reply_is_divided_into_what_was_written(readings: dict[Reading, Condition]) -> None:
    for condition in readings.values():
        text = condition.example(Text(), reasoning="We ponder.", answer="esse")
        parts = shown(condition, text, Text())
        assert held(text, parts, "a") == "esse", text
        words = held(text, parts, "r")
        assert ("ponder" in words) == (condition.reasoning != "none"), text
        assert "esse" not in words, text


@pytest.mark.parametrize("name", ["json", "xml", "yaml", "markdown"])
def test_a_cut_moves_no_character_to_another_part(name: str) -> None:
    """Up to the cut a reply is divided as the whole one is, but for the last few characters, whose meaning came later."""
    text = FORMATS[name].write(LAYOUT, Text(), "We add: 1 + 1 = 2, and so on.", "esse")
    whole = shown(name, text, Text())
    for cut in range(text.index("We add") + 1, len(text)):
        assert shown(name, text[:cut], Text())[: cut - 10] == whole[: cut - 10], text[:cut]
    inside = text.index("= 2")
    assert held(text[:inside], shown(name, text[:inside], Text()), "r").startswith("We add: 1 + 1")


@pytest.mark.parametrize(
    ("name", "text", "parts"),
    [
        ("json", '{"reasoning": "9 * 2", "answer": 18}', "..kkkkkkkkk.._.rrrrr.._.kkkkkk.._aa."),
        ("json", '{"reasoning": "a \\"b\\": {", "answer": [1, "x"]}', "..kkkkkkkkk.._.rrrrrrrrrr.._.kkkkkk.._.a._.a..."),
        ("json", '{"reasoning": "half\\', "..kkkkkkkkk.._.rrrrr"),
        ("json", '{"rea', "..kkk"),
        ("json", '```json\n{"answer": 1}\n```', "......._..kkkkkk.._a._..."),
        ("json", "no object", "rrrrrrrrr"),
        ("xml", "<reasoning>9 < 2</reasoning>\n<answer>18</ans", ".kkkkkkkkk.rrrrr............_.kkkkkk.aa....."),
        ("yaml", "reasoning: |\n  so\n  on\nanswer: 18", "kkkkkkkkk._.___rrrrrrr_kkkkkk._aa"),
        ("markdown", "## Reasoning\nso on\n\n## Answer\n18", ".._kkkkkkkkk_rrrrr__.._kkkkkk_aa"),
        ("text", "So 9. The answer is 18.", "rrrrrr..._......_.._aar"),
    ],
)
def test_parts_by_hand(name: str, text: str, parts: str) -> None:
    found = shown(name, text)
    assert found == parts, f"\n{text!r}\n{found}"


def test_what_a_delayed_format_writes() -> None:
    condition = Condition(asked="json", enforced="schema", when="answer")
    text = 'It is 9 * 2. Final answer: {"answer": 18}'
    assert shown(condition, text) == "r" * 13 + "....._......." + "_..kkkkkk.._aa."
    assert shown(condition, text[:20]) == "r" * 20


def test_thinking_is_rationale_and_what_follows_the_reply_is_not() -> None:
    condition = Condition(asked="json", enforced="schema")
    text = '<think>9 * 2</think>\n{"reasoning": "x", "answer": 18}<|im_end|>more'
    parts = shown(condition, text)
    assert held(text, parts, "r") == "<think>9 * 2</think>x"
    assert held(text, parts, "a") == "18"
