"""What `experiments.lockin` prints after a probe: a few means to check that it worked; the tables have the intervals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from fmtbench.probes.swap import Arm, SwapSettings
from fmtbench.types import Row

if TYPE_CHECKING:
    from fmtbench.probes.cell import CellProbe
    from fmtbench.probes.commitment import CommitmentProbe
    from fmtbench.probes.commitment_cell import CommitmentCell
    from fmtbench.probes.mass import MassProbe

LEGEND = """\
Tax in nats: -ln of the mass that the mask left. Overrides: tokens at which the most likely one was forbidden.
string: a free rationale against the mask inside a JSON string. schema: JSON that was only asked for, up to where it leaves it.\
"""
SWAP_LEGEND = "Differences with intervals: python -m experiments.tables results=... table=[swap]"
COMMITMENT_LEGEND = """\
own: behind the format's own end of a rationale; turn: in a further turn of the user's. held: probability of all candidates.
With intervals, and what is left out by cell: python -m experiments.tables results=... table=[commitment]\
"""


def show(lines: list[dict[str, Any]], legend: str) -> None:
    import pandas as pd  # late, so that a mistake in the command does not wait for its import

    from fmtbench.analysis.showing.markdown import to_markdown

    print(to_markdown(pd.DataFrame(lines)), end="")
    print(legend)


def mass_lines(name: str, own: CellProbe, probe: MassProbe) -> Iterator[dict[str, Any]]:
    for against in ("own", "string", "schema"):
        found = [one for records in own.records().values() for one in records if one.against == against]
        mine = [one for one in found if (one.decoder, one.dtype) == (probe.masks.version, probe.reference.dtype)]
        sound = [one for one in mine if not one.problem]
        if mine:
            tokens = sum(len(one.left) for one in sound)
            problems = Counter(str(one.problem) for one in mine if one.problem)
            yield {
                "cell": name,
                "held against": against,
                "replies": len(sound),
                "tokens": tokens,
                "tax a reply": f"{-sum(sum(one.left) for one in sound) / len(sound):.2f}" if sound else "",
                "overrides": f"{sum(sum(one.override) for one in sound) / tokens:.1%}" if tokens else "",
                "without figures": ", ".join(f"{problem} {count}" for problem, count in sorted(problems.items())),
            }


def show_swaps(rows: list[Row], settings: SwapSettings, left_out: str) -> None:
    """Print each arm's latent and strict accuracy along the rationale, over all tasks; the table has the differences."""
    lines = [swap_line(arm, [row for row in rows if row.condition == str(arm)]) for arm in settings.arms]
    show(lines, f"left out: {left_out or 'nothing'}. {SWAP_LEGEND}")


def swap_line(arm: Arm, rows: list[Row]) -> dict[str, Any]:
    def share(hits: Iterable[bool]) -> str:
        return f"{sum(hits) / len(rows):.1%}" if rows else ""

    return {
        "begun": arm.origin,
        "goes on": arm.mode,
        "cut at": f"{arm.fraction:.2f}",
        "replies": len(rows),
        "latent": share(row.latent_correct for row in rows),
        "strict": share(row.correct for row in rows),
        "cut by the limit": share(row.finish_reason == "length" for row in rows),
    }


def commitment_lines(name: str, own: CommitmentCell, probe: CommitmentProbe) -> Iterator[dict[str, Any]]:
    """A cell's means at each cut, over the replies that could be read out there."""
    import pandas as pd

    from fmtbench.probes.commitment_cell import rows_of

    rows = pd.DataFrame([row for found in own.found(probe) for row in rows_of(*found) if "problem" not in row])
    for (readout, fraction), at in rows.groupby(["readout", "fraction"]) if len(rows) else ():
        fixed = at["fixed"].dropna()
        yield {
            "cell": name,
            "read-out": readout,
            "cut at": f"{fraction:.2f}",
            "replies": len(at),
            "P(gold)": f"{at['p_gold'].mean():.2f}",
            "entropy": f"{at['entropy'].mean():.2f}",
            "first is right": f"{at['first_right'].mean():.1%}",
            "fixed": f"{fixed.astype(float).mean():.1%}" if len(fixed) else "",
            "held": f"{at['held'].mean():.2f}",
        }
