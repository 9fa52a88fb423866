"""A results folder as the tables need it: its rows and, as plain data, its conditions, tasks and planned contrasts.

study = load_study(["results/quickstart"])      # or a packed study, such as paper/data
contrast_table(study.rows, planned=study.planned)
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from fmtbench.analysis.rows.frame import DuplicateError, RowsFile, compact, duplicates, join, load_files, without_repeats
from fmtbench.analysis.rows.missing import missing_cells
from fmtbench.analysis.rows.probed import probed_tokens
from fmtbench.analysis.rows.strata import check_strata
from fmtbench.analysis.rows.strips import strips
from fmtbench.analysis.rows.swaps import beside, greedy_rows, parted, swap_rows
from fmtbench.errors import UserError
from fmtbench.price import Prices, prices_of
from fmtbench.store import stored
from fmtbench.store.folder import why_barred
from fmtbench.store.probed import COMMITMENT, MASS, SPELLING

Settings = dict[str, dict[str, Any]]
NARROW = "at most one space"
SPACING = {"free": "free", "pretty": "pretty-printed", "one space": NARROW, "none": NARROW}
"""What manifests say about the whitespace of replies, in the words of a note."""
PROBED = {"mass_tokens": MASS, "spelling_tokens": SPELLING, "commitments": COMMITMENT}
"""Files that probes leave beside the rows, by the field of `Study` that holds them."""


class Study(NamedTuple):
    rows: pd.DataFrame
    axes: Settings
    """Settings of each condition, from the cells' own configs, or else from the preset of the same name."""
    tasks: Settings
    """Settings of each task, from the cells' own configs."""
    presets: Settings
    planned: list[Any]
    origin: dict[str, str]
    """`runs` and `commit`, which every table names as its source."""
    complaints: list[str]
    """One line for each file that was left out."""
    notes: list[str]
    """What else a reader has to know, one line each; see `whitespace_notes`."""
    missing: pd.DataFrame
    """The incomplete cells; see `missing_cells`."""
    prices: dict[tuple[str, str, str], Prices]
    """By backbone, task and condition, where the configs of these cells agree."""
    mass_tokens: pd.DataFrame | None = None
    """What the probe found, one row per token (rows/probed.py); None if nothing was probed."""
    spelling_tokens: pd.DataFrame | None = None
    """Likewise."""
    strip_tokens: pd.DataFrame | None = None
    """One masked reply of each backbone, with its text (rows/strips.py)."""
    commitments: pd.DataFrame | None = None
    """Likewise, one row per cut."""
    swaps: pd.DataFrame | None = None
    """Rows of the prefix swap (rows/swaps.py); None if nothing was swapped."""
    greedy_swaps: pd.DataFrame | None = None
    """Rows of the swap's null."""


def load_study(
    roots: Sequence[Path | str],
    *,
    presets: Settings | None = None,
    mixed: bool = False,
    slim: bool = False,
    first: bool = False,
) -> Study:
    """Everything readable under the folders. Raises `UserError` where there is nothing, where runs must not be compared, where
    one file holds a measurement twice, or where an item is in two strata.

    `presets`: settings of conditions by name, for rows without a config. `slim`: leave out texts and questions, and include
    what probes found. `first`: if a measurement occurs twice, count its first row; otherwise a file that repeats another is left
    out.
    """
    files, complaints = load_files([*roots, *(beside(roots) if slim else ())], slim=slim)
    if not files:
        raise UserError("; ".join(complaints))
    files, swapped = parted(files)
    try:
        rows = join(files, mixed=mixed)
    except DuplicateError:
        files = without_repeats(files, first)
        twice = duplicates(files)
        complaints = [*complaints, *twice.values()]
        files = [file for file in files if file.path not in twice]
        if not files:
            raise UserError("; ".join(complaints)) from None
        rows = join(files, mixed=mixed)
    check_strata(rows)
    rows = compact(rows)
    complaints = [*complaints, *(empty_note(file) for file in files if not len(file.rows))]
    configs, presets = [read_config(file) for file in files], presets or {}
    return Study(
        rows=rows,
        axes=presets | _settings(configs, "condition"),
        tasks=_settings(configs, "task"),
        presets=presets,
        planned=_planned(configs),
        origin=_origin(list(map(Path, roots)), [*files, *(file for file in swapped if id(file) not in set(map(id, files)))]),
        complaints=complaints,
        notes=whitespace_notes(files, presets | _settings(configs, "condition")),
        missing=missing_cells(rows),
        prices=_prices(files, configs),
        **_probed(files if slim else []),
        swaps=swap_rows(swapped),
        greedy_swaps=greedy_rows(swapped),
    )


def _probed(files: Sequence[RowsFile]) -> dict[str, pd.DataFrame | None]:
    paths = [file.path for file in files if file.packed is None]
    found = {name: probed_tokens(paths, beside) for name, beside in PROBED.items()}
    return found | {"strip_tokens": strips(found["mass_tokens"], files)}


def empty_note(file: RowsFile) -> str:
    """Why a file holds no rows: its cell is barred, or has not finished a single item."""
    why = why_barred(file.manifest) or file.manifest.get("status") or "it has no manifest"
    return f"{file.path} holds no rows: {why}"


def whitespace_notes(files: Iterable[RowsFile], axes: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """One line for each condition whose enforced JSON differs in whitespace from one place to another, unless the condition
    leaves it to the model (`whitespace: free`)."""
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for file in files:
        for kind in file.manifest.get("whitespace") or ():
            if len(file.rows) and axes.get(name := str(file.rows.iloc[0].condition), {}).get("whitespace") != "free":
                found[name].setdefault(SPACING.get(kind, NARROW), str(file.path))
    return [
        f"{condition}: white space between JSON's tokens is {_told(places)}: "
        "a difference between the two is not of the condition alone"
        for condition, places in found.items()
        if len(places) > 1
    ]


def _told(places: Mapping[str, str]) -> str:
    return " and ".join(f"{kind} in {places[kind]}" for kind in dict.fromkeys((*SPACING.values(), NARROW)) if kind in places)


def read_config(file: RowsFile) -> dict[str, Any]:
    """The config of a cell; empty if there is none. Raises `UserError` if it is not YAML."""
    if file.packed is not None:
        return file.packed
    return stored.read_config(file.path.with_name("config.yaml"))


def _settings(configs: Iterable[Mapping[str, Any]], group: str) -> Settings:
    found: Settings = {}
    for config in configs:
        found |= config.get(group) or {}
    return found


def _prices(files: Sequence[RowsFile], configs: Sequence[Mapping[str, Any]]) -> dict[tuple[str, str, str], Prices]:
    found: dict[tuple[str, str, str], set[Prices | None]] = defaultdict(set)
    for file, config in zip(files, configs):
        for cell in file.rows[["backbone", "task", "condition"]].drop_duplicates().itertuples(index=False, name=None):
            found[cell].add(prices_of(config))
    return {cell: price for cell, prices in found.items() if len(prices) == 1 and (price := next(iter(prices)))}


def _planned(configs: list[dict[str, Any]]) -> list[Any]:
    planned: list[Any] = []
    for config in configs:
        planned += [one for one in config.get("planned") or [] if one not in planned]
    return planned


def _origin(roots: list[Path], files: list[RowsFile]) -> dict[str, str]:
    """Names of the folders, the number of files or packed cells, a hash of the rows' bytes, and the commits they come from."""
    digest = hashlib.sha256()
    for path in dict.fromkeys(file.path for file in files):
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    packed = [file for file in files if file.packed is not None]
    names = dict.fromkeys(str((file.packed or {}).get("name")) for file in packed)
    if len(packed) < len(files) or "None" in names:
        names = dict.fromkeys(root.resolve().name for root in roots)
    codes = sorted({_commit(file.manifest) for file in files})
    count = f"{len(files)} {'cells' if packed else 'files'}"
    return {"runs": f"{'+'.join(names)} ({count}, rows sha256 {digest.hexdigest()[:12]})", "commit": ", ".join(codes)}


def _commit(manifest: Mapping[str, Any]) -> str:
    code = manifest.get("code") or {}
    return f"{code['commit'][:12]}{' (changed)' if code.get('dirty') else ''}" if code.get("commit") else "unknown commit"
