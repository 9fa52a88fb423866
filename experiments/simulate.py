"""Check the intervals and tests on simulated studies whose truth is known. Slow: minutes.

    python -m experiments.simulate             12 designs, 2000 studies each
    python -m experiments.simulate rounds=200

Prints one line a design: coverage of nominal 95% intervals, size of the exact and the mid-p test at 5%, and the
family-wise error of five tests after Holm.
"""

from __future__ import annotations

from experiments.cli import start_plain
from fmtbench.analysis.simulation import DESIGNS, simulate
from fmtbench.errors import UserError


def main(words: list[str]) -> None:
    options = dict(word.partition("=")[::2] for word in words)
    rounds = options.pop("rounds", "2000")
    if options or not rounds.isdigit() or int(rounds) < 1:
        raise UserError(f"{' '.join(words)}: give rounds=N with N above 0, or nothing for 2000")
    print("items prompts discordance correlation | coverage  size exact  size mid-p  family error")
    for number, design in enumerate(DESIGNS):
        report = simulate(design, int(rounds), seed=number)
        print(
            f"{design.items:5} {design.prompts:7} {design.discordance:11.0%} {design.correlation:11.1f} |"
            f" {report.coverage:8.3f} {report.size_exact:11.3f} {report.size_mid:11.3f} {report.family_error:13.3f}",
            flush=True,
        )


if __name__ == "__main__":
    start_plain(main, __doc__)
