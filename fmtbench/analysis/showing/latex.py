r"""A table of text as LaTeX (booktabs, longtable), set in \small and never smaller.

Lines of one backbone and task stand under a heading that names both. A table wider than the page is split into several with the
same lines; the columns that identify a line are repeated in each.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

import pandas as pd

ESCAPES = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "Δ": r"$\Delta$",
    "±": r"$\pm$",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "−": "--",
    "…": r"\dots{}",
    "×": r"$\times$",
    **{character: f"\\{character}" for character in "&%$#_{}"},
}
SIZE = r"\small\setlength{\tabcolsep}{3pt}"
UPRIGHT, TURNED = 455.0, 772.0
"""Points: text width of a conference page, and of A4 in landscape, as in document.tex."""
CHARACTER, GAP = 4.4, 6.0
"""Points: width of an average character in \\small, and of the gap between two columns."""
PAGE = 40
"""Lines that certainly fit on a page."""
GROUP = ("backbone", "task")
KEYS = ("backbone", "task", "condition", "reference", "against", "contrast", "n", "study", "model", "setting", "note")


def latex(text: pd.DataFrame, name: str, caption: str, origin: str, *, width: float = TURNED, notes: Sequence[str] = ()) -> str:
    r"""A `table`, or, where it has more than `PAGE` lines, a `longtable`; needs `\usepackage{booktabs,longtable}`.

    `width`: points of text across the page. `notes`: lines below the table.
    """
    groups, text = _groups(text)
    parts = [_part(text[columns], groups) for columns in _split(text, width)]
    title = [rf"\caption{{{escape(caption)}}}", rf"\label{{tab:{name}}}"]
    long = len(text) > PAGE
    body = [*_long(parts, title)] if long else [*_float(parts, title)]
    below = [rf"\par\noindent{{\small {escape(line)}}}" for line in notes]
    end = below if long else [*below, r"\end{table}"]
    return "\n".join([*(f"% {line}" for line in origin.splitlines()), *body, *end, ""])


def _float(parts: list[tuple[str, list[str], list[str]]], title: list[str]) -> Iterator[str]:
    yield from (r"\begin{table}", rf"\centering{SIZE}", *title)
    for i, (kinds, head, lines) in enumerate(parts):
        yield from ((r"\par\medskip",) if i else ())
        yield from (rf"\begin{{tabular}}{{{kinds}}}", r"\toprule", *head, r"\midrule", *lines, r"\bottomrule", r"\end{tabular}")


def _long(parts: list[tuple[str, list[str], list[str]]], title: list[str]) -> Iterator[str]:
    """The caption appears once; later pages and parts say which table they continue. `longtable` counts each part, so all but one
    are subtracted."""
    for i, (kinds, head, lines) in enumerate(parts):
        head = [r"\toprule", *head, r"\midrule"]
        again = [rf"\multicolumn{{{len(kinds)}}}{{l}}{{\textit{{Table~\thetable, continued}}}} \\", *head, r"\endhead"]
        yield from ((r"\addtocounter{table}{-1}",) if i else ())
        yield from (f"{{{SIZE}", rf"\begin{{longtable}}{{{kinds}}}")
        yield from again if i else (*title, r"\\", *head, r"\endfirsthead", *again)
        yield from (*lines, r"\bottomrule", r"\end{longtable}}")


def _groups(text: pd.DataFrame) -> tuple[list[str], pd.DataFrame]:
    """The name of each line's group, and the table without the columns that say it; no names where groups are not contiguous."""
    columns = [name for name in GROUP if name in text.columns]
    names = [", ".join(line) for line in text[columns].itertuples(index=False, name=None)]
    if (
        len(columns) in (0, len(text.columns))
        or len([name for name, _ in groupby(names)]) > len(set(names))
        or len(set(names)) == len(names)
    ):
        return [], text
    return names, text.drop(columns=columns)


def _part(text: pd.DataFrame, groups: list[str]) -> tuple[str, list[str], list[str]]:
    """Column kinds, lines of the head, and the remaining lines."""
    kinds = "".join("r" if _numeric(text[column]) else "l" for column in text.columns)
    lines: list[str] = []
    for i, cells in enumerate(text.itertuples(index=False, name=None)):
        if groups and (not i or groups[i] != groups[i - 1]):
            lines += [r"\addlinespace"] if i else []
            lines.append(rf"\multicolumn{{{len(kinds)}}}{{l}}{{\textit{{{escape(groups[i])}}}}} \\*")
        lines.append(_line(map(escape, cells)))
    return kinds, _head(list(map(str, text.columns)), kinds), lines


def _head(columns: list[str], kinds: str) -> list[str]:
    """One line, or two where neighbours share the part before a comma: `strict, these prompts`, `strict, prompts like these`."""
    above = [name.partition(", ")[0] if ", " in name else "" for name in columns]
    groups = [(name, len(list(some))) for name, some in groupby(above)]
    if not any(name and many > 1 for name, many in groups):
        return [_line(map(escape, columns))]
    cells, rules, at = [], [], 1
    for name, many in groups:
        wide = name and many > 1
        cells += [rf"\multicolumn{{{many}}}{{c}}{{{escape(name)}}}"] if wide else [""] * many
        rules += [rf"\cmidrule(lr){{{at}-{at + many - 1}}}"] if wide else []
        at += many
    shared = [wide for name, many in groups for wide in [bool(name) and many > 1] * many]
    below = [name.partition(", ")[2] if alike else name for name, alike in zip(columns, shared)]
    return [_line(cells), "".join(rules), _line(map(escape, below))]


def _line(cells: Iterable[str]) -> str:
    return " & ".join(cells) + r" \\"


def _split(text: pd.DataFrame, width: float) -> list[list[str]]:
    """The columns of each part: as many as fit beside the keys, and at least one. Neighbours that share the part before a comma
    stay together if they fit on a page at all."""
    keys = [name for name in text.columns if name in KEYS]
    room = width - sum(_width(text, name) for name in keys)
    parts: list[list[str]] = [[]]
    for block in _blocks([name for name in text.columns if name not in keys], text, room):
        if parts[-1] and sum(_width(text, name) for name in [*parts[-1], *block]) > room:
            parts.append([])
        parts[-1] += block
    return [[name for name in text.columns if name in keys or name in part] for part in parts]


def _blocks(columns: list[str], text: pd.DataFrame, room: float) -> Iterator[list[str]]:
    for _, some in groupby(columns, key=lambda name: name.partition(", ")[0] if ", " in name else name):
        block = list(some)
        yield from [block] if sum(_width(text, name) for name in block) <= room else [[name] for name in block]


def _width(text: pd.DataFrame, column: str) -> float:
    head = max(map(len, str(column).split(", ")))
    return CHARACTER * max(head, *text[column].map(len), 1) + GAP


def escape(text: str) -> str:
    """Escaped text for LaTeX; a character beyond Latin-1 that is not in `ESCAPES` becomes a question mark."""
    joined = "".join(ESCAPES.get(character, character) for character in str(text).replace("\n", " "))
    return joined.encode("latin-1", "replace").decode("latin-1")


def _numeric(column: pd.Series) -> bool:
    return bool(column.str.match(r"^$|^[<+-]?(\d|inf)").all())
