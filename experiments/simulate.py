"""Check the intervals and tests on simulated studies whose truth is known. Slow: about fifteen minutes.

    python -m experiments.simulate                    every design, 2000 studies each
    python -m experiments.simulate rounds=200 design=[1,2,13]

Prints two Markdown tables, one line per design. The first is for designs in which prompts do not matter: coverage of nominal 95%
intervals, size of the exact, the mid-p and the score test at 5%, and the family-wise error of five tests after Holm. The second
is for designs in which prompts do matter: coverage and mean half-width of both intervals, each for its own truth, and how often
the interval for these prompts would contain the mean over all prompts. It simulates a tenth as many studies, with up to eleven
contrasts each.
"""

from __future__ import annotations

import math

from omegaconf import DictConfig

from fmtbench.analysis.statistics.simulated_prompts import PROMPT_DESIGNS, Intervals, PromptDesign, simulate_prompts
from fmtbench.analysis.statistics.simulation import DESIGNS, Design, Report, simulate
from fmtbench.errors import UserError

from .starting.start import start

MOST = len(DESIGNS) + len(PROMPT_DESIGNS)
TESTS = ("exact", "mid-p", "score")
HEADINGS = (
    *("", "items", "prompts", "discordance", "item correlation", "coverage"),
    *(f"size, {test}" for test in TESTS),
    *(f"family, {test}" for test in TESTS),
)
PROMPT_HEADINGS = (
    *("", "items", "prompts", "conditions", "prompt SD", "these prompts", "half-width"),
    *("prompts like these", "half-width", "these, for prompts like these"),
)


def main(config: DictConfig) -> None:
    chosen = list(config.design) or list(range(1, MOST + 1))
    if config.rounds < 1:
        raise UserError(f"rounds={config.rounds}: give a number above 0")
    if wrong := [number for number in chosen if not 1 <= number <= MOST]:
        raise UserError(f"design={wrong}: give numbers from 1 to {MOST}")
    first = {number: DESIGNS[number - 1] for number in chosen if number <= len(DESIGNS)}
    second = {number: PROMPT_DESIGNS[number - 1 - len(DESIGNS)] for number in chosen if number > len(DESIGNS)}
    if first:
        print(header(HEADINGS))
    for number, design in first.items():
        print(line(number, design, simulate(design, config.rounds, seed=number)), flush=True)
    if second:
        print("\n" * bool(first) + header(PROMPT_HEADINGS))
    for number, made in second.items():
        print(prompt_line(number, made, simulate_prompts(made, math.ceil(config.rounds / 10), seed=number)), flush=True)


def header(names: tuple[str, ...]) -> str:
    return f"| {' | '.join(names)} |\n|{'--:|' * len(names)}"


def line(number: int, design: Design, report: Report) -> str:
    shape = f"{design.items} | {design.prompts} | {design.discordance:.0%} | {design.correlation}"
    return f"| {number} | {shape} | {' | '.join(f'{value:.3f}' for value in report)} |"


def prompt_line(number: int, design: PromptDesign, found: Intervals) -> str:
    shape = f"{design.items} | {design.prompts} | {design.conditions} | {100 * design.spread:.0f}"
    widths = ("these_width", "general_width")
    texts = [f"{100 * value:.1f}" if name in widths else f"{value:.3f}" for name, value in found._asdict().items()]
    return f"| {number} | {shape} | {' | '.join('' if text == 'nan' else text for text in texts)} |"


if __name__ == "__main__":
    start("simulate", main)
