"""The commands: one line each, and a page with the help of each and the keys that it takes.

A command is a module of experiments/ that can be run; its help is its docstring, and its keys are those of `conf/<command>.yaml`.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

from fmtbench.presets import CONF

from ..starting.conf import options_of
from ..starting.page import chosen, commented
from .markdown import table

EXPERIMENTS = Path(__file__).resolve().parent.parent
REMARK = re.compile(r"(\S)\s{3,}(\S)")
"""The gap between a command line and the remark on it, in a help page."""
HELP_BLOCK = "<!-- not run: the command's own help; the guides run these forms -->\n"
SHOWN = {"???": "required", "": "see below"}
"""How the table shows values that mean something only to Hydra, or that have keys below them."""


def modules() -> list[Path]:
    """The modules of experiments/ that can be run, sorted by name."""
    paths = sorted(EXPERIMENTS.glob("[a-z]*.py"))
    return [path for path in paths if 'if __name__ == "__main__":' in path.read_text(encoding="utf-8")]


def help_of(module: Path) -> str:
    return ast.get_docstring(ast.parse(module.read_text(encoding="utf-8"))) or ""


def command_list() -> str:
    """One line per command."""
    lines = [(f"`{module.stem}`", help_of(module).splitlines()[0]) for module in modules()]
    return table(("command", "what it does"), lines)


def command_pages() -> str:
    """One section per command: its help, its groups, its keys."""
    return "\n".join(_section(module) for module in modules())


def _section(module: Path) -> str:
    settings = _settings(module.stem) if (CONF / f"{module.stem}.yaml").exists() else ""
    return f"## {module.stem}\n\n{as_markdown(help_of(module))}\n{settings}"


def _settings(name: str) -> str:
    """The groups that a command chooses from and the keys that it takes, as in its help."""
    groups = [(f"`{group}`", f"`{default}`", str(len(options_of(name, group)))) for group, default in chosen(name).items()]
    keys = [(f"`{key}`", f"`{SHOWN.get(value, value)}`", comment) for key, value, comment in commented(name)]
    parts = []
    if groups:
        parts.append(table(("group", "default", "options"), groups))
    if keys:
        parts.append(table(("key", "default", "meaning"), keys))
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
