"""`fmtbench COMMAND ...` and `python -m fmtbench COMMAND ...`: the commands that lie beside the library.

They are found by name and not imported here: the library knows neither them nor Hydra.
"""

from __future__ import annotations

import ast
import difflib
import sys
from importlib import import_module
from pathlib import Path

BESIDE = Path(__file__).resolve().parent.parent


def commands_folder() -> Path:
    """Where the commands lie: `fmtbench_experiments` beside an installed `fmtbench`, `experiments` in a clone."""
    packed = BESIDE / "fmtbench_experiments"
    return packed if packed.is_dir() else BESIDE / "experiments"


def commands() -> dict[str, str]:
    """Each command with the first line of its docstring."""
    files = sorted(path for path in commands_folder().glob("*.py") if not path.stem.startswith("_"))
    pages = {path.stem: ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "" for path in files}
    return {name: page.partition("\n")[0] for name, page in pages.items()}


def listing(program: str) -> str:
    found = commands()
    width = max(map(len, found))
    lines = [f"  {name:{width}}  {first}" for name, first in found.items()]
    return "\n".join([f"{program}COMMAND --help shows the page of a command.", "", *lines])


def main(program: str = "fmtbench ") -> None:
    name, *words = sys.argv[1:] or ["--help"]
    if name in ("-h", "--help"):
        print(listing(program))
        return
    if name not in commands():
        close = difflib.get_close_matches(name, commands(), n=1, cutoff=0.5)
        guess = f"did you mean {close[0]}? " if close else ""
        print(f"error: {name} is no command: {guess}allowed are {', '.join(commands())}", file=sys.stderr)
        sys.exit(2)
    package = commands_folder().name
    if package == "experiments":
        sys.path.insert(0, str(BESIDE))  # ahead of a package of that name in the user's own folder
    sys.argv[1:] = words
    launcher = import_module(f"{package}.starting.start")
    sys.exit(launcher.launch(name, words, program))


if __name__ == "__main__":
    main()
