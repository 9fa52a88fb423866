"""Surface forms of answers of every kind, and the verdict on each."""

import pytest

from fmtbench.answers import AnswerKind, Choice, Label, Math, Number, Set, Text, YesNo

BALLS = Choice(options=("red ball", "blue ball", "green ball"))
FORMS: list[tuple[AnswerKind, str, bool, list[str]]] = [
    (Number(), "18", True, ["18", "$18", "18.0", "18.00", "18 dollars", "**18**", "+18", "18%", "9 * 2 = 18", "$18.00 per day"]),
    (Number(), "18", False, ["19", "-18", "1.8", "180", "$81", "none"]),
    (Number(), "1000", True, ["1000", "1,000", "$1,000.00", "1,000 eggs", "1e3"]),
    (Number(), "-5", True, ["-5", "\u22125", "-5.0", "-$5"]),
    (Number(), "3.5", True, ["3.5", "3.50", "$3.50", "7/2"]),
    (BALLS, "B", True, ["B", "(B)", "b", "B)", "**B**", "(B) blue ball", "blue ball", "the blue ball", "B: blue ball"]),
    (BALLS, "B", False, ["A", "(C)", "green ball", "D", "red ball or blue ball"]),
    (Label(labels=("positive", "negative")), "positive", True, ["positive", "Positive", "**positive**", "POSITIVE"]),
    (Label(labels=("positive", "negative")), "positive", False, ["negative", "neutral", "positive or negative"]),
    (YesNo(), "yes", True, ["yes", "Yes", "true", "**Yes**"]),
    (YesNo(), "yes", False, ["no", "false", "perhaps"]),
    (Text(), "esse", True, ["esse", "e-s-s-e", "E-S-S-E", '"esse"', "e s s e"]),
    (Text(aliases=("St George's",)), "St. George's", True, ["St. George's", "st george's", "**St. George's**"]),
    (Text(), "Washington, D.C.", True, ["Washington, D.C.", "Washington D.C.", "washington dc"]),
    (Text(), "Berlin", False, ["Bonn", "Berlins"]),
    (Label(labels=("사실", "거짓")), "사실", True, ["사실", "**사실**", "사실입니다", '"사실"']),
    (Label(labels=("사실", "거짓")), "사실", False, ["거짓", "거짓입니다", "사실 또는 거짓"]),
    (
        Math(),
        r"\frac{3}{4}",
        True,
        [r"\frac{3}{4}", r"\dfrac34", r"$\frac{3}{4}$", r"\boxed{\frac{3}{4}}", "3/4", "0.75", "¾", "x = 3/4"],
    ),
    (Math(), r"\frac{3}{4}", False, [r"\frac{4}{3}", "-3/4", "0.7", "34", "none"]),
    (Math(), r"11\sqrt{2}", True, [r"11\sqrt{2}", "11*sqrt(2)", "11√2", r"**$\sqrt{242}$**"]),
    (Math(), "6,-2", True, ["6,-2", "-2, 6", r"\{-2, 6\}"]),
    (Math(), "18", True, ["18", "$18", r"18\text{ dollars}", "18 dollars", r"90^\circ / 5"]),
    (Math(), r"\text{east}", True, [r"\text{east}", "east", "East", "**east**"]),
    (Math(), "x + 1", False, ["y + 1", "x - 1", "x1"]),
    (
        Set(),
        "pear, apple",
        True,
        ["pear, apple", "Apple, pear", "apple and pear", "**apple**, **pear**", '["pear", "apple"]', "{apple; pear}"],
    ),
    (Set(), "pear, apple", False, ["pear", "pear, apple, fig", "pearapple"]),
]
CASES = [
    pytest.param(kind, gold, verdict, form, id=f"{type(kind).__name__}-{form}")
    for kind, gold, verdict, forms in FORMS
    for form in forms
]
