"""The report as a single page, as written by `experiments.tables ... format=html`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import pandas as pd

from fmtbench.analysis.page.payload import CONTRASTS, accuracy_lines, ask, empty_payload, payload, records
from fmtbench.analysis.page.write import write_page
from fmtbench.analysis.rows.missing import missing_note
from fmtbench.analysis.rows.study import Study
from fmtbench.analysis.showing.finding import finding
from fmtbench.analysis.showing.labels import Labels, labelled, names_of

NAMED = ("backbone", "task", "condition", "status")


def write(
    path: Path,
    study: Study,
    roots: Sequence[Path],
    reference: str,
    tables: Mapping[str, pd.DataFrame],
    reasons: Mapping[str, str],
    labels: Labels,
) -> None:
    """Write the page. `tables` holds `main`, and `contrasts` unless `reasons` says why that could not be made."""
    notes = [*(f"Left out: {complaint}" for complaint in study.complaints), *study.notes]
    notes += [note[:1].upper() + note[1:] for note in [missing_note(study.missing, most=12)] if note]
    packed = payload(study.rows, study.origin, reference, notes)
    packed["accuracy"] = accuracy_lines(tables["main"], study.rows, study.missing[study.missing["items"] == 0])
    if "contrasts" in tables:
        packed["contrasts"] = records(tables["contrasts"], CONTRASTS)
        packed["finding"] = finding(labelled(tables["contrasts"], labels))
    else:
        packed["without_contrasts"] = reasons["contrasts"]
    packed["labels"] = {kind: names_of(packed["names"][kind], kind, labels) for kind in NAMED}
    ask(packed, study.rows, sent(roots))
    write_page(path, title(study.origin["runs"]), packed)


def sent(roots: Iterable[Path]) -> dict[str, str]:
    """The messages sent to the model, by request key, from run folders; a packed study has none, and torn lines are skipped."""
    found: dict[str, str] = {}
    for path in (path for root in roots if root.is_dir() for path in sorted(root.rglob("requests.jsonl")) if path.is_file()):
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            with suppress(ValueError, KeyError, TypeError, RecursionError):
                one = json.loads(line)
                found[one["key"]] = "\n\n".join(f"{turn['role']}:\n{turn['content']}" for turn in one["request"]["messages"])
    return found


def write_empty(path: Path, roots: list[Path]) -> None:
    """Write a page that says that there are no results yet."""
    names = "+".join(root.resolve().name for root in roots)
    write_page(path, title(names), empty_payload({"runs": names, "commit": "unknown commit"}))


def title(runs: str) -> str:
    return f"{runs.split(' (')[0]}: what the formats cost"
