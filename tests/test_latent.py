"""The lenient cascade on shapes of real replies; `cases/latent.jsonl` says where each was seen."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fmtbench.answers import Choice, Label, Math, Number, Set, Text, YesNo
from fmtbench.readers.latent import read_latent

KINDS = {
    "number": Number(),
    "choice": Choice(options=("red ball", "blue ball", "green ball")),
    "label": Label(labels=("positive", "negative")),
    "yes_no": YesNo(),
    "text": Text(),
    "math": Math(),
    "set": Set(),
}
CASES = [json.loads(line) for line in (Path(__file__).parent / "cases" / "latent.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['kind']}-{case['seen']}")
def test_case(case: dict[str, Any]) -> None:
    kind = Choice(options=tuple(case["options"])) if "options" in case else KINDS[case["kind"]]
    found = read_latent(case["text"], kind)
    assert (None if found.answer is None else kind.canon(found.answer)) == case["answer"]


@given(st.text(max_size=400), st.sampled_from(list(KINDS.values())))
def test_no_text_breaks_the_cascade(text: str, kind: Any) -> None:
    found = read_latent(text, kind)
    assert (found.status == "ok") == (found.answer is not None)


def test_a_hostile_text_is_read_in_no_time() -> None:
    for text in (
        "{" * 100_000,
        '{"answer": "' + "\\" * 100_000,
        "\\boxed{" * 20_000,
        "the answer is " * 20_000,
        "9" * 50_000,
        "<answer>" * 20_000,
    ):
        read_latent(text, Number())
