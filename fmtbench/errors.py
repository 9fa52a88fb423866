"""The error tree. Each message says what was got, what is allowed and what to do, in one line.

FmtbenchError
├── UserError          a mistake in a config, a path or a data file: exit code 2, no traceback
│   └── LockedError    another process writes to the same run folder
└── DecoderError       the constraint did not bind, or cannot be compiled by the decoder asked for
"""


class FmtbenchError(Exception):
    """Base of every error that fmtbench raises on purpose."""


class UserError(FmtbenchError, ValueError):
    """Something the user can mend: a wrong name, value, path or data row."""


class LockedError(UserError):
    """A run folder has one writer at a time, and it is not this process."""


class DecoderError(FmtbenchError):
    """The decoder cannot do what the condition demands; there is no silent fall-back."""
