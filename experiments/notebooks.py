"""Run the notebooks on a results folder or a packed study, and write them with their outputs.

    python -m experiments.notebooks results=paper/data output=build/notebooks
    python -m experiments.notebooks results=results/quickstart output=DIR

Each `notebooks/*.py` becomes a .ipynb and a .html; the first error stops the command.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from fmtbench.errors import FmtbenchError, UserError
from fmtbench.store.files import writable, write_text

from .starting.start import start

FOLDER = Path(__file__).resolve().parent
NOTEBOOKS = FOLDER / "notebooks" if (FOLDER / "notebooks").is_dir() else FOLDER.parent / "notebooks"
"""Inside the package if installed from a wheel, beside it in a clone."""
SECONDS = 600
POLICY = """<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">"""


def main(config: DictConfig) -> None:
    results, output = Path(config.results), Path(config.output)
    if not results.is_dir():
        raise UserError(f"results={results} is no folder: give a results folder, such as results=results/quickstart")
    os.environ["FMTBENCH_RESULTS"] = str(results.resolve())
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(FOLDER.parent), os.environ.get("PYTHONPATH")]))
    for source in sorted(NOTEBOOKS.glob("*.py")):
        started = time.monotonic()
        execute(source, writable(output))
        print(f"{output / source.stem}.ipynb .html: {time.monotonic() - started:.0f} s")


def execute(source: Path, output: Path) -> None:
    """Run one notebook and write it. Raises `FmtbenchError` naming the notebook and what one of its cells raised."""
    import jupytext
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError

    notebook = jupytext.read(source)
    try:
        NotebookClient(notebook, timeout=SECONDS, resources={"metadata": {"path": str(source.parent)}}).execute()
    except CellExecutionError as error:
        raise FmtbenchError(f"{source.name}: {error.ename}: {error.evalue}") from error
    write_text(output / f"{source.stem}.ipynb", nbformat.writes(notebook) + "\n")
    write_text(output / f"{source.stem}.html", page(notebook))


def page(notebook: Any) -> str:
    """A notebook with its outputs as a page that runs and loads nothing, whatever model output it shows."""
    import nbconvert

    text, _ = nbconvert.HTMLExporter(embed_images=True).from_notebook_node(notebook)
    assert "<head>" in text
    return str(text).replace("<head>", f"<head>{POLICY}", 1)


if __name__ == "__main__":
    start("notebooks", main)
