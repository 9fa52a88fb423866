"""A command as a user starts it: in this process, which takes a fraction of a second, or in one of its own."""

from __future__ import annotations

import io
import json
import logging
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from importlib import import_module
from typing import NamedTuple

from experiments.starting.start import launch
from tests.conftest import ROOT, composed

HEAVY = re.compile(r"\| +(torch|transformers|outlines|pandas|pyarrow|sentence_transformers)$", re.M)


class Done(NamedTuple):
    """What a command left: its exit code, and what it printed."""

    code: int
    out: str
    err: str

    @property
    def error(self) -> str:
        """The one line of stderr. Fails where there are more, or none."""
        (line,) = self.err.splitlines()
        return line


def command(name: str, *arguments: object) -> Done:
    """`python -m experiments.<name> <arguments>`, in this process; nothing of it is left behind."""
    out, err = io.StringIO(), io.StringIO()
    with as_before(), redirect_stdout(out), redirect_stderr(err):
        os.environ["COLUMNS"] = "200"
        code = launch(name, [str(argument) for argument in arguments])
    return Done(code, out.getvalue(), err.getvalue())


def called(name: str, *arguments: object) -> None:
    """The `main` of a command on its config. Raises what it raises."""
    config = composed(*map(str, arguments), root=name)
    import_module(f"experiments.{name}").main(config)


def process(name: str, *arguments: object, **variables: str) -> Done:
    """The same command in a process of its own; on `err` is also what it imported (see `imported`)."""
    words = [sys.executable, "-X", "importtime", "-m", f"experiments.{name}", *map(str, arguments)]
    environment = os.environ | {"COLUMNS": "200", "HF_HUB_OFFLINE": "1"} | variables
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False, env=environment)
    return Done(done.returncode, done.stdout, done.stderr)


def imported(done: Done) -> set[str]:
    """The heavy libraries that a process imported."""
    return set(HEAVY.findall(done.err))


class Ended(NamedTuple):
    """What a command of a shared process left: its exit code, what it wrote to stderr, and the heavy libraries loaded by then."""

    code: int | str
    err: str
    imported: list[str]

    @property
    def error(self) -> str:
        (line,) = self.err.splitlines()
        return line


ONE_AFTER_THE_OTHER = """
import json, os, runpy, sys, tempfile
heavy = ("torch", "transformers", "outlines", "pandas", "pyarrow", "sentence_transformers")
for name, words in json.loads(sys.argv[1]).items():
    sys.argv = [name, *words]
    sys.modules.pop(f"experiments.{name}", None)  # others import it
    with tempfile.TemporaryFile("w+", encoding="utf-8") as err:
        kept = os.dup(2)
        os.dup2(err.fileno(), 2)
        try:
            runpy.run_module(f"experiments.{name}", run_name="__main__")
            code = 0
        except SystemExit as end:
            code = end.code
        except Exception as error:
            code = repr(error)
        sys.stderr.flush()
        os.dup2(kept, 2)
        os.close(kept)
        err.seek(0)
        print(json.dumps({name: [code, err.read(), [one for one in heavy if one in sys.modules]]}), flush=True)
"""


def in_one_process(commands: Mapping[str, Sequence[str]]) -> dict[str, Ended]:
    """`python -m experiments.<name> <words>` for each, in one process, which imports what they share once."""
    words = [sys.executable, "-c", ONE_AFTER_THE_OTHER, json.dumps(commands)]
    environment = os.environ | {"COLUMNS": "200", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"')]
    return {name: Ended(*left) for line in lines for name, left in line.items()}


def messages(done: Done) -> list[str]:
    """What a process said on stderr."""
    return [line for line in done.err.splitlines() if not line.startswith("import time:")]


@contextmanager
def within(seconds: int) -> Iterator[None]:
    """Raises `TimeoutError` where the block takes longer: a pipe that nobody writes to would keep a reader for ever."""

    def late(*_: object) -> None:
        raise TimeoutError(f"it takes more than {seconds} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def as_before() -> Iterator[None]:
    """Logging and the environment are as they were, afterwards."""
    root, variables = logging.getLogger(), dict(os.environ)
    handlers, level = root.handlers[:], root.level
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        os.environ.clear()
        os.environ.update(variables)
