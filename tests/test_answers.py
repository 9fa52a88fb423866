"""One canonicaliser per answer kind: what is the same answer, and what is not."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fmtbench.answers import Choice, Label, Math, Number, Set, Text, YesNo
from fmtbench.readers.latent import read_latent

NUMBER = Number()
BALLS = Choice(options=("red ball", "blue ball", "green ball"))
TOPICS = Label(labels=("Business & Management", "Industry", "Tax & Accounting"))


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("18", "18"),
        ("$18", "18"),
        ("18.0", "18"),
        ("18 dollars", "18"),
        ("1,000", "1000"),
        ("$1,234.00", "1234"),
        ("10,000,000", "10000000"),
        ("1\u202f000", "1000"),
        ("-5", "-5"),
        ("\u22125", "-5"),
        ("-$5", "-5"),
        ("$-5", "-5"),
        ("3.5", "3.5"),
        ("3.50", "3.5"),
        (".5", "0.5"),
        ("3/4", "0.75"),
        ("1e3", "1000"),
        ("50%", "50"),
        ("**18**", "18"),
        ("`18`", "18"),
        (r"\$18", "18"),
        (r"1{,}234", "1234"),
        ("１８", "18"),
        ("9 * 2 = 18 apples", "18"),
        ("16-3", None),
        ("10 to 12", None),
        ("between 10 and 12", None),
        ("12:30", None),
        ("1 234 567 people", "1234567"),
        ("2 1/2 hours", "2.5"),
        ("2½", "2.5"),
        (r"$\frac{3}{4}$", "0.75"),
        ("1.234 apples", "1.234"),
        ("-0.0", "0"),
        ("eighteen", "18"),
        ("<number>", None),
        ("1/0", None),
        ("", None),
    ],
)
def test_number(written: str, canonical: str | None) -> None:
    assert NUMBER.canon(written) == canonical


@given(st.decimals(allow_nan=False, allow_infinity=False, places=2, min_value=-(10**9), max_value=10**9))
def test_a_number_is_the_same_in_every_spelling(value: object) -> None:
    plain = f"{value:f}"
    sign = "-" if plain.startswith("-") else ""
    for written in (f"{value:,f}", f"{sign}${plain.lstrip('-')}", f"{plain}0", f"{plain} dollars", f"**{plain}**"):
        assert NUMBER.same(written, plain), written


LETTER_B = ["(B)", "B", "b", "B)", "B.", "**B**", "[B]", "Option B", "(B) blue ball", "B: blue ball", "B blue ball"]


@pytest.mark.parametrize("written", [*LETTER_B, "blue ball", "the blue ball", "Blue Ball.", "I choose (B)", "(B) red ball"])
def test_choice(written: str) -> None:
    assert BALLS.canon(written) == "B"


@pytest.mark.parametrize(
    ("written", "letter"), [("A green ball", "C"), ("A red ball", "A"), ("D", None), ("red or blue", None), ("", None)]
)
def test_choice_article_is_no_letter(written: str, letter: str | None) -> None:
    assert BALLS.canon(written) == letter


@pytest.mark.parametrize(
    ("options", "written", "letter"),
    [
        (("-5", "5", "50"), "5", "B"),
        (("-5", "5", "50"), "-5", "A"),
        (("-5", "5", "50"), "\u22125", "A"),
        (("-5", "5", "50"), "x = -5 here", "A"),
        (("3.5", "35", "5"), "35", "B"),
        (("3.5", "35", "5"), "it is 3.5 m", "A"),
        (("1/2", "12", "2"), "1/2", "A"),
        (("8(√3 - 2)", "8(√3 + 2)"), "8(√3 + 2)", "B"),
        (("red", "red ball"), "a red ball", "B"),
        (("7", "8", "9"), "about 3.7", None),
        (("7", "8", "7"), "(C)", "A"),
        (("7", "8", "7"), "7", "A"),
    ],
)
def test_choice_options_that_differ_in_signs_or_not_at_all(options: tuple[str, ...], written: str, letter: str | None) -> None:
    assert Choice(options=options).canon(written) == letter


@pytest.mark.parametrize("written", ["business & management", "Business_&_Management", "The topic is Business & Management."])
def test_label(written: str) -> None:
    assert TOPICS.canon(written) == "Business & Management"


def test_label_refuses_two_labels() -> None:
    assert TOPICS.canon("Industry or Tax & Accounting") is None


@pytest.mark.parametrize(("written", "verdict"), [("Yes.", "yes"), ("true", "yes"), ("True", "yes"), ("no, it is not", "no"),
                                                  ("False", "no"), ("nowhere", None), ("", None)])  # fmt: skip
def test_yes_no(written: str, verdict: str | None) -> None:
    assert YesNo().canon(written) == verdict


@pytest.mark.parametrize(
    ("written", "gold"),
    [
        ("e-S-S-E", "esse"),
        ("Bogotá", "Bogota"),
        ("washington d.c.", "Washington, D.C."),
        ("The Hague", "hague"),
        ("**Berlin**", "Berlin"),
        ('"Berlin".', "Berlin"),
        ("서울", "서울"),
    ],
)
def test_text(written: str, gold: str) -> None:
    assert Text().same(written, gold)


def test_text_accepts_aliases_and_nothing_else() -> None:
    kind = Text(aliases=("Kiev",))
    assert kind.same("KIEV", "Kyiv")
    assert not kind.same("Kharkiv", "Kyiv")
    assert not kind.same(None, "Kyiv")
    assert not kind.same("...", "...")


@pytest.mark.parametrize(
    ("written", "gold"),
    [
        ('"\\frac{3}{4}"', r"\frac{3}{4}"),  # one backslash where JSON needs two: a form feed
        ('"\\\\frac{3}{4}"', r"\frac{3}{4}"),
        ('"\\\\\\\\frac{3}{4}"', r"\frac{3}{4}"),  # four
        ('"5 \\times 3"', "15"),
        ('"\\text{Evelyn}"', r"\text{Evelyn}"),
        ('"\\boxed{7}"', "7"),
        ('"$\\\\left(3, \\\\frac{\\\\pi}{2}\\\\right)$"', r"\left( 3, \frac{\pi}{2} \right)"),
    ],
)
def test_math_survives_the_escapes_of_json(written: str, gold: str) -> None:
    assert Math().same(json.loads(written), gold)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("(-inf, 2) ∪ (3, inf)", r"(-\infty, 2) \cup (3, \infty)", True),
        ("x³ + 3x - 6", "x^3+3x-6", True),
        (r"10,\!080", "10080", True),
        (r"4\frac{2}{3}", r"\frac{14}{3}", True),
        ("(3,4)", "(4,3)", False),
        ("Eve", "Evelyn", False),
        ("9^9^9^9", "2^{10}", False),
        ("<expression>", "3", False),
        ("", "3", False),
    ],
)
def test_math(one: str, other: str, same: bool) -> None:
    assert Math().same(one, other) is same


@pytest.mark.parametrize(
    "written", ["pear, apple", "Apple and pear", "- apple\n- pear", '["pear", "apple", "pear"]', "{apple; Pear}"]
)
def test_set(written: str) -> None:
    assert Set().canon(written) == "apple, pear"


@given(st.text(max_size=300), st.sampled_from([NUMBER, BALLS, TOPICS, YesNo(), Text()]))
def test_no_text_breaks_a_kind(text: str, kind: object) -> None:
    kind.canon(text)  # type: ignore[attr-defined]
    for start, end in kind.mentions(text):  # type: ignore[attr-defined]
        assert 0 <= start <= end <= len(text)


LETTERS = Label(labels=("A", "B", "C", "D"))
SAID = [
    ("Sorry, there is a mistake in your question.", None),
    ("The answer that suits it best is C: put a box on a pole, about two and a half metres off the ground.", "C"),
    ("Hence the most likely completion is D: Get a chair.", "D"),
    ("Option A best completes the text.", "A"),
    ("A cat sat there.", None),
    ("I would choose (b).", "B"),
    ("So it is B, since a cat sat there.", "B"),
]


@pytest.mark.parametrize(("text", "letter"), SAID)
def test_the_article_is_no_label(text: str, letter: str | None) -> None:
    """Of labels that are letters, `A` is a word, too: replies of GPT-3.5 that state none were read as `A`."""
    found = read_latent(text, LETTERS)
    assert (None if found.answer is None else LETTERS.canon(found.answer)) == letter


@pytest.mark.parametrize("label", ["A", "B", "C", "D"])
@pytest.mark.parametrize("form", ["{}", "**{}**", "({})", "{}.", "The answer is {}.", "{} is right"])
def test_every_letter_is_read_alike_and_alone_in_either_case(label: str, form: str) -> None:
    assert (
        LETTERS.canon(form.format(label)) == label
        or LETTERS.canon(read_latent(form.format(label), LETTERS).answer or "") == label
    )
    assert LETTERS.canon(label.lower()) == label
