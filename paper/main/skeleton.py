"""The skeleton of a study's first page: each question, what the table `planned` answers model by model, and where that stands.

    python paper/main/skeleton.py paper/main > draft.md

Reads FOLDER/planned.csv and, of the repetition, FOLDER/again/planned.csv. It words no finding: where a line says `beyond both`,
zero lies outside both intervals, and `again` that the repetition has the same sign and leaves zero out for these prompts.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

QUESTIONS = Path(__file__).with_name("questions.yaml")
READINGS = {"strict": "", "latent": "latent_"}
COLUMNS = ("difference", "low", "high", "general_low", "general_high")


def main(folder: Path) -> None:
    planned = pd.read_csv(folder / "planned.csv")
    repeated = folder / "again" / "planned.csv"
    again = pd.read_csv(repeated) if repeated.is_file() else planned.iloc[:0]
    for question in yaml.safe_load(QUESTIONS.read_text(encoding="utf-8")):
        print("\n".join(lines(question, planned, again)) + "\n")


def lines(question: dict[str, str], planned: pd.DataFrame, again: pd.DataFrame) -> Iterator[str]:
    """A heading, and one line for each model and task; `not asked in this study` where there is none."""
    pair = (question["condition"], question["reference"])
    found = planned[(planned["condition"] == pair[0]) & (planned["reference"] == pair[1])]
    yield f"## {question['ask']}\n"
    if found.empty:
        yield f"- not asked in this study: no line of {pair[0]} against {pair[1]} [planned]"
    for line in found.itertuples():
        other = again[(again["backbone"] == line.backbone) & (again["task"] == line.task) & (again["contrast"] == line.contrast)]
        said = "; ".join(f"{name} {answer(line, other, prefix)}" for name, prefix in READINGS.items())
        yield f"- {line.backbone}, {line.task}: {said} [planned: {line.task} / {line.contrast}]"


def answer(line: Any, other: pd.DataFrame, prefix: str) -> str:
    """`-8.8 [-13.7, -3.8], like these [-18.7, +1.9]`, and what of both it is beyond."""
    value, low, high, *general = (100 * float(getattr(line, prefix + name)) for name in COLUMNS)
    text = f"{value:+.1f} [{low:+.1f}, {high:+.1f}], like these [{general[0]:+.1f}, {general[1]:+.1f}]"
    beyond = [low > 0 or high < 0, general[0] > 0 or general[1] < 0]
    marks = ["beyond both"] if all(beyond) else ["beyond the first"] if beyond[0] else []
    return ", ".join([text, *marks, *repeats(value, other, prefix)])


def repeats(value: float, other: pd.DataFrame, prefix: str) -> list[str]:
    """Whether the repetition found it again; nothing where there is none."""
    if other.empty:
        return []
    found, low, high = (float(other[prefix + name].iloc[0]) for name in COLUMNS[:3])
    return ["again" if found * value > 0 and (low > 0 or high < 0) else "not again"]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
