"""Numbers as they are written (`1.5 million`, `3 × 10^4`, `2^10`, `1,00,000`, `1만 8천`, `minus five`, `2 1/2`), in plain digits.

Everything is first rewritten into digits and only then read, so that a number is read with everything that belongs to it or not
at all: `3π`, `√16`, `5x`, `±5`, `12,5`, `more than 20` and `3 hours and 30 minutes` are not comparable numbers.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction

import fmtbench.answers.spelling as spelling

LONGEST = 1000
"""The most characters of a text that may be a number."""
DIGITS = 60
"""The most digits of a number, powers worked out."""

SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")
RAISED = re.compile(r"(?<=[\d)])[⁻]?[⁰¹²³⁴⁵⁶⁷⁸⁹]{1,4}")
TIMES = re.compile(r"\\(?:times|cdot)(?![a-z])|(?<=[\d)])\s{0,3}\*\s{0,3}(?=[\d($])|·|⋅")
COMMANDS = {r"\pm": "±", r"\mp": "±", r"\pi": "π", r"\sqrt": "√", r"\approx": "≈", r"\ge": "≥", r"\le": "≤"}
COMMAND = re.compile(r"\\(?:pm|mp|pi|sqrt|approx|geq?|leq?)(?![a-z])")
BARE_FRACTION = re.compile(r"\\[dt]?frac\s?(\d)\s?(\d)")
WHOLE_AND_FRACTION = re.compile(r"(?<=\d)(?=\\[dt]?frac)")
FILLED = re.compile(r"(?<![\d])_+|_+(?!\d)")
UNDERSCORED = re.compile(r"(?<![\w.,])\d{1,3}(?:_\d{3})+(?![\d_])")
SPACED = re.compile(r"^(\W{0,9})(\d{1,3}(?: \d{3})+)(?![\d/.-])")
"""Thousands separated by spaces, at the beginning of an answer."""
LAKHS = re.compile(r"(?<![\w.,])\d{1,2}(?:,\d{2})+,\d{3}(?![\d,])")
EUROPEAN = re.compile(r"(?<![\w.,])(\d{1,3}(?:\.\d{3})+),(\d{1,2})(?![\d,])")
MIXED = re.compile(r"(?<![\w.,/^])(-?)(\d{1,30})(?: | and )(\d{1,30})/(\d{1,30})(?![\d/])")
SPACED_FRACTION = re.compile(r"(?<=\d) {0,2}/ {0,2}(?=\d)")
SIGN_IN_WORDS = re.compile(r"\b(?:minus|negative)\s{1,3}(?=[$€£¥₩]?\.?\d)", re.I)
SCALES = {"hundred": 2, "thousand": 3, "k": 3, "million": 6, "mn": 6, "m": 6, "billion": 9, "bn": 9, "b": 9, "trillion": 12}
SCALED = re.compile(
    # A bare M or B is a scale after a currency sign, and a unit (metres, bytes) elsewhere. Begins only where a number does:
    # every digit of a long one would be tried otherwise.
    r"(?<!\d)(?<!\d,)(?P<number>\d[\d,]*(?:\.\d+)?)(?:[ -]?(?P<word>hundred|thousand|million|billion|trillion)s?\b"
    r"|(?P<k>k|K|mn|bn)\b|(?P<unit>[MB])(?![\w]))"
)
CURRENCY = re.compile(r"[$€£¥₩]\s?-?$")
POWER = re.compile(r"(?<![\w.,^])(-?\d{1,12}(?:\.\d{1,12})?)\s?\^\s?(?:\{\s?(-?\d{1,3})\s?\}|(-?\d{1,3}))(?![\d^])")
PRODUCT_OF_TEN = re.compile(
    r"(?<![\w.,^/×+])(-?\d{1,20}(?:\.\d{1,20})?)\s{0,3}(?:×|x)\s{0,3}10\s?\^\s?(?:\{\s?(-?\d{1,3})\s?\}|(-?\d{1,3}))(?![\d^])"
)
HANGUL_SCALES = {"억": 10**8, "만": 10**4, "천": 1000, "백": 100}
HANGUL = re.compile(r"(?<![\w.,])(?:\d[\d,]{0,15}(?:\.\d{1,6})?\s?[억만천백]\s?)+(?:\d{1,4}(?!\d))?")
HANGUL_PART = re.compile(r"(\d[\d,]*(?:\.\d+)?)\s?([억만천백]?)")

ONES = (
    "zero one two three four five six seven eight nine ten "
    "eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen"
)
TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
VALUES = {word: n for n, word in enumerate(ONES.split())} | {word: 10 * n for n, word in enumerate(TENS.split(), 2)}
MULTIPLES = {"hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9}
NAME = "|".join(sorted([*VALUES, *MULTIPLES], key=len, reverse=True))
IN_WORDS = re.compile(
    r"^(?P<before>\W{0,9}(?:(?:about|approximately|around|roughly|exactly|only|just|a total of|the number)\s)?)"
    rf"(?P<sign>(?:minus|negative)\s)?(?:an?\s(?=hundred|thousand|million))?(?P<words>(?:{NAME})(?:(?:[\s-]|\sand\s)(?:{NAME}))*)\b"
    r"(?!\s(?:of|more|who|that|which|way|can|point|and a half|halves|thirds?|quarters?|fourths?|fifths?|tenths?)\b|[-/]\w)",
    re.I,
)


def in_digits(answer: str) -> str:
    """The text with every number written in plain digits, with a decimal point and at most one fraction stroke."""
    text = RAISED.sub(lambda match: "^" + match[0].translate(SUPERSCRIPTS), answer)
    text = WHOLE_AND_FRACTION.sub(" ", BARE_FRACTION.sub(r"\\frac{\1}{\2}", text))
    text = COMMAND.sub(lambda match: COMMANDS.get(match[0].removesuffix("q"), COMMANDS.get(match[0], "≈")), TIMES.sub("×", text))
    text = FILLED.sub("", spelling.plain(text))
    for written, plain in REWRITES:
        text = written.sub(plain, text)
    return text


def shown(value: Fraction) -> str:
    """Exact decimal text without trailing zeros; if there is none, a fraction in lowest terms."""
    rest, twos, fives = value.denominator, 0, 0
    while rest % 2 == 0:
        rest, twos = rest // 2, twos + 1
    while rest % 5 == 0:
        rest, fives = rest // 5, fives + 1
    if rest != 1:
        return f"{value.numerator}/{value.denominator}"
    places = max(twos, fives)
    digits = str(abs(value.numerator) * 10**places // value.denominator).rjust(places + 1, "0")
    sign = "-" if value < 0 else ""
    return f"{sign}{digits[:-places]}.{digits[-places:]}" if places else sign + digits


def fraction(digits: str) -> Fraction:
    """The value of `1,234.50` or `2.5e-3`."""
    return Fraction(digits.replace(",", ""))


def _without(separator: str) -> Callable[[re.Match[str]], str]:
    return lambda match: match[0].replace(separator, "")


def _european(match: re.Match[str]) -> str:
    return match[1].replace(".", "") + "." + match[2]


def _improper(match: re.Match[str]) -> str:
    """`2 1/2` as `5/2`."""
    sign, whole, over, under = match.groups()
    return f"{sign}{int(whole) * int(under) + int(over)}/{under}"


def _scaled(match: re.Match[str]) -> str:
    scale = (match["word"] or match["k"] or match["unit"]).lower()
    if match["unit"] and not CURRENCY.search(match.string, max(0, match.start() - 3), match.start()):
        return match[0]
    return shown(fraction(match["number"]) * 10 ** SCALES[scale])


def _power(match: re.Match[str]) -> str:
    base, power = Fraction(match[1]), int(match[2] or match[3])
    if base == 0 or abs(power) * len(match[1]) > DIGITS * 2:
        return match[0]
    return shown(base**power)


def _product_of_ten(match: re.Match[str]) -> str:
    power = int(match[2] or match[3])
    return shown(Fraction(match[1]) * Fraction(10) ** power) if abs(power) <= DIGITS else match[0]


def _hangul(match: re.Match[str]) -> str:
    """`1만 8천` is 18000: each part times its unit."""
    parts = HANGUL_PART.findall(match[0])
    return shown(sum((fraction(digits) * HANGUL_SCALES.get(unit, 1) for digits, unit in parts), Fraction(0)))


def _words(match: re.Match[str]) -> str:
    """`two hundred and fifty` is 250."""
    total, below = 0, 0
    for word in re.split(r"[\s-]+", match["words"].lower()):
        if word == "hundred":
            below = max(below, 1) * 100
        elif word in MULTIPLES:
            total, below = total + max(below, 1) * MULTIPLES[word], 0
        else:
            below += VALUES.get(word, 0)
    return f"{match['before']}{'-' if match['sign'] else ''}{total + below}"


REWRITES: tuple[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]], ...] = (
    (IN_WORDS, _words),
    (UNDERSCORED, _without("_")),
    (SPACED, lambda match: match[1] + match[2].replace(" ", "")),
    (LAKHS, _without(",")),
    (EUROPEAN, _european),
    (SPACED_FRACTION, "/"),
    (MIXED, _improper),
    (HANGUL, _hangul),
    (SIGN_IN_WORDS, "-"),
    (SCALED, _scaled),
    (PRODUCT_OF_TEN, _product_of_ten),
    (POWER, _power),
)
"""In this order: what makes one number of several comes before what multiplies it."""
