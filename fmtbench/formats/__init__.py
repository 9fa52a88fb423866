"""Formats: how a reply is asked for, written and read. One file says all there is about one format.

A new format is one file and one YAML. The file lies in this folder, where it is found by itself, or in a package of your own
that is imported (`plugins=[mypackage]`); it holds a subclass of `Format`, most likely of `StructuredFormat`, with a `name`.
The YAML is a condition's, `conf/condition/toml_prompt.yaml` with `asked: toml`: a format has no settings, so it has no group
of its own in `conf/`. `tests/added_format/` adds one in this way.
"""

from importlib import import_module
from pkgutil import iter_modules

from fmtbench.formats.base import FORMATS

__all__ = ["FORMATS"]


def discover() -> None:
    """Import every module of this folder: defining a format registers it."""
    for module in iter_modules(__path__):
        import_module(f"{__name__}.{module.name}")


discover()
