"""Rationales in plain words: the same for every format, and no answer left in them."""

import pytest

from fmtbench.answers import Number
from fmtbench.readers.plain import plain_rationale, plain_reply

RATIONALE = "Ann has 7 apples and buys 5 more. 7 + 5 is twelve in all."


def test_every_condition_keeps_the_same_words(conditions: dict) -> None:
    reasoning = {name: one for name, one in conditions.items() if one.layout.stages}
    assert len(reasoning) >= 5
    for name, condition in reasoning.items():
        stages = len(condition.layout.stages)
        found = plain_rationale(condition.example(Number(), RATIONALE, "12"))
        assert found == " ".join([RATIONALE] * stages), name


CASES = [
    ('Sure:\n```json\n{"reasoning": "%s", "answer": 12}\n```', RATIONALE),
    ('```json\n{"thoughts": "%s", "final_answer": "12"}\n```', RATIONALE),
    ('{"reasoning": "%s', RATIONALE),
    ('{"steps": ["%s", {"more": "Good."}], "answer": 12}', f"{RATIONALE} Good."),
    ("reasoning: %s\nanswer: 12", RATIONALE),
    ("reasoning: |\n  %s\nanswer: 12", RATIONALE),
    ("<reasoning>%s</reasoning>\n<answer>12</answer>", RATIONALE),
    ("## Reasoning\n%s\n\n## Answer\n12", RATIONALE),
    ("**Reasoning:** %s\n**Answer:** 12", RATIONALE),
    ("%s\n#### 12", RATIONALE),
    ("%s So the sum is \\boxed{12}.", f"{RATIONALE} So the sum is ."),
    ("The answer is 12. %s", RATIONALE),
    ("Let x = {1, 2}, so x_1 * y_2 is 2: done. %s", f"Let x = {{1, 2}}, so x_1 * y_2 is 2: done. {RATIONALE}"),
]


@pytest.mark.parametrize(("written", "plain"), CASES, ids=[case[0][:24] for case in CASES])
def test_syntax_and_answer_are_taken_off(written: str, plain: str) -> None:
    assert plain_rationale(written.replace("%s", RATIONALE)) == plain


@pytest.mark.parametrize(
    "text", ["", " ", "The answer is 12.", '{"answer": 12}', "<answer>12</answer>", "answer: 12", "{", "```json\n"]
)
def test_nothing_but_an_answer_is_empty_or_harmless(text: str) -> None:
    assert plain_rationale(text) in ("", "{")


def test_escapes_of_a_cut_string_are_undone() -> None:
    assert plain_rationale('{"reasoning": "He said \\"yes\\".\\nThen') == 'He said "yes". Then'


@pytest.mark.parametrize(
    "text",
    ["7 + 5 is twelve. The answer is 12.", '{"reasoning": "7 + 5 is twelve.", "answer": "The answer is 12."}'],
)
def test_a_whole_reply_keeps_its_answer(text: str) -> None:
    assert plain_reply(text) == "7 + 5 is twelve. The answer is 12."
    assert plain_rationale(text) == "7 + 5 is twelve."
