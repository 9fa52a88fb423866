"""All tables and figures of a folder as one LaTeX document: `document.tex`, beside the files it shows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from fmtbench.analysis.showing.latex import escape

DOCUMENT = r"""% {origin}
% pdflatex document.tex, three times, in the folder of this file: the columns of a long table settle after two
\documentclass[a4paper,landscape]{{article}}
\usepackage[margin=12mm]{{geometry}}
\usepackage{{booktabs}}
\usepackage{{longtable}}
\usepackage{{graphicx}}
\AtBeginDocument{{\setlength{{\LTcapwidth}}{{0.8\textwidth}}}}
\title{{{title}}}
\author{{}}
\date{{}}
\begin{{document}}
\maketitle
\noindent {shown}
{parts}
\end{{document}}
"""
FIGURE = r"""\begin{figure}
\centering\includegraphics[width=\textwidth,height=0.85\textheight,keepaspectratio]{%s.pdf}
\caption{%s}
\label{fig:%s}
\end{figure}"""
APPENDIX = "appendix"


class Shown(NamedTuple):
    """A table or figure: its file, its place (a number, `appendix`, or none), and the caption of a figure."""

    name: str
    place: str = ""
    caption: str = ""

    @property
    def path(self) -> str:
        return f"{APPENDIX}/{self.name}" if self.place == APPENDIX else self.name


def document(tables: Sequence[Shown], figures: Sequence[Shown], origin: dict[str, str]) -> str:
    """Tables, then figures, in the given order; those of the appendix come after all others."""
    parts: list[str] = []
    for behind in (False, True):
        here = [[one for one in some if (one.place == APPENDIX) == behind] for some in (tables, figures)]
        parts += [r"\appendix"] if behind and any(here) else []
        parts += [rf"\input{{{one.path}.tex}}" for one in here[0]]
        parts += [FIGURE % (one.path, escape(one.caption or one.name), one.name) for one in here[1]]
    source = f"From {origin['runs']}, made by {origin['commit']}."
    title, body = escape(origin["runs"].split(" (")[0]), "\n\\clearpage\n".join(["", *parts])
    return DOCUMENT.format(origin=source, title=title, shown=escape(source), parts=body)
