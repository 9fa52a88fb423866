"""Write every table and figure that a results folder has the cells for.

    python -m experiments.tables results/quickstart
    python -m experiments.tables results/first results/second output=paper
    python -m experiments.tables results/x table=contrasts,cost figure=forest draws=2000
    python -m experiments.tables results/x mixed=true       compare runs whose sampling, items or decoder differ

`ls conf/table conf/figure` is the list of them. Tables go into the first folder's `tables` as .csv, .md and .tex, figures
as .pdf and .png; each names the runs and the commit it came from. What cannot be made says in one line what is missing.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from omegaconf import OmegaConf

from experiments.build import build
from experiments.cli import CONF, start_plain
from experiments.study import Study, load_study
from fmtbench.errors import UserError
from fmtbench.store import writable

OPTIONS = ("output", "table", "figure", "mixed", "draws")


class Arguments(NamedTuple):
    roots: list[Path]
    output: Path
    table: list[str]
    figure: list[str]
    mixed: bool
    draws: int | None


def main(words: list[str]) -> None:
    arguments = parse(words)
    study = load_study(arguments.roots, mixed=arguments.mixed)
    for complaint in study.complaints:
        say(f"left out: {complaint}")
    output = writable(arguments.output)
    tables = {name: table for name in arguments.table if (table := write_table(name, study, output, arguments.draws)) is not None}
    for name in arguments.figure:
        write_figure(name, tables, study, output)


def parse(words: list[str]) -> Arguments:
    """Folders come first or anywhere; options are key=value. Raises `UserError` for an unknown one."""
    options = dict(word.split("=", 1) for word in words if "=" in word and not Path(word).exists())
    roots = [Path(word) for word in words if "=" not in word or Path(word).exists()]
    if unknown := sorted(set(options) - set(OPTIONS)):
        raise UserError(f"{unknown[0]}= is no option: allowed are {', '.join(f'{name}=' for name in OPTIONS)}")
    if not roots:
        raise UserError("no results folder is given: python -m experiments.tables results/quickstart")
    draws = options.get("draws")
    if draws is not None and not (draws.isdigit() and int(draws) >= 100):
        raise UserError(f"draws={draws}: give a whole number of at least 100, or leave it out for 10000")
    if options.get("mixed", "false") not in ("true", "false"):
        raise UserError(f"mixed={options['mixed']}: give true or false")
    return Arguments(
        roots=roots,
        output=Path(options.get("output", roots[0] / "tables" if roots[0].is_dir() else roots[0].parent / "tables")),
        table=chosen("table", options.get("table")),
        figure=chosen("figure", options.get("figure")),
        mixed=options.get("mixed") == "true",
        draws=int(draws) if draws else None,
    )


def chosen(group: str, names: str | None) -> list[str]:
    allowed = sorted(path.stem for path in (CONF / group).glob("*.yaml"))
    wanted = allowed if names is None else [name for name in names.strip("[]").split(",") if name]
    for name in wanted:
        if name not in allowed:
            raise UserError(f"{group}={name} is no option of conf/{group}: allowed are {', '.join(allowed)}")
    return wanted


def load(group: str, name: str, *keys: str) -> tuple[Callable[..., Any], dict[str, Any]]:
    """The function that `conf/<group>/<name>.yaml` describes, and what the YAML says on how to show its result."""
    config: Any = OmegaConf.load(CONF / group / f"{name}.yaml")
    apart = {key: OmegaConf.to_container(OmegaConf.create({"_": config.pop(key)}))["_"] for key in keys if key in config}
    return build(config, f"{group}/{name}"), apart


def write_table(name: str, study: Study, output: Path, draws: int | None) -> pd.DataFrame | None:
    from fmtbench.analysis.showing import latex, markdown, shown

    make, show = load("table", name, "caption", "columns", "percent")
    try:
        table = make(study.rows, **given(make, study, draws))
    except UserError as error:
        say(f"table {name} is not made: {error}")
        return None
    table.assign(**study.origin).to_csv(output / f"{name}.csv", index=False)
    text = shown(table, show["columns"], show.get("percent", ()))
    origin = f"From {study.origin['runs']}, made by {study.origin['commit']}."
    (output / f"{name}.md").write_text(markdown(text, show["caption"], origin), encoding="utf-8")
    (output / f"{name}.tex").write_text(latex(text, name, show["caption"], origin), encoding="utf-8")
    print(f"{output / name}.csv .md .tex: {len(table)} lines")
    return table


def given(make: Callable[..., Any], study: Study, draws: int | None) -> dict[str, Any]:
    """What a table's function asks for by name, beside the rows."""
    offered: dict[str, Any] = {"axes": study.axes, "presets": study.presets, "planned": study.planned}
    offered |= {} if draws is None else {"draws": draws}
    return {name: value for name, value in offered.items() if name in inspect.signature(make).parameters}


def write_figure(name: str, tables: dict[str, pd.DataFrame], study: Study, output: Path) -> None:
    from fmtbench.analysis.figures import save

    draw, show = load("figure", name, "table")
    if show["table"] not in tables:
        say(f"figure {name} is not drawn: it shows the table {show['table']}, which was not made")
        return
    try:
        figure = draw(tables[show["table"]])
    except UserError as error:
        say(f"figure {name} is not drawn: {error}")
        return
    save(figure, output / name, study.origin)
    print(f"{output / name}.pdf .png")


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    start_plain(main, __doc__)
