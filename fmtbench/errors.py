"""The error tree. Each message says in one line what was got, what is allowed and what to do.

FmtbenchError
├── UserError          a mistake in a config, a path or a data file: exit code 2, no traceback
│   ├── LockedError    another process writes to the same run folder
│   └── UnaskableError a condition that cannot ask for a task's answers, show or hold them: bars its cell, the others go on
├── DecoderError       the constraint did not bind, or the decoder asked for cannot do it
│   └── BarredError    a grammar that does not compile within its limits: bars its cell, the others go on
├── LossError          a schema costs more than was allowed: exit code 1
├── DifferenceError    what is kept differs from what the same input makes now
├── StorageError       the disk is full or fails: exit code 1
├── ServerError        a server that fails, or whose failures are not believed: exit code 1
└── EngineFault        the engine stopped in the middle of its work: out of memory, dead, stuck
"""

from collections.abc import Sequence

from fmtbench.secret import redacted


class FmtbenchError(Exception):
    """Base of every error that fmtbench raises on purpose."""


class UserError(FmtbenchError, ValueError):
    """Something the user can fix: a wrong name, value, path or data row."""


class LockedError(UserError):
    """A run folder has one writer at a time, and this process is not it."""


class UnaskableError(UserError):
    """A condition that has no form or grammar for the answers of a task, or too few worked examples: bars its cell."""


class DecoderError(FmtbenchError):
    """The decoder cannot do what the condition demands; there is no silent fall-back."""


class BarredError(DecoderError):
    """A grammar that the decoder cannot compile, or not within the limits of time and memory."""

    def __init__(self, message: str, *, declared: bool = True) -> None:
        super().__init__(message)
        self.declared = declared
        """False if the schema could not even be turned into a grammar."""


class LossError(FmtbenchError):
    """A schema costs more than `fail_below` allows: exit code 1."""


class DifferenceError(FmtbenchError):
    """What was kept differs from what the same data or the same weights give now: exit code 1."""


class StorageError(FmtbenchError):
    """A file cannot be written, because the disk is full or fails; what was written before is kept."""


class ServerError(FmtbenchError):
    """A server is down, busy or broken. What was generated is kept; once the server is well, the same command goes on."""


class EngineFault(FmtbenchError):
    """The engine stopped, and has to be started again; one of the requests in flight may be what stopped it."""

    def __init__(self, cause: str, in_flight: Sequence[str] = (), *, memory: bool = False) -> None:
        super().__init__(redacted(cause))  # an engine's words may hold the address and key that it was given
        self.in_flight = tuple(in_flight)
        """Keys of the requests that were inside the engine."""
        self.memory = memory
        """Whether it ran out of memory: fewer requests at once may then be enough."""
