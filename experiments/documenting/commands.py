"""The commands: one line each, and a page with what each one's help says and the keys that it takes.

A command is a module of experiments/ that can be run; its help is its docstring, its keys are those of `conf/<command>.yaml`.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from experiments.documenting.markdown import table

EXPERIMENTS = Path(__file__).resolve().parent.parent
CONF = EXPERIMENTS.parent / "conf"
COMMENT = re.compile(r"\s#\s(.*)$")
REMARK = re.compile(r"(\S)\s{3,}(\S)")
"""What parts a command line from what is said of it, in a help page."""
HELP_BLOCK = "<!-- not run: the command's own help; the guides run these forms -->\n"
NO_KEYS = ("defaults", "hydra")


class Key(NamedTuple):
    """One key of a root: `compile.seconds`, its default as YAML, and the comment beside or above it."""

    name: str
    default: str
    comment: str


def modules() -> list[Path]:
    """The modules of experiments/ that can be run, in the order of their names."""
    paths = sorted(EXPERIMENTS.glob("[a-z]*.py"))
    return [path for path in paths if 'if __name__ == "__main__":' in path.read_text(encoding="utf-8")]


def help_of(module: Path) -> str:
    return ast.get_docstring(ast.parse(module.read_text(encoding="utf-8"))) or ""


def command_list() -> str:
    """One line a command."""
    lines = [(f"`{module.stem}`", help_of(module).splitlines()[0]) for module in modules()]
    return table(("command", "what it does"), lines)


def command_pages() -> str:
    """One section a command: its help, its keys, its groups."""
    return "\n".join(_section(module) for module in modules())


def _section(module: Path) -> str:
    root = CONF / f"{module.stem}.yaml"
    settings = _settings(root) if root.exists() else ""
    return f"## {module.stem}\n\n{as_markdown(help_of(module))}\n{settings}"


def _settings(root: Path) -> str:
    groups, keys = list(groups_of(root)), list(keys_of(root))
    parts = []
    if groups:
        head = ("group", "default", "options")
        parts.append(table(head, [(f"`{group}`", f"`{default}`", str(count)) for group, default, count in groups]))
    if keys:
        parts.append(table(("key", "default", "meaning"), [(f"`{key.name}`", f"`{key.default}`", key.comment) for key in keys]))
    return "\n".join(parts)


def as_markdown(page: str) -> str:
    """A help page as Markdown: command lines become a code block, prose stays prose."""
    text = ""
    for block in re.split(r"\n\s*\n", page.strip()):
        lines = block.splitlines()
        if all(line.startswith(("  ", "python -m", "fmtbench ")) for line in lines):
            code = "\n".join(REMARK.sub(r"\1    # \2", line.strip()) for line in lines)
            text += f"{HELP_BLOCK}```shell\n{code}\n```\n\n"
        else:
            text += " ".join(line.strip() for line in lines) + "\n\n"
    return text


def keys_of(root: Path) -> Iterator[Key]:
    """The keys that a root defines itself, nested ones with dots; what Hydra and the defaults add is left out."""
    text = root.read_text(encoding="utf-8")
    said = _comments_by_key(text)
    for name, value in _flat(yaml.safe_load(text)):
        if name.split(".")[0] not in NO_KEYS:
            yield Key(name, _shown(value), said.get(name) or said.get(name.split(".")[0], ""))


def _flat(node: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in node.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _comments_by_key(text: str) -> dict[str, str]:
    """Comments by dotted key: the one on the key's own line, else the whole lines of comment above it."""
    said: dict[str, str] = {}
    above: list[str] = []
    path: list[tuple[int, str]] = []
    for line in text.splitlines():
        if line.lstrip().startswith("#"):
            above.append(line.strip().removeprefix("#").strip())
            continue
        if found := re.match(r"(\s*)([\w/]+):", line):
            indent = len(found[1])
            path = [*(part for part in path if part[0] < indent), (indent, found[2])]
            beside = COMMENT.search(line)
            said[".".join(name for _, name in path)] = beside[1].strip() if beside else " ".join(above)
        above = []
    return said


def _shown(value: Any) -> str:
    if value == "???":
        return "required"
    if value is None:
        return "null"
    return yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=1000).removesuffix("...\n").strip()


def groups_of(root: Path) -> Iterator[tuple[str, str, int]]:
    """Groups of conf/ that the root chooses from, with its choice and how many options there are."""
    for choice in yaml.safe_load(root.read_text(encoding="utf-8")).get("defaults", ()):
        if not isinstance(choice, dict):
            continue
        for group, default in choice.items():
            group = group.removeprefix("optional ").removeprefix("/")
            folder = CONF / group
            if folder.is_dir() and not group.startswith("override"):
                yield group, _shown(default), len(list(folder.glob("*.yaml")))
