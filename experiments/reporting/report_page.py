"""The report as one page: what `experiments.tables ... format=html` writes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from fmtbench.analysis.page.payload import CONTRASTS, accuracy_lines, empty_payload, payload, records
from fmtbench.analysis.page.write import write_page
from fmtbench.analysis.rows.missing import missing_note
from fmtbench.analysis.rows.study import Study
from fmtbench.analysis.showing.finding import finding


def write(path: Path, study: Study, reference: str, tables: Mapping[str, pd.DataFrame], reasons: Mapping[str, str]) -> None:
    """`tables` holds `main`, and `contrasts` unless `reasons` says why it could not be made."""
    notes = [f"Left out: {complaint}" for complaint in study.complaints]
    notes += [note[:1].upper() + note[1:] for note in [missing_note(study.missing, most=12)] if note]
    packed = payload(study.rows, study.origin, reference, notes)
    packed["accuracy"] = accuracy_lines(tables["main"], study.rows, study.missing[study.missing["items"] == 0])
    if "contrasts" in tables:
        packed["contrasts"] = records(tables["contrasts"], CONTRASTS)
        packed["finding"] = finding(tables["contrasts"])
    else:
        packed["without_contrasts"] = reasons["contrasts"]
    write_page(path, title(study.origin["runs"]), packed)


def write_empty(path: Path, roots: list[Path]) -> None:
    """A page that says that there is nothing yet."""
    names = "+".join(root.resolve().name for root in roots)
    write_page(path, title(names), empty_payload({"runs": names, "commit": "unknown commit"}))


def title(runs: str) -> str:
    return f"{runs.split(' (')[0]}: what the formats cost"
