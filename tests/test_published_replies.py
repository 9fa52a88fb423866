"""The latent reader against what others published of 170,000 replies of theirs, where these are at hand.

Where a figure differs, the replies were looked at: ZeroEval reads the first number of the field (`"answer": "8 - 4 = 4"` is 8 to
it), and four models write their calculation there.
"""

import gzip
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fmtbench.answers import AnswerKind, Choice, Number, YesNo
from fmtbench.readers.latent import read_latent
from tests.conftest import DATA

REPLIES = DATA / "published_replies"
pytestmark = [pytest.mark.slow, pytest.mark.skipif(not REPLIES.is_dir(), reason="the published replies are not on this machine")]
CALCULATING = ("Yi-1.5-34B-Chat", "Yi-1.5-9B-Chat", "gemma-2-2b-it", "yi-large")
"""Models that write a calculation into the field."""
FIELD = re.compile(r'"answer"\s*:\s*"?((?:[^"\\\n]|\\.)*)')
NUMBER = re.compile(r"-?\d[\d,]*\.?\d*")
DEMANDED = re.compile(r'Answer\(\s*["\'“]?\(?([A-Z])\)?["\'”]?\s*\)')


def lines(path: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(path, "rt") as file:
        yield from map(json.loads, file)


def right(reply: dict[str, Any], kind: AnswerKind) -> bool:
    return kind.same(read_latent(reply["text"], kind).answer, str(reply["gold"]))


def first_number(reply: dict[str, Any]) -> bool:
    """What ZeroEval counts."""
    found = FIELD.findall(reply["text"])
    numbers = NUMBER.findall(found[-1]) if found else []
    return bool(numbers) and Number().same(numbers[0], str(reply["gold"]))


def test_zeroeval_accuracies_are_the_published_ones() -> None:
    folder = REPLIES / "zeroeval_gsm"
    published = {
        line["Model"].replace("@", "_at_"): float(line["Acc"])
        for line in json.loads((folder / "published_summary.json").read_text())
    }
    compared = 0
    for name, accuracy in published.items():
        if not (folder / f"{name}.jsonl.gz").is_file():
            continue
        replies, compared = list(lines(folder / f"{name}.jsonl.gz")), compared + 1
        ours = 100 * sum(right(reply, Number()) for reply in replies) / len(replies)
        if name in CALCULATING:
            differing = [right(reply, Number()) for reply in replies if right(reply, Number()) != first_number(reply)]
            assert ours > accuracy
            assert sum(differing) >= 0.85 * len(differing), name
        else:
            assert abs(ours - accuracy) <= 0.5, (name, ours, accuracy)
    assert compared >= 30


def test_the_demanded_form_of_concise_chain_of_thought_is_read() -> None:
    """All but one in two thousand: those that state two letters, or take theirs back."""
    options = {
        (path.name, str(line["item"])): tuple(map(str, line["choices"].values()))
        for path in (REPLIES / "concise_cot" / "questions").glob("*.gz")
        for line in lines(path)
    }
    counted: dict[str, Counter[bool]] = defaultdict(Counter)
    for path in sorted((REPLIES / "concise_cot").glob("gpt-*/*/*.gz")):
        for reply in lines(path):
            choices = options[path.name, str(reply["item"])]
            demanded = DEMANDED.findall(reply["text"])
            if len(choices) > 1 and demanded:
                kind = Choice(options=choices)
                read = read_latent(reply["text"], kind).answer
                counted[path.parent.name][(None if read is None else kind.canon(read)) == kind.canon(demanded[-1])] += 1
    assert sum(one.total() for one in counted.values()) > 60_000
    for prompt, one in counted.items():
        assert one[False] <= one.total() / 1000, (prompt, one)


def test_llmdrift_accuracies_are_the_published_ones() -> None:
    known = {"gpt-4-0314": 84.0, "gpt-4-0613": 51.1}
    found: dict[str, list[bool]] = defaultdict(list)
    for path in (REPLIES / "drift_prime").glob("*.gz"):
        for reply in lines(path):
            found[reply["model"]].append(right(reply, YesNo()))
    assert {name: round(100 * sum(found[name]) / len(found[name]), 1) for name in known} == known
