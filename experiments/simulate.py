"""Check the intervals and tests on simulated studies whose truth is known. Slow: some ten minutes.

    python -m experiments.simulate                    every design, 2000 studies each
    python -m experiments.simulate rounds=200 design=[1,2,13]

Prints a Markdown table, one line a design: coverage of nominal 95% intervals, size of the exact and the score test at 5%,
and the family-wise error of five tests after Holm. The last designs have prompts that matter, of which a study asks with a
few; the tests speak of the prompts that were used, and are left out there.
"""

from __future__ import annotations

from omegaconf import DictConfig

from fmtbench.analysis.statistics.simulation import DESIGNS, PROMPT_DESIGNS, Design, Report, simulate
from fmtbench.errors import UserError

from .starting.start import start

ALL = (*DESIGNS, *PROMPT_DESIGNS)
HEADINGS = (
    "",
    "items",
    "prompts",
    "discordance",
    "item correlation",
    "prompt SD",
    "coverage",
    "size, exact",
    "size, score",
    "family, exact",
    "family, score",
)


def main(config: DictConfig) -> None:
    chosen = list(config.design) or list(range(1, len(ALL) + 1))
    if config.rounds < 1:
        raise UserError(f"rounds={config.rounds}: give a number above 0")
    if wrong := [number for number in chosen if not 1 <= number <= len(ALL)]:
        raise UserError(f"design={wrong}: give numbers from 1 to {len(ALL)}")
    print(f"| {' | '.join(HEADINGS)} |\n|{'--:|' * len(HEADINGS)}")
    for number in chosen:
        design = ALL[number - 1]
        print(line(number, design, simulate(design, config.rounds, seed=number)), flush=True)


def line(number: int, design: Design, report: Report) -> str:
    shape = f"{design.items} | {design.prompts} | {design.discordance:.0%} | {design.correlation} | {100 * design.spread:.0f}"
    tests = [f"{value:.3f}" if not design.spread else "" for value in report[1:]]
    return f"| {number} | {shape} | {report.coverage:.3f} | {' | '.join(tests)} |"


if __name__ == "__main__":
    start("simulate", main)
