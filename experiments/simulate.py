"""Check the intervals and tests on simulated studies whose truth is known. Slow: some ten minutes.

    python -m experiments.simulate                    every design, 2000 studies each
    python -m experiments.simulate rounds=200 design=1,2,13

Prints a Markdown table, one line a design: coverage of nominal 95% intervals, size of the exact and the score test at 5%,
and the family-wise error of five tests after Holm. The last designs have prompts that matter, of which a study asks with a
few; the tests speak of the prompts that were used, and are left out there.
"""

from __future__ import annotations

from experiments.starting.start import start_plain
from fmtbench.analysis.statistics.simulation import DESIGNS, PROMPT_DESIGNS, Design, Report, simulate
from fmtbench.errors import UserError

ALL = (*DESIGNS, *PROMPT_DESIGNS)
HEADINGS = (
    *("", "items", "prompts", "discordance", "item correlation", "prompt SD", "coverage"),
    *("size, exact", "size, score", "family, exact", "family, score"),
)


def main(words: list[str]) -> None:
    rounds, chosen = parse(words)
    print(f"| {' | '.join(HEADINGS)} |\n|{'--:|' * len(HEADINGS)}")
    for number in chosen:
        design = ALL[number - 1]
        print(line(number, design, simulate(design, rounds, seed=number)), flush=True)


def parse(words: list[str]) -> tuple[int, list[int]]:
    """Rounds, and the numbers of the designs."""
    options = dict(word.partition("=")[::2] for word in words)
    rounds, chosen = options.pop("rounds", "2000"), options.pop("design", None)
    if options or not rounds.isdigit() or int(rounds) < 1:
        raise UserError(f"{' '.join(words)}: give rounds=N with N above 0, design=N,N, or nothing for 2000 of every design")
    numbers = chosen.split(",") if chosen else [str(i + 1) for i in range(len(ALL))]
    if wrong := [number for number in numbers if not (number.isdigit() and 1 <= int(number) <= len(ALL))]:
        raise UserError(f"design={wrong[0]}: give numbers from 1 to {len(ALL)}")
    return int(rounds), [int(number) for number in numbers]


def line(number: int, design: Design, report: Report) -> str:
    shape = f"{design.items} | {design.prompts} | {design.discordance:.0%} | {design.correlation} | {100 * design.spread:.0f}"
    tests = [f"{value:.3f}" if not design.spread else "" for value in report[1:]]
    return f"| {number} | {shape} | {report.coverage:.3f} | {' | '.join(tests)} |"


if __name__ == "__main__":
    start_plain(main, __doc__)
