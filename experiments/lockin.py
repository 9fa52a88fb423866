"""Look inside the replies of a finished run: what a mask removes, what lifting it repairs, when an answer is decided.

    python -m experiments.lockin results=results/quickstart probe=mass                    every run folder beneath it
    python -m experiments.lockin results=results/quickstart probe=mass decoder=xgrammar   the same replies under other masks
    python -m experiments.lockin run=results/quickstart/smollm2_135m/addition/json_schema/plain-seed0      one run folder
    python -m experiments.lockin results=results/sampled probe=swap backend=vllm          cut rationales, and continue them
    python -m experiments.lockin results=results/sampled probe=commitment                 cut rationales, and read out the answer

It needs the run folders with their journals, and the weights that generated them; the same command resumes an interrupted probe.
What is left out is counted by reason. `probe=mass` generates nothing: one forward pass of the model reads prompts and replies.
Each folder gets `mass-<decoder>.jsonl` and, derived from it, `mass.parquet` and `spelling.parquet`, one row per token;
`python -m experiments.tables` then has the tables mass, tokens, closing and aligned, and its page shows a strip of each masked
reply.

`probe=swap` cuts the rationales of two sampled conditions, and continues each under both conditions. The continuations form a
separate experiment beside the first, `sampled-swap`, with ordinary run folders. The table is swap.

`probe=commitment` cuts the rationales of every condition, and has the model score the item's candidate answers at each cut;
nothing is generated. Each folder gets `commitment.jsonl` and, derived from it, `commitment.parquet`, one row per cut. The table
is commitment.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, get_args

from omegaconf import DictConfig, OmegaConf

from fmtbench.backbone import Backbone
from fmtbench.conditions.condition import Condition
from fmtbench.decoding.decoders import DecoderName
from fmtbench.decoding.grammar import MASKS_WITH
from fmtbench.decoding.sandbox import Limits
from fmtbench.errors import UserError
from fmtbench.probes.swap import FACTS, SwapSettings
from fmtbench.running.job import Cell
from fmtbench.store.folder import RunFolder, find_folders
from fmtbench.store.stored import read_config
from fmtbench.tasks.base import Task

from .reporting.probed import COMMITMENT_LEGEND, LEGEND, commitment_lines, mass_lines, show, show_swaps
from .reporting.progress import progress
from .score import find_packs, stored_cell
from .starting.build import build, build_stored_backbone, build_stored_engine
from .starting.environment import naming_the_environment
from .starting.start import start

if TYPE_CHECKING:
    from fmtbench.probes.commitment import CommitmentProbe, CommitmentSettings
    from fmtbench.probes.commitment_cell import CommitmentCell
    from fmtbench.probes.mass import MassProbe, MassRecord, MassSettings
    from fmtbench.running.swapping import Engine, Ran, SwapJob
    from fmtbench.types import Row

logger = logging.getLogger(__name__)
QUIET = 200
"""Replies between two progress lines."""


class StoredCell(NamedTuple):
    """A run folder, with the objects that its config builds."""

    folder: RunFolder
    cell: Cell
    task: Task
    condition: Condition
    backbone: Backbone


def main(config: DictConfig) -> None:
    root = root_of(config)
    given = build(config.backbone, "backbone") if config.backbone else None
    cells = [stored(folder, given) for folder in find_folders(root)]
    check_run(config, cells, root)
    settings: MassSettings | SwapSettings | CommitmentSettings = build(config.probe, "probe")
    if isinstance(settings, SwapSettings):
        return swap(config, settings, cells, root)
    from fmtbench.probes.commitment import CommitmentSettings  # late, since it imports torch

    if isinstance(settings, CommitmentSettings):
        return commitment(config, settings, cells, root)
    return mass(config, settings, cells, root)


def check_unused(config: DictConfig, probe: str, *names: str) -> None:
    """Raises `UserError` for an option that means nothing to a probe that generates nothing."""
    if given := [name for name in names if config[name] is not None]:
        raise UserError(
            f"probe={probe} generates nothing: leave out {', '.join(f'{name}=' for name in given)}, its pass is made by "
            "transformers whatever the run had"
        )


def mass(config: DictConfig, settings: MassSettings, cells: list[StoredCell], root: Path) -> None:
    check_unused(config, "mass", "backend")
    decoder = config.decoder or decoder_of(cells, root)
    limits = Limits(seconds=config.compile.seconds, memory_gb=config.compile.memory_gb)
    check_cells(cells)
    lines = []
    for backbone, group in by_backbone(cells).items():
        probe = settings.open(backbone, decoder, limits)
        lines += [line for cell in group for line in probe_cell(cell, probe, root)]
    show(lines, LEGEND)


# -- checks, before any weights are loaded


def root_of(config: DictConfig) -> Path:
    if (config.results is None) == (config.run is None):
        raise UserError(
            "give results=FOLDER, such as results=results/quickstart, for all run folders beneath it, or run=FOLDER for one"
        )
    if config.decoder is not None and config.backend is None and config.decoder not in get_args(DecoderName):
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
    cell, task, condition = stored_cell(folder.path)
    try:
        backbone = given or build_stored_backbone(read_config(folder.path / "config.yaml"))
    except UserError as error:
        raise UserError(f"{folder.path}: {error}") from error
    return StoredCell(folder, cell, task, condition, backbone)


def decoder_of(cells: list[StoredCell], root: Path) -> DecoderName:
    """The library that masked the replies. Raises `UserError` if there was none, or several."""
    held = {one.decoder.split()[0] for cell in cells for one in cell.folder.generations() if one.decoder != "none"}
    known: dict[str, DecoderName] = {packages[0]: name for name, packages in MASKS_WITH.items()}  # type: ignore[misc]
    if not held:
        raise UserError(f"no reply in {root} was held by a mask: there is nothing that one could have removed")
    if len(held) > 1 or not held <= known.keys():
        raise UserError(
            f"the replies in {root} were held by {', '.join(sorted(held))}: set decoder= to the one whose masks to use"
        )
    return known[held.pop()]


def check_cells(cells: list[StoredCell]) -> None:
    from fmtbench.probes.replay import check_weights

    for cell in cells:
        if next(cell.folder.generations(), None) is not None:
            check_weights(cell.folder, cell.backbone)


def by_backbone(cells: list[StoredCell]) -> dict[Backbone, list[StoredCell]]:
    """The cells by backbone, so that one loaded model serves all cells of a backbone."""
    found: dict[Backbone, list[StoredCell]] = {}
    for cell in cells:
        found.setdefault(cell.backbone, []).append(cell)
    return found


# -- the probe


def probe_cell(cell: StoredCell, probe: MassProbe, root: Path) -> Iterator[dict[str, Any]]:
    """Journal a cell's missing replies, write its files, and sum them up in one line for each mask that they were read under."""
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
    return mass_lines(str(cell.folder.path.relative_to(root)), own, probe)


# -- the swap


def swap(config: DictConfig, settings: SwapSettings, cells: list[StoredCell], root: Path) -> None:
    """Plan every swap before any weights are read, then run them."""
    from fmtbench.running.swapping import greedy_jobs, swap_jobs

    cells = [cell for cell in cells if FACTS not in cell.folder.manifest()]  # a swap is not swapped again
    wanted = [cell for cell in cells if cell.cell.condition in (settings.free, settings.held)] or cells
    check_cells(wanted)
    todo = [
        ([ran_of(one) for one in group], settings, engine_of(config, backbone, group, root), results_of(group))
        for backbone, group in by_backbone(wanted).items()
    ]
    jobs = [job for one in todo for job in swap_jobs(*one)]
    left_out = sum((one.left_out for one in jobs), Counter[str]())
    told = ", ".join(f"{reason} {count}" for reason, count in left_out.items())
    if not any(one.job.cells for one in jobs):
        raise UserError(
            f"no reply in {root} can be cut ({told or 'no task has both conditions'}): see docs/guides/interventions.md"
        )
    rows = [row for one in jobs for row in continued(one)]
    for one in todo if settings.greedy else ():
        for job in greedy_jobs(*one):  # the second job is planned from what the first generates
            continued(job)
    show_swaps(rows, settings, told)


def continued(one: SwapJob) -> list[Row]:
    from fmtbench.running.pipeline import run

    return run(one.job, progress, one.plans) if one.job.cells else []


def ran_of(one: StoredCell) -> Ran:
    from fmtbench.running.swapping import Ran

    return Ran(cell=one.cell, folder=one.folder, task=one.task, condition=one.condition, config=config_of(one))


def config_of(one: StoredCell) -> dict[str, Any]:
    return read_config(one.folder.path / "config.yaml")


def results_of(group: list[StoredCell]) -> Path:
    """The results folder of these cells. Raises `UserError` for a moved run folder, whose swap would land elsewhere."""
    for one in group:
        path, parts = one.folder.path, one.cell.folder(Path()).path.parts
        if path.resolve().parts[-len(parts) :] != parts:
            raise UserError(
                f"{path} is not where its config.yaml says, {'/'.join(parts)}: put it there, since its swap lies beside"
            )
    return group[0].folder.path.resolve().parents[len(group[0].cell.folder(Path()).path.parts) - 1]


def engine_of(config: DictConfig, backbone: Backbone, group: list[StoredCell], root: Path) -> Engine:
    """The engine that continues the replies: the given one, or that of the cells' own configs. Raises `UserError`."""
    from fmtbench.running.swapping import Engine, tokens_of

    node = None
    if config.backend is None:
        _, backend = build_stored_engine(config_of(group[0]))
    else:
        config.decoder = config.decoder or decoder_of(group, root)
        backend = build(config.backend, "backend")
        with naming_the_environment():
            node = OmegaConf.to_container(config.backend, resolve=True)
    return Engine(backbone=backbone, backend=backend, tokens=tokens_of(backbone), config=node)


# -- commitment


def commitment(config: DictConfig, settings: CommitmentSettings, cells: list[StoredCell], root: Path) -> None:
    """Probe all cells of a backbone together, since an item has the same candidates in every condition."""
    from fmtbench.probes.commitment_cell import CommitmentCell
    from fmtbench.running.committing import read_replies

    check_unused(config, "commitment", "backend", "decoder")
    cells = [cell for cell in cells if FACTS not in cell.folder.manifest()]  # swapped replies do not belong to a condition
    check_cells(cells)
    lines: list[dict[str, Any]] = []
    left_out = Counter[str]()
    for backbone, group in by_backbone(cells).items():
        probe = settings.open(backbone)
        for folder, replies in read_replies([ran_of(one) for one in group], settings.samples):
            own = CommitmentCell(folder=folder, replies=replies)
            committed(own, probe)
            left_out.update(str(record.problem) for _, record in own.found(probe) if record.problem)
            lines += commitment_lines(str(folder.path.relative_to(root)), own, probe)
    told = ", ".join(f"{problem} {count}" for problem, count in sorted(left_out.items()))
    if not lines:
        raise UserError(f"no reply in {root} can be read at its cuts ({told}): see docs/guides/interventions.md")
    show(lines, f"left out, of both read-outs: {told or 'nothing'}. {COMMITMENT_LEGEND}")


def committed(own: CommitmentCell, probe: CommitmentProbe) -> None:
    """Journal what a cell is missing, and write its file."""
    counted = Counter[str]()

    def told(_: Any) -> None:
        counted["records"] += 1
        if not counted["records"] % QUIET:
            logger.info("%s: %d of %d read out", own.folder.path, counted["records"], len(own.replies) * len(own.readouts))

    with own.folder:
        own.measure(probe, told)
        own.derive(probe)


if __name__ == "__main__":
    start("lockin", main)
