"""Malformed command lines of every command, made from its typed root: wrong types, unknown keys, options that are none.

    python -m tests.malformed_configs       counts them, command by command

A word is wrong whatever else is asked for, so each has to end in exit code 2 before any work.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import fields
from typing import Any, NamedTuple

from experiments.starting.nested_keys import CompileConfig, SamplingConfig
from experiments.starting.roots import ROOTS

WRONG: dict[str, tuple[str, ...]] = {
    "int": ("x", "1.5", "[1]", "{a: 1}", "1e400", "null"),
    "int | None": ("x", "1.5", "[1]", "{a: 1}"),
    "float": ("x", "[1]", "{a: 1}", "null"),
    "bool": ("maybe", "2.5", "[true]", "null"),
    "list[int]": ("[x]", "3", "{a: 1}"),
    "list[str]": ("x", "[[a]]", "{a: 1}"),
    "dict[str, Any]": ("3",),
    "dict[str, int]": ("3", "[1]"),
    "str": ("[a]", "{a: 1}", "null"),
    "str | None": ("[a]", "{a: 1}"),
}
"""Values that a key of this type cannot have."""
NESTED: dict[str, Any] = {"SamplingConfig": SamplingConfig, "CompileConfig": CompileConfig}
SYNTAX = ("=3", "a b", "{", "+=1", "limit=[", "limit={a", "name='x", "a=b=c(", "~nothing", "+foo=1", "foo=1", "++foo=1")
"""Of no key, or not in the grammar of command lines."""
GROUPS = {"backbone", "backend", "task", "condition", "prompt", "tracker", "embedder", "embed_backend", "embed_task", "recipe",
          "train_data", "schemas", "synthesis", "table", "figure", "reranker"}  # fmt: skip
FLAGS = ("--nothing", "--config-dir", "--config-dir=/nowhere/at/all", "--multirun=x", "--package")


class Malformed(NamedTuple):
    """A command, and the word on its line that is wrong."""

    command: str
    word: str


def malformed() -> list[Malformed]:
    """All of them, in an order of their own, so that every part of the list has a bit of each."""
    found = [Malformed(name, word) for name, root in ROOTS.items() for word in dict.fromkeys(_words(root))]
    random.Random(0).shuffle(found)
    return found


def _words(root: Any) -> Iterator[str]:
    yield from SYNTAX
    yield from FLAGS
    for key, kind in _keys(root):
        if key in GROUPS:
            yield from (f"{key}=no_such_option", f"{key}={{a: 1}}")
        else:
            yield from (f"{key}={value}" for value in WRONG.get(kind, ()))
        yield f"{key}_=1"  # a typo
        yield f"+{key}.foo.bar=1"


def _keys(root: Any, below: str = "") -> Iterator[tuple[str, str]]:
    for field in fields(root):
        if field.type in NESTED:
            yield from _keys(NESTED[str(field.type)], f"{field.name}.")
        else:
            yield f"{below}{field.name}", str(field.type)


if __name__ == "__main__":
    counts = Counter(one.command for one in malformed())
    print(counts.total(), dict(counts))
