"""How the authors of each study read their replies, and what they made of these, written down again.

A rule takes a reply and its gold answer, and says what it read and whether that counts.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from fmtbench.answers import Number


class Verdict(NamedTuple):
    read: str | None
    right: bool


Rule = Callable[[str, str], Verdict]

QUOTED = re.compile(r'"answer"\s*:\s*"([^"]*)"')
BARE = re.compile(r'"answer"\s*:\s*([^,\s]*)')
BOXED = re.compile(r"boxed\{([^{}]*)\}")
NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
ACTION = re.compile(r'Answer\("([^"]*)"\)')
DECODER = json.JSONDecoder(strict=False)


def first_number(text: str, gold: str) -> Verdict:
    """ZeroEval: the first number counts that the first object has as its answer: of "8 - 4 = 4" that is 8, and what a second
    object corrects is not seen. Without an object it is the first field `answer`, and without one the last box.
    """
    held = _first_answer(text)
    number = NUMBER.search(held.replace("$", "").replace(",", "")) if held else None
    return Verdict(number[0], Number().same(number[0], gold)) if number else Verdict(None, False)


def _first_answer(text: str) -> str | None:
    found = next(_objects(text), {})
    if "answer" in found:
        return str(found["answer"])
    fields = QUOTED.findall(text) or BARE.findall(text) or BOXED.findall(text)[-1:]
    return fields[0] if fields else None


def _objects(text: str) -> Iterator[dict[str, Any]]:
    for brace in re.finditer(r"\{", text):
        try:
            found, _ = DECODER.raw_decode(text, brace.start())
        except ValueError:
            continue
        yield found


def first_action(text: str, gold: str) -> Verdict:
    """Renze and Guven: the first letter in the first `Answer("...")`."""
    action = ACTION.search(text)
    letter = action[1].strip()[:1].upper() if action else None
    return Verdict(letter or None, letter == gold)


def word_anywhere(text: str, gold: str) -> Verdict:
    """LLMDrift: the gold word, in brackets or alone, counts wherever it stands; so a reply may be right for Yes and for No."""
    there = [word for word in ("Yes", "No") if any(f"[{word.lower()}]" in f"[{one}]" for one in text.lower().split())]
    return Verdict(" and ".join(there) or None, gold in there)


def shared_vote(answers: Sequence[str | None], gold: str) -> float:
    """Whether the answer that most samples of an item give is right; of several, each counts for its share."""
    counts = Counter(answers)
    first = [one for one, count in counts.items() if count == max(counts.values())]
    return (gold in first) / len(first)


RULES: dict[str, Rule] = {"json_asked": first_number, "concise": first_action, "key_order": word_anywhere}
VOTED = ("concise",)
"""Studies whose published accuracies are those of a vote of the samples."""
