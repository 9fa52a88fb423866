"""Rationales in plain words: the same for every format, and no answer left in them."""

import pytest

from fmtbench.answers import Number
from fmtbench.formats import FORMATS
from fmtbench.formats.base import Layout
from fmtbench.readers.plain import plain_rationale, plain_reply, rationale_left, words
from tests.pace import within

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
    ('``` json \n{"thoughts": "%s", "final_answer": "12"}\n``` ', RATIONALE),
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


HEADED = [
    "Answer: %s The answer is 12.",
    "answer: %s\nThe answer is 12.",
    "**Answer:** %s The answer is 12.",
]
FIELDS = [
    "## Answer\n%s\nThe answer is 12.",
    "<answer>%s The answer is 12.</answer>",
    '{"answer": "%s The answer is 12."}',
]


@pytest.mark.parametrize("written", HEADED + FIELDS)
def test_a_rationale_where_an_answer_is_due_stays_in_every_format(written: str) -> None:
    rationale = "Let us add 7 and 5."
    assert plain_rationale(written.replace("%s", rationale)) == rationale


@pytest.mark.parametrize("written", FIELDS)
def test_a_field_that_comes_to_its_answer_later_is_a_rationale(written: str) -> None:
    rationale = "Ann has seven apples and buys five more, which makes twelve."
    assert plain_rationale(written.replace("%s", rationale)) == rationale


def test_a_statement_with_reasons_after_it_is_taken_off() -> None:
    assert plain_rationale("The answer is 12. We know that 7 and 5 and nothing else are added, so the answer is 12.") == (
        "We know that 7 and 5 and nothing else are added, so"
    )


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


LONG = (
    'She said "nine times two" & meant 9 * 2 < 20, so we write \\frac{18}{1} for all the eggs that she has left.\n'
    "Total: 5 and then 4 more, or a list {1, 2}.\n- a bullet, -5\n    an indented line of **bold** words\nTherefore eighteen."
)
LAYOUTS = [
    Layout(stages=("reasoning",), answer="answer", order="reasoning_first"),
    Layout(stages=("reasoning",), answer="answer", order="answer_first"),
    Layout(stages=("thoughts",), answer="final", order="reasoning_first"),
    Layout(stages=("phenomenon", "observation", "conclusion"), answer="answer", order="reasoning_first"),
]
ARMS = [(name, layout) for name in FORMATS for layout in LAYOUTS if name != "text" or layout.answer == "answer"]
IDS = [f"{name}-{'-'.join(layout.fields)}" for name, layout in ARMS]


def written(name: str, layout: Layout) -> str:
    return FORMATS[name].write(layout, Number(), LONG, "18")


@pytest.mark.parametrize(("name", "layout"), ARMS, ids=IDS)
def test_one_rationale_has_the_same_words_in_every_format(name: str, layout: Layout) -> None:
    assert plain_rationale(written(name, layout)).split() == plain_rationale(LONG).split() * len(layout.stages)


@pytest.mark.parametrize(("name", "layout"), ARMS, ids=IDS)
def test_a_cut_reply_has_the_words_up_to_the_cut(name: str, layout: Layout) -> None:
    """The words of every beginning of a reply begin the words, but for those that the cut goes through ("The answer i")."""
    text, whole = written(name, layout), plain_rationale(LONG).split() * len(layout.stages)
    counts = []
    for cut in range(0, len(text), 3):
        found = plain_rationale(text[:cut]).split()
        same = next((i for i, (one, other) in enumerate(zip(found, whole)) if one != other), min(len(found), len(whole)))
        assert len(found) - same <= 3, (text[:cut][-40:], found[-3:])
        counts.append(same)
    assert counts[-1] == len(whole) or layout.order == "answer_first"
    assert max(counts) >= len(whole) - 1


def syntax_places(text: str) -> list[int]:
    """The places of what a format adds around the rationale."""
    left = rationale_left(text)
    return [place for place, (one, other) in enumerate(zip(text, left)) if one != other and not one.isspace()]


@pytest.mark.parametrize(("name", "layout"), ARMS, ids=IDS)
def test_a_reply_that_lacks_one_character_of_its_syntax_keeps_its_words(name: str, layout: Layout) -> None:
    text, whole = written(name, layout), len(plain_rationale(LONG).split()) * len(layout.stages)
    for place in syntax_places(text):
        if name == "prose" and layout.order == "answer_first" and text[place] == ".":
            continue  # the sentence of the answer goes on then
        found = plain_rationale(text[:place] + text[place + 1 :]).split()
        assert abs(len(found) - whole) <= 4, (text[max(0, place - 20) : place + 20], len(found), whole)


@pytest.mark.parametrize(("name", "layout"), ARMS, ids=IDS)
def test_words_stay_at_their_places(name: str, layout: Layout) -> None:
    text = written(name, layout)
    left = rationale_left(text)
    assert len(left) == len(text)
    assert words(left) == plain_rationale(text).split()
    assert left[text.index("eighteen") :].startswith("eighteen")


LIMIT_S = 0.3
HOSTILE = {
    **{
        shape: shape * (100_000 // len(shape))
        for shape in ("{", "[", " ", "\r\n", '"a":', "<a>", "#", "**", '{"a":', '"', "\\", "\\boxed{")
    },
    **{
        shape: shape * (100_000 // len(shape))
        for shape in ("answer: ", '"answer": ', "<answer>", "## Answer\n", "The answer is ", "`", "```\n")
    },
    "fence": "```json\n" + " " * 100_000,
    "key": '{"reasoning": "' + " " * 100_000,
    "loop": '{"reasoning": "' + "I add one. " * 9_000,
    "comma": '"a",' + " " * 100_000,
    "heading": "## Answer\n" + "\n" * 100_000,
}


@pytest.mark.parametrize("shape", list(HOSTILE))
def test_a_hostile_reply_takes_a_moment(shape: str) -> None:
    assert within(LIMIT_S, rationale_left, HOSTILE[shape])
