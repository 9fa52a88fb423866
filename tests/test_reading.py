"""What the readers take for an answer: a case of each kind that was once read wrongly, and answers that are nearly right.

`cases/reading.jsonl` says why each is read so; format, gold and wanted verdicts as in `experiments.rescore`.
"""

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from fmtbench.answers import AnswerKind, Choice, Label, Math, Number, Set, Text, YesNo
from fmtbench.readers.latent import read_latent
from fmtbench.readers.marked import read_marked
from fmtbench.readers.reply import LONGEST
from fmtbench.readers.transcripts import MARKS, guess_format, read_transcript
from fmtbench.running.logs import load_log
from fmtbench.running.transcripts import rescore
from fmtbench.types import Generation
from tests.pace import within

CASES = [json.loads(line) for line in (Path(__file__).parent / "cases" / "reading.jsonl").read_text().splitlines()]
BALLS = Choice(options=("red ball", "blue ball", "green ball", "white ball"))
KINDS: dict[str, AnswerKind] = {
    "number": Number(),
    "choice": BALLS,
    "label": Label(labels=("positive", "negative")),
    "yes_no": YesNo(),
    "text": Text(),
    "math": Math(),
    "set": Set(),
}


def name(case: dict[str, Any]) -> str:
    return f"{case['kind']}-{case['why'][:50]}"


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Any]:
    """The row of each case; one file for each kind, format and set of labels, as a log would be."""
    groups = defaultdict(list)
    for number, case in enumerate(CASES):
        groups[case["kind"], case["format"], tuple(case.get("labels", ()))].append(number)
    found = {}
    for (kind, written, labels), numbers in groups.items():
        path = tmp_path_factory.mktemp("log") / "log.jsonl"
        path.write_text("\n".join(json.dumps(CASES[number] | {"id": number}) for number in numbers))
        log = load_log(path, kind, labels)
        assert not log.complaints
        found |= {int(row.item_id): row for row in rescore(log.transcripts, kind, written, experiment="cases")}
    return found


@pytest.mark.parametrize("number", range(len(CASES)), ids=lambda number: name(CASES[number]))
def test_case(rows: dict[int, Any], number: int) -> None:
    case, row = CASES[number], rows[number]
    assert (row.correct, row.latent_correct) == (case["strict"], case["latent"]), (row.status, row.answer, row.latent_answer)


WRAPPERS = (
    *(
        "The answer is {}.",
        "The answer is ({}).",
        "Answer: {}",
        "**Answer: {}**",
        "The answer is **{}**",
        "#### {}",
        r"\boxed{{{}}}",
    ),
    *(
        'Action: Answer("{}")',
        "[[{}]]",
        "I would choose ({}).",
        "The correct option is {}.",
        "정답은 {}입니다.",
        "答案是{}",
        "故选{}",
    ),
    *('{{"answer": "{}"}}', '{{"answer": "({})"}}', "<answer>{}</answer>", "answer: {}\nreasoning: swapped", "## Answer\n{}"),
    *(r"The answer is \(\boxed{{\text{{{}}}}}\).", "So it must be ({}).", "It is option {}, since they swap.", "{}", "({})"),
    *(
        "The answer is {} because they swap.",
        "Therefore {} is the correct answer.",
        "Option {} is correct.",
        "The answer is '{}'",
    ),
)


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_every_letter_is_read_alike(wrapper: str) -> None:
    """A is no worse than B: it is an article, too, and was once read less often."""
    for letter in BALLS.letters:
        assert BALLS.same(read_latent(wrapper.format(letter), BALLS).answer, letter), letter


NEARLY = [
    ("number", "18", ["17", "81", "180", "1.8", "-18", "18^2", "18π", "√18", "18 million", "18k", "18/5", "±18"]),
    ("number", "18", ["18 × 3", "18x", "more than 18", "< 18", "18,5", "1만 8천", "eighty"]),
    ("number", "18", ["18 or 19", "18-20", "18 hours and 30 minutes", "18_2", "18:30"]),
    ("number", "-5", ["5", "-50", "-5.5", "minus 50", "±5"]),
    ("number", "1500000", ["1.5", "1.5 thousand", "15 million", "1,500", "1.5 billion"]),
    ("choice", "B", ["A", "C", "E", "A or B", "B, C", "(A), (B), or (C)", "BC", "none of the above", "red ball", "not B"]),
    ("label", "positive", ["negative", "neutral", "non-positive", "not positive", "positive or negative", "mixed"]),
    ("yes_no", "yes", ["no", "maybe", "yes and no", "not true", "unknown", "no idea", "it depends", "false"]),
    ("yes_no", "no", ["yes", "maybe", "no idea", "no doubt yes", "unknown", "no information", "not false"]),
    ("text", "mn", ["nm", "m", "mnn", "m or n", "unknown", "mno", "C++"]),
    ("text", "15", ["1.5", "-15", "1/5", "150"]),
    ("math", r"\frac{1}{2}", [r"\frac{1}{3}", "-0.5", "0.51", "2", r"\frac{1}{2}i"]),
    ("math", "11_2", ["11", "11_3", "3"]),
    ("math", "12:00", ["1:00", "12", "12:01"]),
    ("math", "2+i", [r"2-\mathrm{i}", "2-i", "2"]),
    ("set", "1.5, 2", ["15, 2", "1.5", "-1.5, 2", "1.5, 2, 3"]),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "gold", "wrong"), [(kind, gold, one) for kind, gold, many in NEARLY for one in many])
def test_what_is_nearly_right_is_not_credited(conditions: dict[str, Any], kind: str, gold: str, wrong: str) -> None:
    for condition in conditions.values():
        text = condition.example(KINDS[kind], "We work it out.", wrong)
        found = condition.read(Generation(key="", text=text), KINDS[kind])
        for answer in (found.answer, read_marked(text, KINDS[kind]).answer, read_latent(text, KINDS[kind]).answer):
            assert not KINDS[kind].same(answer, gold), text


UNREADABLE = ("", "null", "unknown", "N/A", "cannot be determined")


@pytest.mark.parametrize("said", UNREADABLE)
@pytest.mark.parametrize("shown", ['{{"reasoning": "It is 9.", "answer": "{}"}}', "<reasoning>9</reasoning><answer>{}</answer>",
                                   "reasoning: it is 9\nanswer: {}", "## Reasoning\nIt is 9.\n\n## Answer\n{}"])  # fmt: skip
def test_an_answer_that_says_nothing_is_not_replaced_by_older_prose(shown: str, said: str) -> None:
    if said or "##" not in shown:
        assert read_latent(shown.format(said), Number()).answer is None


HOSTILE = [
    "{",
    "[",
    "}",
    "\\",
    '"',
    "<answer>",
    "<a>",
    "\\boxed{",
    "\\boxed{1}",
    "The answer is 18. ",
    "Answer:",
    " ",
    "\n",
    "\r\n",
    "9",
    "9,",
    "1 ",
    "*",
    "**",
    "_",
    "#",
    "## Answer\n",
    "```\n",
    "|",
    ":",
    "a: ",
    "answer: 18\n",
    '{"answer": 18}\n',
    '"answer": ',
    "wait, no ",
    "Q: a\nA: b\n",
    "(A) ",
    "A or ",
    "yes ",
    "no ",
    "정답은 ",
    "1. ",
    "- apple\n",
    "√",
    "2^",
    "two hundred and ",
    "</think>",
    "word ",
    "(",
    "[[A]] ",
    'Answer("A") ',
    "?",
    "=",
    "\x00",
    "$1$ ",
    "Answer\n------\n",
]
LIMIT_S = 0.15


@pytest.mark.parametrize(
    "unit", [pytest.param(unit, marks=() if k % 8 == 0 else pytest.mark.slow) for k, unit in enumerate(HOSTILE)]
)
def test_a_hundred_thousand_characters_of_anything_are_read_at_once(unit: str) -> None:
    text = (unit * (100_000 // len(unit) + 1))[:100_000]
    for kind in KINDS.values():
        for read in (read_latent, read_marked, guess_format, _strict):
            assert within(LIMIT_S, read, text, kind), (kind, read)


def test_a_loop_of_spaces_after_a_mark_is_no_obstacle() -> None:
    for space in (" ", "\n", "\r\n", "\t"):
        assert read_latent(f"Answer:{space * 2000}3", Number()).answer == "3"


def _strict(text: str, kind: AnswerKind) -> Any:
    return read_transcript(Generation(key="", text=text), kind, "text")


def test_a_longer_reply_is_read_from_both_ends() -> None:
    filling = "word " * LONGEST
    for text in (f"The answer is 18.\n{filling}", f"{filling}\nThe answer is 18."):
        found = read_latent(text, Number())
        assert found.span is not None
        assert text[slice(*found.span)] == "18"


def test_every_mark_can_be_asked_for_alone() -> None:
    boxed = Generation(key="", text=r"So \boxed{18}")
    assert read_transcript(boxed, Number(), "text").answer == "18"
    assert read_transcript(boxed, Number(), "text", "stated").status == "another_mark"
    assert {"stated", "boxed", "hashes"} <= MARKS.keys()


def test_a_number_of_a_million_digits_is_no_number() -> None:
    assert Number().canon("9" * 1_000_000) is None


def test_mathematics_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    Math().same(r"\frac{1}{", r"\begin{pmatrix} 1 & \\")
    assert capfd.readouterr().err == ""
