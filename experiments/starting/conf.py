"""The folders of YAML files: ours, and the user's own from `--config-dir`, which adds to them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from fmtbench.errors import UserError
from fmtbench.presets import CONF
from fmtbench.store.stored import parsed

EVERY = ("task", "condition", "prompt", "table", "figure")
"""Groups with an option `every`, which stands for all the others."""
UNFILLED = {"task": ("file",), "prompt": ("file",)}
"""Options that mean nothing until the user names a file: `every` leaves them out."""
_own: ContextVar[Path | None] = ContextVar("own", default=None)


@contextmanager
def own_conf(folder: str | None) -> Iterator[None]:
    """Add a user's own folder to ours. Raises `UserError` if it does not exist or reuses one of our names."""
    if folder is not None and not Path(folder).is_dir():
        raise UserError(f"--config-dir {folder}: there is no such folder")
    token = _own.set(None if folder is None else Path(folder))
    try:
        _check_names()
        yield
    finally:
        _own.reset(token)


def folders() -> list[Path]:
    """The folders in which options are looked up."""
    own = _own.get()
    return [CONF, own] if own else [CONF]


def options(group: str) -> list[str]:
    """The options of a group, as in `ls conf/<group>`, including the user's own."""
    return sorted(path.stem for folder in folders() for path in (folder / group).glob("*.yaml"))


def options_of(command: str, group: str) -> list[str]:
    """The options of a group that a command can take: experiments with a study are for `embed`, all others for `run`."""
    found = options(group)
    if group != "experiment":
        return found
    return [name for name in found if _is_study(name) == (command == "embed")]


def _is_study(name: str) -> bool:
    path = option_file("experiment", name)
    return path is not None and "\nstudy:" in path.read_text(encoding="utf-8")


def every(group: str) -> list[str]:
    """What the option `every` of a group stands for."""
    return [name for name in options(group) if name not in UNFILLED.get(group, ())]


def option_file(group: str, name: str) -> Path | None:
    found = [folder / group / f"{name}.yaml" for folder in folders()]
    return next((path for path in found if path.is_file()), None)


def shown(path: Path) -> str:
    """A path that the user can open from the current folder: relative if it is below it, else as it is."""
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def _check_names() -> None:
    own = _own.get()
    if own is None or own.resolve() == CONF.resolve():
        return
    for path in sorted(own.rglob("*.yaml")):
        ours = CONF / path.relative_to(own)
        if ours.is_file():
            raise UserError(f"{shown(path)} has the name of {shown(ours)}: presets cannot be replaced, so give it another name")


def first_fault() -> str | None:
    """What is wrong with the first YAML file that cannot be composed: file, position and reason."""
    files = [path for folder in reversed(folders()) for path in sorted(folder.rglob("*.yaml"))]
    return next(filter(None, map(_fault, files)), None) or _cycle(files)


def _fault(path: Path) -> str | None:
    content = path.read_bytes()
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        column = error.start - content.rfind(b"\n", 0, error.start)
        return f"{shown(path)}, line {line}, column {column}: not UTF-8: byte 0x{content[error.start]:02x}"
    try:
        node = _parsed(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        return f"{shown(path)}{place}: not YAML: {error.problem}"
    except yaml.YAMLError as error:
        return f"{shown(path)}: not YAML: {' '.join(str(error).split())}"
    if node is not None and not isinstance(node, dict):
        return f"{shown(path)}: holds a {type(node).__name__}, expected keys with values, such as `{path.stem}:` and its settings"
    return None


@lru_cache(maxsize=1024)
def _parsed(text: str) -> Any:
    """Text that the fast loader refuses goes to the slow one, which has better messages. Raises `yaml.YAMLError`."""
    try:
        return parsed(text)
    except yaml.YAMLError:
        return yaml.safe_load(text)


def _cycle(files: Sequence[Path]) -> str | None:
    """A message with the files whose defaults form a cycle, or None."""
    edges = {path: _included(path) for path in files}
    for start in files:
        trail = _way_back(start, start, edges, ())
        if trail:
            return f"{' -> '.join(map(shown, trail))}: the defaults go round in a circle"
    return None


def _way_back(at: Path, start: Path, edges: dict[Path, list[Path]], trail: tuple[Path, ...]) -> tuple[Path, ...]:
    for following in edges.get(at, []):
        if following == start:
            return (*trail, at, start)
        if following not in trail and (found := _way_back(following, start, edges, (*trail, at))):
            return found
    return ()


def _included(path: Path) -> list[Path]:
    """The files that a file's defaults list, of the same group or of the group named."""
    listed: Any = (_parsed(path.read_text(encoding="utf-8")) or {}).get("defaults") or []
    named: list[tuple[Path, str]] = []
    for entry in listed if isinstance(listed, list) else []:
        if isinstance(entry, str):
            named.append((path.parent, entry))
        elif isinstance(entry, dict):
            for group, value in entry.items():
                words = str(group).removeprefix("override ").partition("@")[0]
                root = next(folder for folder in folders() if folder in path.parents)
                place = root / words[1:] if words.startswith("/") else path.parent / words
                named += [(place, str(name)) for name in (value if isinstance(value, list) else [value])]
    return [place / f"{name.removesuffix('.yaml')}.yaml" for place, name in named if name not in ("_self_", "None")]
