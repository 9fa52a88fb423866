"""All tables and figures of a folder as one LaTeX document: `document.tex`, beside the files it shows."""

from __future__ import annotations

from collections.abc import Sequence

from fmtbench.analysis.showing.text import escape

DOCUMENT = r"""% {origin}
% pdflatex document.tex, in the folder of this file
\documentclass[a4paper,landscape]{{article}}
\usepackage[margin=12mm]{{geometry}}
\usepackage{{booktabs}}
\usepackage{{longtable}}
\usepackage{{graphicx}}
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
\centering\includegraphics[width=\textwidth,height=0.9\textheight,keepaspectratio]{%s.pdf}
\caption{%s}
\end{figure}"""


def document(tables: Sequence[str], figures: Sequence[str], origin: dict[str, str]) -> str:
    """`tables`, `figures`: names of .tex and .pdf files, in the order in which they are shown."""
    parts = [rf"\input{{{name}.tex}}" for name in tables] + [FIGURE % (name, escape(name)) for name in figures]
    source = f"From {origin['runs']}, made by {origin['commit']}."
    title, body = escape(origin["runs"].split(" (")[0]), "\n\\clearpage\n".join(["", *parts])
    return DOCUMENT.format(origin=source, title=title, shown=escape(source), parts=body)
