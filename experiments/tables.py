"""Write every table and figure that a results folder has the cells for.

    python -m experiments.tables results=results/quickstart
    python -m experiments.tables results=[results/first,results/second] output=paper
    python -m experiments.tables results=results/x table=[contrasts,cost] figure=[forest] draws=2000
    python -m experiments.tables results=results/x table=[mixed]     a mixed logistic model of each planned contrast
    python -m experiments.tables results=results/x reference=direct                 compare with another condition
    python -m experiments.tables results=results/x mixed=true        compare runs whose sampling, items or decoder differ
    python -m experiments.tables results=paper/data output=paper check=true         is paper up to date? exit code 1 if not
    python -m experiments.tables results=results/x format=html       one page to open in a browser: differences, and every reply

Tables are written as .csv, .md and .tex, figures as .pdf and .png; document.tex shows all of them. The most informative come
first; long tables are in appendix/. Each names the runs and the commit it came from. If one cannot be made, a line says what is
missing. Tables and figures show the names in conf/names, the .csv files show ids; +names.condition.terse_json="Terse JSON" adds a
name.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import pandas as pd
from omegaconf import DictConfig, OmegaConf

from fmtbench.analysis.rows.frame import EmptyError
from fmtbench.analysis.rows.missing import missing_note
from fmtbench.analysis.rows.study import Study
from fmtbench.analysis.showing.document import APPENDIX, Shown, document
from fmtbench.errors import DifferenceError, UserError
from fmtbench.store.files import writable, write_text

from .reporting.presets import load_study
from .starting.build import build
from .starting.conf import options
from .starting.folders import results_folders
from .starting.start import start

COUNTED = ("main", "failures")
"""Tables that also show the cells in which the engine failed; the others leave these out."""
SHOWN = ("caption", "columns", "wide", "percent", "paper", "bare", "headings", "place")
"""The keys in a table's YAML that say how to show it."""
PROBED = ("mass_tokens", "spelling_tokens", "strip_tokens", "commitments", "swaps", "greedy_swaps")
"""What tables take by these names, if `experiments.lockin` has written any."""
DRAWN = ("table", "caption", "place")
"""The keys in a figure's YAML besides its function."""


class Arguments(NamedTuple):
    roots: list[Path]
    output: Path
    table: dict[str, DictConfig]
    asked: bool
    """Whether the tables were chosen on the command line; if so, those that take minutes are made too."""
    figure: dict[str, DictConfig]
    reference: str | None
    mixed: bool
    draws: int | None
    first: bool
    labels: dict[str, dict[str, str]]
    """Display names by kind and id; see `conf/names`."""


def main(config: DictConfig) -> None:
    arguments = arguments_of(config)
    if config.format == "html":
        write_report(arguments)
    elif config.check:
        check(arguments)
    else:
        write_all(arguments)


def arguments_of(config: DictConfig) -> Arguments:
    """The checked arguments. Raises `UserError` for mistakes that Hydra's types cannot catch."""
    roots = results_folders(config.results)
    asked, drawn = set(config.table) != set(options("table")), set(config.figure) != set(options("figure"))
    if config.draws is not None and config.draws < 100:
        raise UserError(f"draws={config.draws}: give a whole number of at least 100, or leave it out for 10000")
    if config.duplicates not in (None, "first"):
        raise UserError(f"duplicates={config.duplicates}: give first, or leave it out to be told of rows that occur twice")
    if config.format not in ("paper", "html"):
        raise UserError(f"format={config.format}: give html for one page, or leave it out for .csv .md .tex and .pdf")
    given = [name for name, there in (("table", asked), ("figure", drawn), ("check", config.check)) if there]
    if config.format == "html" and given:
        raise UserError(f"format=html writes one page with all replies: leave out {', '.join(f'{name}=' for name in given)}")
    beside = roots[0] if roots[0].is_dir() else roots[0].parent
    return Arguments(
        roots=roots,
        output=Path(config.output) if config.output else beside / "tables",
        table=dict(config.table),
        asked=asked,
        figure=dict(config.figure),
        reference=config.reference,
        mixed=config.mixed,
        draws=config.draws,
        first=config.duplicates == "first",
        labels=labels_of(config.names),
    )


def labels_of(node: DictConfig) -> dict[str, dict[str, str]]:
    """The display names. Raises `UserError` if one is not a text."""
    found = OmegaConf.to_container(node, resolve=True)
    assert isinstance(found, dict)
    for kind, names in found.items():
        if not isinstance(names, dict):
            raise UserError(f"names.{kind}={names}: give ids and their names, such as names.{kind}.my_id='My name'")
        if wrong := [f"{name}={text}" for name, text in names.items() if not isinstance(text, str)]:
            raise UserError(f"names.{kind}.{wrong[0]}: give a text in quotes")
    return {str(kind): {str(name): text for name, text in names.items()} for kind, names in found.items()}


def write_all(arguments: Arguments) -> None:
    study = load_study(arguments.roots, mixed=arguments.mixed, first=arguments.first)
    warn(study)
    if note := missing_note(study.missing):  # so that every table and figure says it
        study = study._replace(origin=study.origin | {"runs": f"{study.origin['runs']}, {note}"})
    output = writable(arguments.output)
    offered = offers(study, arguments)
    tables: dict[str, pd.DataFrame] = {}
    missing: dict[str, str] = {}
    for name, node in sorted(arguments.table.items(), key=lambda item: item[0] != "contrasts"):  # others are made from it
        try:
            tables[name] = write_table(name, node, study, arguments, offered | tables)
        except UserError as error:
            missing[name] = str(error)
    say_missing(missing, tables)
    drawn = {name: node for name, node in arguments.figure.items() if node["table"] in tables}
    figures = [name for name, node in drawn.items() if write_figure(name, node, tables, study, arguments)]
    if without := [name for name in arguments.figure if name not in drawn]:
        say(f"not drawn: {', '.join(without)}: what they show was not made")
    write_text(
        output / "document.tex", document(ordered(tables, arguments.table), ordered(figures, arguments.figure), study.origin)
    )


def say_missing(missing: Mapping[str, str], made: Iterable[str]) -> None:
    """Print one line for each reason, and finally what was made."""
    tables: dict[str, list[str]] = {}
    for name, reason in missing.items():
        tables.setdefault(reason, []).append(name)
    for reason, names in tables.items():
        say(f"not made: {', '.join(names)}: {reason}")
    if missing:
        say(f"made: {', '.join(made) or 'none'}")


def ordered(names: Iterable[str], nodes: dict[str, DictConfig]) -> list[Shown]:
    """In the order shown: numbered places first, then the others by name, then the appendix."""
    found = [Shown(name, str(nodes[name].get("place") or ""), str(nodes[name].get("caption") or "")) for name in names]
    return sorted(found, key=lambda one: (one.place == APPENDIX, not one.place.isdigit(), one.place, one.name))


def check(arguments: Arguments) -> None:
    """Name each file in the output folder that these results would not make now. Raises `DifferenceError` if there are any."""
    from fmtbench.analysis.showing.same import compare

    with TemporaryDirectory() as scratch, redirect_stdout(StringIO()):
        write_all(arguments._replace(output=Path(scratch)))
        found = compare(Path(scratch), arguments.output, {*arguments.table, *arguments.figure})
    for line in (*found.skipped, *found.different):
        say(line)
    if found.different:
        raise DifferenceError(f"{len(found.different)} files of {arguments.output} are not what these results make now")
    print(f"{arguments.output}: {len(found.same)} files are what these results make, to the byte")


def warn(study: Study) -> None:
    """Print what was left out, and what is missing."""
    from fmtbench.analysis.rows.broken import broken_notes
    from fmtbench.analysis.rows.cut import cut_notes

    for complaint in study.complaints:
        say(f"left out: {complaint}")
    for note in study.notes:
        say(note)
    for note in (*broken_notes(study.rows), *cut_notes(study.rows)):
        say(note)
    if note := missing_note(study.missing):
        say(note)


def described(node: DictConfig, name: str, *keys: str) -> tuple[Callable[..., Any], dict[str, Any]]:
    """The function that a node of `conf/table` or `conf/figure` names, and the node's values under `keys`."""
    settings = OmegaConf.to_container(node, resolve=True)
    assert isinstance(settings, dict)
    apart = {key: settings.pop(key) for key in keys if key in settings}
    return build(OmegaConf.create(settings), name), apart


def offers(study: Study, arguments: Arguments) -> dict[str, Any]:
    """What a table's function may take by name, besides the rows."""
    names = ("axes", "tasks", "presets", "planned", "prices", *PROBED)
    offered: dict[str, Any] = {name: getattr(study, name) for name in names}
    given = {"draws": arguments.draws, "reference": arguments.reference}
    return offered | {"asked": arguments.asked} | {name: value for name, value in given.items() if value is not None}


def write_table(name: str, node: DictConfig, study: Study, where: Arguments, offered: dict[str, Any]) -> pd.DataFrame:
    from .reporting.table_files import write_files

    table, show = make_table(name, node, study, offered)
    path = placed(where.output, name, show)
    notes = write_files(path, table, show, study.origin, where.labels)
    print(f"{path}.csv .md .tex: {len(table)} lines")
    for note in notes:
        say(f"table {name}: {note}")
    return table


def placed(output: Path, name: str, show: dict[str, Any]) -> Path:
    """The path of a table or figure without its suffix; long ones go to the appendix."""
    return (writable(output / APPENDIX) if show.get("place") == APPENDIX else output) / name


def make_table(name: str, node: DictConfig, study: Study, offered: dict[str, Any]) -> tuple[pd.DataFrame, dict[str, Any]]:
    """A table, and how its YAML says to show it. Only the tables in `COUNTED` get the cells in which the engine failed."""
    from fmtbench.analysis.rows.broken import without_broken

    make, show = described(node, f"table/{name}", *SHOWN)
    wanted = inspect.signature(make).parameters
    rows = study.rows if name in COUNTED else without_broken(study.rows)
    return make(rows, **{key: value for key, value in offered.items() if key in wanted}), show


def write_report(arguments: Arguments) -> None:
    """Write the page, or an empty one that says so if the folders hold files but no rows."""
    from fmtbench.conditions.axes import REFERENCE

    from .reporting import report_page

    target = writable(arguments.output) / "report.html"
    try:
        study = load_study(arguments.roots, mixed=arguments.mixed, slim=False, first=arguments.first)
    except EmptyError as error:
        say(str(error))
        report_page.write_empty(target, arguments.roots)
    else:
        warn(study)
        offered = offers(study, arguments)
        tables, reasons = {"main": make_table("main", arguments.table["main"], study, offered)[0]}, {}
        try:
            tables["contrasts"], _ = make_table("contrasts", arguments.table["contrasts"], study, offered)
        except UserError as error:
            reasons["contrasts"] = str(error)
        report_page.write(target, study, arguments.roots, arguments.reference or REFERENCE, tables, reasons, arguments.labels)
    print(f"{target}: {target.stat().st_size / 1e6:.1f} MB")


def write_figure(name: str, node: DictConfig, tables: dict[str, pd.DataFrame], study: Study, where: Arguments) -> bool:
    """Draw and save a figure; returns whether that was possible."""
    from fmtbench.analysis.showing.figures import save
    from fmtbench.analysis.showing.labels import labelled

    draw, show = described(node, f"figure/{name}", *DRAWN)
    given = {"labels": where.labels} if "labels" in inspect.signature(draw).parameters else {}
    try:
        figure = draw(labelled(tables[show["table"]], where.labels), **given)
    except UserError as error:
        say(f"not drawn: {name}: {error}")
        return False
    path = placed(where.output, name, show)
    save(figure, path, study.origin)
    print(f"{path}.pdf .png")
    return True


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    start("tables", main)
