"""The page that `--help` prints: the command's docstring, its groups, and its keys with the comments in its YAML."""

from __future__ import annotations

import re
import sys
import textwrap
from collections.abc import Callable
from typing import Any

import yaml

from fmtbench.presets import CONF

from .conf import EVERY, options_of, shown

WIDTH = 108
FLAGS = """\
  --cfg job                show the composed config and stop
  --config-dir DIR         a folder of your own YAML files beside ours: DIR/task/mine.yaml is task=mine
  plugins=[mypackage]      _target_ in them may name your own installed package, too
  -m                       several jobs: every combination of the values that commas separate"""


def page(name: str, main: Callable[..., Any], program: str) -> str:
    """The whole page of a command."""
    parts = [in_words_of(sys.modules[main.__module__].__doc__ or "", program).strip()]
    if groups := chosen(name):
        parts.append(f"Choose by group=name, or group=[name,name] where several are allowed:\n\n{_groups(name, groups)}")
    if keys := commented(name):
        parts.append(f"Set by key=value:\n\n{_keys(keys)}")
    lines = FLAGS.splitlines()
    if not groups:
        lines = lines[:1]
    return "\n\n".join([*parts, "Further:\n\n" + "\n".join(lines)])


def in_words_of(text: str, program: str) -> str:
    """The text with commands spelt as the user started this one."""
    return text.replace("python -m experiments.", program)


def chosen(name: str) -> dict[str, Any]:
    """The config groups of a root, with their defaults."""
    listed = yaml.safe_load((CONF / f"{name}.yaml").read_text(encoding="utf-8"))["defaults"]
    pairs = [pair for entry in listed if isinstance(entry, dict) for pair in entry.items()]
    return {group: default for group, default in pairs if not group.startswith("override")}


def _groups(command: str, groups: dict[str, Any]) -> str:
    width = max(map(len, groups))
    return "\n".join(_group(command, name, default, width) for name, default in groups.items())


def _group(command: str, name: str, default: Any, width: int) -> str:
    names = ", ".join((["every"] if name in EVERY else []) + options_of(command, name))
    several = isinstance(default, list)
    usual = f"[{', '.join(default)}]" if several else default
    return _line(f"  {name:{width}}  ", f"{names} (default: {usual}; {shown(CONF / name)})")


def commented(name: str) -> list[tuple[str, str, str]]:
    """Key, default and comment of each commented line of a root; nested keys are prefixed with their parent's."""
    found, parent = [], ""
    for line in (CONF / f"{name}.yaml").read_text(encoding="utf-8").splitlines():
        told = re.match(r"( *)(\w+):\s*(.*?)\s*(?:#\s(.*))?$", line)
        if not told or told[2] == "defaults":
            continue
        indent, key, value, comment = told.groups()
        parent = "" if not indent else parent
        if comment:
            found.append((f"{parent}{key}", value, comment))
        if not value:
            parent = f"{key}."
    return found


def _keys(keys: list[tuple[str, str, str]]) -> str:
    said = [(f"{key}={'...' if value in ('???', '') else value}", comment) for key, value, comment in keys]
    width = min(24, max(len(key) for key, _ in said))
    return "\n".join(_line(f"  {key:{width}}  ", comment) for key, comment in said)


def _line(head: str, text: str) -> str:
    """The head and the text, wrapped with a hanging indent."""
    return textwrap.fill(text, WIDTH, initial_indent=head, subsequent_indent=" " * len(head), break_on_hyphens=False)
