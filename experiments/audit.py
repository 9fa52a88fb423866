"""Check that a results folder still holds what its run put there: every file against the others, without writing anything.

    python -m experiments.audit run=results/quickstart                    every run folder beneath it
    python -m experiments.audit run=results/quickstart resample=0.01      and generate one reply in a hundred again

It checks the checksums of the journal, the manifest, the config and the items; recomputes the key of each request; and scores the
rows again from the journal and compares them byte for byte. Each mismatch is reported with its file and position. With
`resample`, a random share of the replies is generated again by the engine named in each cell's own config, and the share that
differs is bounded. The exit code is 1 if a check fails, or if a larger share than `differing` differs.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

from fmtbench.errors import DifferenceError, UserError
from fmtbench.store.folder import find_folders
from fmtbench.store.stored import read_config

from .score import find_packs, stored_cell
from .starting.build import build, build_stored_engine
from .starting.start import start

if TYPE_CHECKING:
    from fmtbench.auditing.cell import CellAudit
    from fmtbench.auditing.resample import Kept, Resampled

MOST_FINDINGS = 20
"""Findings shown for each cell, so that the list stays readable when the whole disk is damaged."""


def main(config: DictConfig) -> None:
    root = Path(config.run)
    check(config, root)
    folders = find_folders(root)
    from fmtbench.auditing.cell import audit_cell  # late, so that a mistake in the config is reported before pyarrow loads

    audits = [audit_cell(folder.path, stored_cell) for folder in folders]
    show(audits, root)
    broken = [audit for audit in audits if not audit.held]
    resampled = resample(config, audits) if config.resample else None
    complaints = [f"{len(broken)} of {len(audits)} run folders do not hold"] if broken else []
    if resampled and len(resampled.differing) > config.differing * resampled.drawn:
        complaints.append(
            f"{len(resampled.differing)} of {resampled.drawn} replies differ, allowed is {config.differing:g} of them"
        )
    if complaints:
        raise DifferenceError("; ".join(complaints))


def check(config: DictConfig, root: Path) -> None:
    """Raises `UserError` for settings that would otherwise stop the work halfway."""
    if config.resample is not None and not 0 < config.resample <= 1:
        raise UserError(f"resample={config.resample}: give a share above 0 and at most 1, such as 0.01")
    if not 0 <= config.differing <= 1:
        raise UserError(f"differing={config.differing}: give a share from 0 to 1")
    if (config.backbone is None) != (config.backend is None):
        raise UserError("give both backbone= and backend=, or neither: then each cell's own config names them")
    if find_packs(root):
        raise UserError(
            f"{root} is a packed study, which has no journal to check: audit the results folder that it was packed from"
        )


def show(audits: list[CellAudit], root: Path) -> None:
    """Print a table of the cells, and below it the findings and what could not be checked."""
    import pandas as pd

    from fmtbench.analysis.showing.markdown import to_markdown

    lines = [
        {
            "cell": str(audit.path.relative_to(root)),
            "requests": audit.requests,
            "replies": audit.replies,
            "not asked for": audit.unasked,
            "held": "yes" if audit.held else f"no ({len(audit.findings)})",
        }
        for audit in audits
    ]
    print(to_markdown(pd.DataFrame(lines)), end="")
    for audit in audits:
        for finding in audit.findings[:MOST_FINDINGS]:
            print(f"{audit.path}: {printable(str(finding))}")
        if more := len(audit.findings[MOST_FINDINGS:]):
            print(f"{audit.path}: and {more} more")
    for told, count in counted(audits).items():
        print(f"in {count} of {len(audits)} run folders, {told}")


def printable(text: str) -> str:
    """The text with control characters escaped: a damaged file may hold anything."""
    return "".join(one if one.isprintable() else repr(one)[1:-1] for one in text)


def counted(audits: list[CellAudit]) -> dict[str, int]:
    """What could not be checked, and in how many folders."""
    found: dict[str, int] = defaultdict(int)
    for audit in audits:
        for told in audit.unchecked:
            found[told] += 1
    return found


def resample(config: DictConfig, audits: list[CellAudit]) -> Resampled:
    """Generate a share of the replies again, each by the engine of its cell. Raises `UserError` before any weights are loaded."""
    from fmtbench.auditing.resample import Resampled, check_identity, drawn, generate_again, kept, replies

    from .reporting.progress import progress

    population = replies(audit.path for audit in audits)
    asked = kept(drawn(population, config.resample, config.seed), population)
    if not asked:
        raise UserError(f"{config.run} holds no reply that could be generated again")
    groups = by_engine(config, asked)
    for (backbone, backend), group in groups:
        check_identity(group, backbone, backend)
    differing = [line for (engine, group) in groups for line in generate_again(group, *engine, progress)]
    found = Resampled(of=len(population), drawn=len(asked), differing=differing)
    for line in differing[:MOST_FINDINGS]:
        print(printable(line))
    print(
        f"{found.drawn} of {found.of} replies generated again: {len(differing)} differ ({len(differing) / found.drawn:.1%}); "
        f"of all, at most {found.at_most:.1%} do, with a confidence of 95%"
    )
    return found


def by_engine(config: DictConfig, asked: list[Kept]) -> list[tuple[tuple[Any, Any], list[Kept]]]:
    """What each engine has to generate: the given engine, or those that the cells' own configs describe."""
    if config.backend is not None:
        return [((build(config.backbone, "backbone"), build(config.backend, "backend")), asked)]
    groups: dict[str, tuple[dict[str, Any], list[Kept]]] = {}
    for one in asked:
        stored = read_config(one.folder / "config.yaml")
        engine = {name: stored.get(name) for name in ("backbone", "backend")}
        groups.setdefault(repr(engine), (engine, []))[1].append(one)
    return [(stored_engine(engine, group[0].folder), group) for engine, group in groups.values()]


def stored_engine(engine: dict[str, Any], folder: Path) -> tuple[Any, Any]:
    try:
        return build_stored_engine(engine)
    except UserError as error:
        raise UserError(f"{folder}: {error}") from error


if __name__ == "__main__":
    start("audit", main)
