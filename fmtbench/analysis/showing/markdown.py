"""A data frame of text as a GitHub table, with numbers aligned to the right."""

from __future__ import annotations

import re
from collections.abc import Iterable

import pandas as pd

LEFT = {"backbone", "task", "condition", "reference", "failures", "note", "mark", "model"}
NUMBER = re.compile(r"[<+-]?(\d|inf)")


def to_markdown(shown: pd.DataFrame) -> str:
    header = list(map(str, shown.columns))
    body = [list(map(str, line)) for line in shown.itertuples(index=False)]
    widths = [max(2, *(len(line[i]) for line in [header, *body])) for i in range(len(header))]  # ":" alone is no rule
    left = {name for i, name in enumerate(header) if name in LEFT or not any(NUMBER.match(line[i]) for line in body)}
    rule = ["-" * width if name in left else "-" * (width - 1) + ":" for name, width in zip(header, widths)]
    return "\n".join("| " + " | ".join(_aligned(line, header, widths, left)) + " |" for line in [header, rule, *body]) + "\n"


def _aligned(line: Iterable[str], header: list[str], widths: list[int], left: set[str]) -> list[str]:
    return [text.ljust(width) if name in left else text.rjust(width) for text, name, width in zip(line, header, widths)]
