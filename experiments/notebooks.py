"""Run the notebooks on a results folder or a packed study, and write them with what they show.

    python -m experiments.notebooks paper/data output=build/notebooks
    python -m experiments.notebooks results/quickstart output=DIR

Each `notebooks/*.py` becomes a .ipynb and a .html; the first error ends it.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from experiments.starting.start import start_plain
from fmtbench.errors import FmtbenchError, UserError
from fmtbench.store.files import writable

ROOT = Path(__file__).resolve().parent.parent
SECONDS = 600


def main(words: list[str]) -> None:
    results, output = parse(words)
    os.environ["FMTBENCH_RESULTS"] = str(results.resolve())
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    for source in sorted((ROOT / "notebooks").glob("*.py")):
        started = time.monotonic()
        execute(source, writable(output))
        print(f"{output / source.stem}.ipynb .html: {time.monotonic() - started:.0f} s")


def parse(words: list[str]) -> tuple[Path, Path]:
    """The results and where to write. Raises `UserError` for what is absent or unknown."""
    options = dict(word.split("=", 1) for word in words if "=" in word)
    results = [Path(word) for word in words if "=" not in word]
    if unknown := sorted(set(options) - {"output"}):
        raise UserError(f"{unknown[0]}= is no option: allowed is output=")
    if len(results) != 1 or not results[0].is_dir():
        given = ", ".join(map(str, results)) or "nothing"
        raise UserError(f"got {given}: give one results folder, as in python -m experiments.notebooks paper/data output=DIR")
    return results[0], Path(options.get("output", "build/notebooks"))


def execute(source: Path, output: Path) -> None:
    """Raises `FmtbenchError` naming the notebook and what a cell of it raised."""
    import jupytext
    import nbconvert
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError

    notebook = jupytext.read(source)
    try:
        NotebookClient(notebook, timeout=SECONDS, resources={"metadata": {"path": str(source.parent)}}).execute()
    except CellExecutionError as error:
        raise FmtbenchError(f"{source.name}: {error.ename}: {error.evalue}") from error
    nbformat.write(notebook, output / f"{source.stem}.ipynb")
    page, _ = nbconvert.HTMLExporter(embed_images=True).from_notebook_node(notebook)
    (output / f"{source.stem}.html").write_text(page, encoding="utf-8")


if __name__ == "__main__":
    start_plain(main, __doc__)
