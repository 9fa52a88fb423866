"""Look inside the replies of a finished run: what a mask takes away at each token, and how it makes a model spell.

    python -m experiments.lockin results=results/quickstart probe=mass                    every run folder beneath it
    python -m experiments.lockin results=results/quickstart probe=mass decoder=xgrammar   the same replies under another's masks
    python -m experiments.lockin run=results/quickstart/smollm2_135m/addition/json_schema/plain-seed0      one run folder

Nothing is generated: one pass of the model reads prompts and replies. It needs the run folders with their journals, and the
weights that they were made with. Each folder gets `mass-<decoder>.jsonl` and, derived, `mass.parquet` and `spelling.parquet`, a
row a token; the same command again goes on where it was interrupted. Then `python -m experiments.tables` has the tables mass,
tokens, closing and aligned, and its page a strip of each masked reply. Replies without figures are counted by their reason.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, get_args

from omegaconf import DictConfig

from fmtbench.backbone import Backbone
from fmtbench.conditions.condition import Condition
from fmtbench.decoding.decoders import DecoderName
from fmtbench.decoding.grammar import MASKS_WITH
from fmtbench.decoding.sandbox import Limits
from fmtbench.errors import UserError
from fmtbench.store.folder import RunFolder, find_folders
from fmtbench.store.stored import read_config
from fmtbench.tasks.base import Task

from .score import find_packs, stored_cell
from .starting.build import build, build_stored_backbone
from .starting.start import start

if TYPE_CHECKING:
    from fmtbench.probes.mass import MassProbe, MassRecord, MassSettings

logger = logging.getLogger(__name__)
LEGEND = """\
Tax in nats: -ln of the mass that the mask left. Overrides: tokens at which the most likely one was forbidden.
string: a free rationale against the mask inside a JSON string. schema: JSON that was only asked for, up to where it leaves it.\
"""
QUIET = 200
"""Replies between two lines of progress."""


class StoredCell(NamedTuple):
    """A run folder, and what its config builds."""

    folder: RunFolder
    task: Task
    condition: Condition
    backbone: Backbone


def main(config: DictConfig) -> None:
    root = root_of(config)
    given = build(config.backbone, "backbone") if config.backbone else None
    cells = [stored(folder, given) for folder in find_folders(root)]
    check_run(config, cells, root)
    decoder = config.decoder or decoder_of(cells, root)
    limits = Limits(seconds=config.compile.seconds, memory_gb=config.compile.memory_gb)
    check_cells(cells)
    settings: MassSettings = build(config.probe, "probe")
    lines = []
    for backbone, group in by_backbone(cells).items():
        probe = settings.open(backbone, decoder, limits)
        lines += [line for cell in group for line in probe_cell(cell, probe, root)]
    show(lines)


# -- what is wrong is said before any weights are loaded


def root_of(config: DictConfig) -> Path:
    if (config.results is None) == (config.run is None):
        raise UserError(
            "give results=FOLDER, such as results=results/quickstart, for all run folders beneath it, or run=FOLDER for one"
        )
    if config.decoder is not None and config.decoder not in get_args(DecoderName):
        raise UserError(f"decoder={config.decoder}: allowed are {', '.join(get_args(DecoderName))}")
    root = Path(config.results or config.run)
    if find_packs(root):
        raise UserError(
            f"{root} is a packed study, which has no journal to read: give the results folder that it was packed from"
        )
    return root


def check_run(config: DictConfig, cells: list[StoredCell], root: Path) -> None:
    if config.run and [cell.folder.path for cell in cells] != [root]:
        raise UserError(f"run={root} is no run folder: give results={root} to probe the {len(cells)} beneath it")


def stored(folder: RunFolder, given: Backbone | None) -> StoredCell:
    """Raises `UserError` for a config that does not say how its replies were made."""
    _, task, condition = stored_cell(folder.path)
    try:
        backbone = given or build_stored_backbone(read_config(folder.path / "config.yaml"))
    except UserError as error:
        raise UserError(f"{folder.path}: {error}") from error
    return StoredCell(folder, task, condition, backbone)


def decoder_of(cells: list[StoredCell], root: Path) -> DecoderName:
    """The library that the replies were held by. Raises `UserError` where none was, or several were."""
    held = {one.decoder.split()[0] for cell in cells for one in cell.folder.generations() if one.decoder != "none"}
    known: dict[str, DecoderName] = {packages[0]: name for name, packages in MASKS_WITH.items()}  # type: ignore[misc]
    if not held:
        raise UserError(f"no reply in {root} was held by a mask: there is nothing that it could have taken away")
    if len(held) > 1 or not held <= known.keys():
        raise UserError(f"the replies in {root} were held by {', '.join(sorted(held))}: set decoder= to that whose masks to take")
    return known[held.pop()]


def check_cells(cells: list[StoredCell]) -> None:
    from fmtbench.probes.replay import check_weights

    for cell in cells:
        if next(cell.folder.generations(), None) is not None:
            check_weights(cell.folder, cell.backbone)


def by_backbone(cells: list[StoredCell]) -> dict[Backbone, list[StoredCell]]:
    """One model serves all cells of a backbone."""
    found: dict[Backbone, list[StoredCell]] = {}
    for cell in cells:
        found.setdefault(cell.backbone, []).append(cell)
    return found


# -- the probe


def probe_cell(cell: StoredCell, probe: MassProbe, root: Path) -> Iterator[dict[str, Any]]:
    """Journal what is missing of a cell, write its files, and sum it up in a line for each thing that its replies were held
    against."""
    from fmtbench.probes.cell import CellProbe
    from fmtbench.probes.replies import cell_replies

    counted = Counter[str]()

    def told(_: MassRecord) -> None:
        counted["replies"] += 1
        if not counted["replies"] % QUIET:
            logger.info("%s: %d replies read", cell.folder.path, counted["replies"])

    with cell.folder as folder:
        own = CellProbe(folder=folder, replies=list(cell_replies(folder, cell.task, cell.condition)))
        own.measure(probe, told)
        own.derive(probe)
    return summed(str(cell.folder.path.relative_to(root)), own, probe)


def summed(name: str, own: Any, probe: MassProbe) -> Iterator[dict[str, Any]]:
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


def show(lines: list[dict[str, Any]]) -> None:
    import pandas as pd

    from fmtbench.analysis.showing.markdown import to_markdown

    print(to_markdown(pd.DataFrame(lines)), end="")
    print(LEGEND)


if __name__ == "__main__":
    start("lockin", main)
