"""Every grammar is compiled in a child process, within limits of time and memory, before an engine sees it.

Some small schemas have an automaton of immense size: `[ab]*a[ab]{40}`, or a bare string with `maxLength: 200`. What
exceeds the limits is barred (`BarredError`), with no fall-back. What compiles is kept on disk, under a hash of its
source, the tokenizer and the masking library, so that it is compiled once.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
import weakref
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass as checked_dataclass

from fmtbench.decoding.cache import Cache
from fmtbench.decoding.decoders import Decoder
from fmtbench.decoding.grammar import WHITESPACE, decoder_version
from fmtbench.errors import BarredError, DecoderError
from fmtbench.types import Constraint

WORKER = Path(__file__).with_name("worker.py")
START_SECONDS = 300.0
"""The time for the child to import its library: xgrammar brings torch along."""
END_SECONDS = 10.0
"""The time for the child to end, once it has closed its pipes or was killed."""


@checked_dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class Limits:
    """What one grammar may cost to compile."""

    seconds: float = Field(default=10, gt=0)
    """Wall time."""
    memory_gb: float = Field(default=2, gt=0)
    """Address space in GiB, beyond what the child process has before it compiles. Enforced on Linux."""


@dataclass(frozen=True, kw_only=True)
class Compiled:
    """A grammar that compiled within the limits."""

    path: Path
    """The file with the compiled form and its checksum."""
    states: int | None
    """States of the automaton; None if the library has none to count."""
    cpu_seconds: float
    """Processor time of the compilation, whenever it took place."""
    cached: bool
    """Whether it was found on disk."""


class Sandbox:
    """Compiles for one decoder and one tokenizer; its child process is reused, and ends with this object."""

    def __init__(self, decoder: Decoder, limits: Limits, folder: Path) -> None:
        self.decoder = decoder
        self._limits = limits
        self._cache = Cache(folder)
        self._child: Child | None = None
        self._known: dict[Constraint, Compiled | BarredError] = {}

    def compile(self, constraint: Constraint) -> Compiled:
        """The compiled form, made once. Raises `BarredError` naming the schema and what is wrong with it."""
        if constraint not in self._known:
            try:
                self._known[constraint] = self._find(constraint) or self._make(constraint)
            except BarredError as error:
                self._known[constraint] = error
        known = self._known[constraint]
        if isinstance(known, BarredError):
            raise known
        return known

    def payload(self, constraint: Constraint) -> bytes:
        """The bytes of the compiled form."""
        compiled = self.compile(constraint)
        found = self._cache.read(compiled.path)
        if found is None:  # deleted or damaged since
            self._known.pop(constraint)
            found = self._cache.read(self.compile(constraint).path)
            assert found is not None
        return found[1]

    def close(self) -> None:
        if self._child is not None:
            self._child.end()
            self._child = None

    def _path(self, constraint: Constraint) -> Path:
        identity = (constraint.kind, constraint.source, WHITESPACE, self.decoder.fingerprint, decoder_version(self.decoder.name))
        return self._cache.path("grammars", hashlib.sha256(json.dumps(identity).encode()).hexdigest())

    def _find(self, constraint: Constraint) -> Compiled | None:
        path = self._path(constraint)
        found = self._cache.read(path)
        return Compiled(path=path, **found[0], cached=True) if found else None

    def _make(self, constraint: Constraint) -> Compiled:
        used = self._child is not None
        reply = self._ask(constraint)
        if "memory" in reply and used:  # the child may have held the remains of earlier grammars
            self.close()
            reply = self._ask(constraint)
        if set(reply) & {"memory", "time", "crash"}:
            self.close()
        if (reason := self._reason(reply)) is not None:
            raise BarredError(f"{describe(constraint)} is barred: {reason}", declared="undeclared" not in reply)
        return Compiled(path=self._path(constraint), **reply, cached=False)

    def _ask(self, constraint: Constraint) -> dict[str, Any]:
        if self._child is None:
            self._child = Child(self.decoder, self._material(), self._limits.memory_gb)
        path = self._path(constraint)
        with tempfile.TemporaryDirectory(prefix="fmtbench-") as scratch:
            file = Path(scratch, "compiled")
            task = {"kind": constraint.kind, "source": constraint.source, "whitespace": WHITESPACE, "file": str(file)}
            reply = self._child.ask(task | {"seconds": self._limits.seconds}, self._limits.seconds)
            if "states" in reply:
                self._cache.write(path, reply, file.read_bytes())
        return reply

    def _material(self) -> Path:
        """The file with what the child needs to know of the tokenizer."""
        path = self._cache.path("tokenizers", f"{self.decoder.name}-{self.decoder.fingerprint}")
        if not path.is_file():
            self._cache.write_plain(path, self.decoder.material())
        return path

    def _reason(self, reply: dict[str, Any]) -> str | None:
        name, limits = self.decoder.name, self._limits
        if "time" in reply:
            return f"{name} needs more than {limits.seconds:g} s to compile it; simplify it, or raise compile.seconds"
        if "memory" in reply:
            return f"{name} needs more than {limits.memory_gb:g} GB to compile it; simplify it, or raise compile.memory_gb"
        if "crash" in reply:
            return f"the compiler of {name} crashed on it ({reply['crash']})"
        return reply.get("reason")


class Child:
    """The process that compiles."""

    def __init__(self, decoder: Decoder, material: Path, memory_gb: float) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115
        self._process = subprocess.Popen(
            [sys.executable, "-P", str(WORKER)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors
        )
        self._finalizer = weakref.finalize(self, _stop, self._process, self._errors)
        reply = self.ask({"decoder": decoder.name, "material": str(material), "memory_gb": memory_gb}, START_SECONDS)
        if "ready" not in reply:
            raise DecoderError(f"the compiler of {decoder.name} does not start: {reply}")

    def ask(self, task: dict[str, Any], seconds: float) -> dict[str, Any]:
        """The reply of the child, or `time`, `memory` or `crash` if there is none."""
        assert self._process.stdin
        assert self._process.stdout
        try:
            self._process.stdin.write(json.dumps(task).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            return self._epitaph()
        line = _read_line(self._process.stdout.fileno(), time.monotonic() + seconds)
        if line is None:
            return {"time": True}
        return json.loads(line) if line else self._epitaph()

    def _epitaph(self) -> dict[str, Any]:
        try:
            code = self._process.wait(timeout=END_SECONDS)
        except subprocess.TimeoutExpired:  # it closed its pipes and lives on
            self._process.kill()
            code = self._process.wait(timeout=END_SECONDS)
        self._errors.seek(0)
        last = self._errors.read().decode(errors="replace").strip()
        if "memory allocation of" in last or "MemoryError" in last or "bad_alloc" in last or code == -signal.SIGKILL:
            return {"memory": True}
        return {"crash": f"{_signal_name(code)}: {last.splitlines()[-1][:200] if last else 'no message'}"}

    def end(self) -> None:
        self._finalizer()


def _stop(process: subprocess.Popen[bytes], errors: IO[bytes]) -> None:
    process.kill()
    with contextlib.suppress(subprocess.TimeoutExpired):  # a process that the kernel does not release must not hold us up
        process.wait(timeout=END_SECONDS)
    for stream in (process.stdin, process.stdout, errors):
        with contextlib.suppress(OSError):
            if stream:
                stream.close()


def _read_line(descriptor: int, until: float) -> bytes | None:
    """One line; empty if the other end is closed, None if the time is over."""
    line = b""
    while not line.endswith(b"\n"):
        if not select.select([descriptor], [], [], max(0.0, until - time.monotonic()))[0]:
            return None
        part = os.read(descriptor, 65536)
        if not part:
            return b""
        line += part
    return line


def _signal_name(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"


def describe(constraint: Constraint) -> str:
    """Names a constraint by its hash and its beginning."""
    name = "schema" if constraint.kind == "json_schema" else "regex"
    shown = " ".join(constraint.source.split())
    short = shown if len(shown) <= 80 else f"{shown[:77]}..."
    return f"{name} {hashlib.sha256(constraint.source.encode()).hexdigest()[:8]} {short}"
