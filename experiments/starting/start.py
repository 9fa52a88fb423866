"""How every command starts: Hydra composes the config, and a user's mistake ends in one line and exit code 2."""

from __future__ import annotations

import argparse
import logging
import os
import re
import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import fields
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import NoReturn

import hydra
import yaml
from hydra._internal.utils import get_args_parser
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from platformdirs import user_state_path

from fmtbench.errors import DecoderError, FmtbenchError, UserError
from fmtbench.presets import CONF
from fmtbench.secret import INSTEAD, VALUE, is_secret, redacted

from . import limits
from .build import check_options, plugins
from .check import check_added, check_config
from .composing import hasten
from .conf import EVERY, every, own_conf, shown
from .environment import refuse_secrets
from .explain import explain, one_line
from .formatter import fill_formatter
from .nested_keys import InsteadConfig, RowConfig
from .own_prompt import fill_prompt
from .own_schema import fill_schema
from .page import in_words_of, page
from .roots import ROOTS
from .unchosen import leave_unchosen

PACKAGE = __package__.partition(".")[0]
PROGRAM = "python -m experiments." if PACKAGE == "experiments" else "fmtbench "
"""How a command is started, unless the caller says otherwise: outside a clone there is no `experiments`."""

# At import, so that a job of a sweep has it in whatever process it runs.
OmegaConf.register_new_resolver("state_folder", lambda: str(user_state_path("fmtbench")), replace=True)
limits.register()
hasten()

Main = Callable[[DictConfig], None]
_every: dict[str, list[str]] = {}
"""What `every` stands for, by group, in Hydra's store, of which there is one per process."""
VERBATIM = ("contract.mark", "transcripts")
"""Keys whose values are never in Hydra's grammar: a regular expression, a file pattern."""
OPEN = ("conditions.", "backend.extra_body", "backbone.chat_template", "backbone.thinking")
"""Mappings to which users add names, and settings that few backbones have; neither needs Hydra's plus."""
INSIDE: dict[str, tuple[str, type]] = {"rescore": ("row", RowConfig), "bench": ("instead", InsteadConfig)}
"""A command's section whose keys are given without its name: at the root Hydra would take some of them for groups."""


def start(name: str, main: Main) -> NoReturn:
    """Run a command and exit with its exit code."""
    sys.exit(call(name, main, sys.argv[1:]))


def launch(name: str, words: Sequence[str], program: str = PROGRAM) -> int:
    """Run the command of this name; returns its exit code."""
    return call(name, import_module(f"{PACKAGE}.{name}").main, words, program)


def call(name: str, main: Main, words: Sequence[str], program: str = PROGRAM) -> int:
    """Run `main` on the config composed from `conf/<name>.yaml` and `words`; returns the exit code.

    Errors are printed in one line to stderr: 2 for the user's mistakes, 1 for findings and failures.
    """
    job = _Guarded(name, main, program)
    try:
        known = _parsed(list(words))
        flags = [word for word in words if word not in known.overrides]  # first, since Hydra wants all overrides together
        with own_conf(known.config_dir):
            return _called(job, known, [*flags, *known.overrides])
    except FmtbenchError as error:
        return job.complain(error)


def _called(job: _Guarded, known: argparse.Namespace, words: list[str]) -> int:
    """The exit code of `call`, once the user's own folder is registered."""
    name = job.name
    try:
        if known.help:
            print(page(name, job.main, job.program))
            return 0
        for word in known.overrides:
            _check_word(name, word, job.program)
        _compose_and_run(name, job, [hydras(name, word) for word in words])
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    except (HydraException, OmegaConfBaseException) as error:
        return _say(explain(error, name), 2)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:  # from the YAML files of the config
        if job.began:
            raise
        return _say(explain(error, name), 2)
    except OSError as error:
        return _say(f"{error.filename or 'a file'}: {error.strerror or type(error).__name__}", 2)
    except _launcher_errors() as error:
        return _say(f"a job of the sweep ended without a result: {one_line(str(error))}", 1)
    except (RuntimeError, ValueError) as error:  # Hydra has no exception type of its own for these
        if not re.search("Unknown plugin class|Config group override|Only one of --run|--resolve flag", str(error)):
            raise
        return _say(explain(error, name), 2)
    except KeyboardInterrupt:
        return job.interrupted()
    return 0


def _parsed(words: list[str]) -> argparse.Namespace:
    """Hydra's flags and overrides. Raises `UserError` where Hydra would print many lines of usage."""
    parser = get_args_parser()

    def complain(message: str) -> NoReturn:
        raise UserError(f"{message}: see --help")

    parser.error = complain
    return parser.parse_intermixed_args(words)


def _check_word(name: str, word: str, program: str) -> None:
    """Raises `UserError` for an argument that is not `key=value` or that looks like a secret."""
    key, equals, value = word.partition("=")
    if equals and value and (is_secret(key.rpartition(".")[2].lstrip("+"), value) or VALUE.search(value)):
        raise UserError(f"{key}= looks like a secret, and configs are stored beside the results: {INSTEAD}")
    if equals or word.startswith("~"):
        check_added(name, key)
        return
    keys = [field.name for field in fields(ROOTS[name])]
    if not keys:
        raise UserError(f"{word}: {name} takes no arguments")
    takes = "results" if "results" in keys else "texts" if "texts" in keys else keys[0]
    raise UserError(f"{word}: arguments are key=value: {in_words_of(f'python -m experiments.{name}', program)} {takes}={word}")


def hydras(name: str, word: str) -> str:
    """A user's argument in the form that Hydra takes."""
    return _quoted(_inside(name, word))


def _inside(name: str, word: str) -> str:
    section, keys = INSIDE.get(name, ("", type(None)))
    return f"{section}.{word}" if section and word.partition("=")[0] in {field.name for field in fields(keys)} else word


def _quoted(word: str) -> str:
    """Quote paths with characters that Hydra's grammar would interpret, such as a comma or a parenthesis."""
    key, equals, value = word.partition("=")
    if equals and re.search(r"[^\w./~:-]", value) and not re.search(r"['\[{]", value) and Path(value).exists():
        return f"{key}='{value}'"
    if (key in VERBATIM or value.startswith(("path:", "field:"))) and value not in ("null", "") and value[0] not in "'\"":
        return f"{key}='{_escaped(value)}'"
    return f"++{word}" if key.startswith(OPEN) else word


def _escaped(value: str) -> str:
    """Escape a text for Hydra's quotes, in which a backslash is special only before a quote or at the end."""
    written = re.sub(r"(\\*)'", r"\1\1\\'", value)
    return re.sub(r"(\\+)$", r"\1\1", written)


def _compose_and_run(name: str, job: _Guarded, words: list[str]) -> None:
    os.environ["HYDRA_FULL_ERROR"] = "1"  # errors come to us instead of Hydra's own report
    warnings.filterwarnings("ignore", message=r"\s*'hydra/launcher/\w+' is validated against ConfigStore schema")
    log_lines()
    register()
    before, sys.argv = sys.argv, [sys.argv[0], *words]
    try:
        hydra.main(version_base="1.3", config_path=str(CONF), config_name=name)(job)()
    finally:
        sys.argv = before


def register() -> None:
    """Register the typed roots, and the option `every` of the groups that have one."""
    _register_roots()
    for group in EVERY:
        _register_every(group)


@cache  # they never change, and storing them takes a tenth of a second
def _register_roots() -> None:
    store = ConfigStore.instance()
    for name, schema in ROOTS.items():
        store.store(name=f"{name}_schema", node=schema)


def _register_every(group: str) -> None:
    """Store the option only if the group's options have changed: storing takes longer than reading a config."""
    names = every(group)
    if _every.get(group) != names:
        ConfigStore.instance().store(group=group, name="every", node={"defaults": names})
        _every[group] = names


class _Guarded:
    """A command's `main` inside Hydra, which would otherwise print its own line before ours.

    A job of a sweep may run in another process: its error is printed there, and passed on to end the sweep once the other jobs
    are done.
    """

    def __init__(self, name: str, main: Main, program: str) -> None:
        self.name, self.main, self.program = name, main, program
        self.began = False
        self.__name__ = name

    def __call__(self, config: DictConfig) -> None:
        self.began = True
        log_lines()
        if HydraConfig.get().mode == RunMode.MULTIRUN:
            self._one_of_several(config)
        else:
            self._alone(config)

    def _work(self, config: DictConfig) -> None:
        check_config(config)
        leave_unchosen(config, HydraConfig.get().overrides.task)
        check_options(config)
        refuse_secrets(config)
        fill_schema(config)
        fill_prompt(config)
        fill_formatter(config)
        with plugins(config.get("plugins") or ()):
            self.main(config)

    def _alone(self, config: DictConfig) -> None:
        try:
            self._work(config)
        except (FmtbenchError, OmegaConfBaseException) as error:
            sys.exit(self.complain(error))
        except BrokenPipeError:  # the reader, such as `head`, has closed the pipe
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(0)
        except KeyboardInterrupt:
            sys.exit(self.interrupted())

    def _one_of_several(self, config: DictConfig) -> None:
        try:
            self._work(config)
        except (FmtbenchError, OmegaConfBaseException) as error:
            self.complain(error)
            raise (DecoderError if isinstance(error, DecoderError) else UserError)(self._line(error)) from None

    def complain(self, error: FmtbenchError | OmegaConfBaseException) -> int:
        """Print an error; returns the exit code, 2 for a user's mistake and 1 for any other."""
        mistake = isinstance(error, UserError | OmegaConfBaseException)
        return _say(self._line(error), 2 if mistake else 1)

    def _line(self, error: Exception) -> str:
        """The error in one line. Our own messages need no cause: it would only repeat them."""
        whole = explain(error, self.name) if isinstance(error, OmegaConfBaseException) else one_line(str(error))
        here = re.sub(r"(?<![\w/.])conf/(\w+)\b", lambda told: shown(CONF / told[1]), whole)
        return in_words_of(here, self.program)

    def interrupted(self) -> int:
        return _say("interrupted; what was generated is kept: run the same command to go on", 130)


def _launcher_errors() -> tuple[type[Exception], ...]:
    """The exceptions by which the launchers in use, if any, report that a job died."""
    names = (
        ("submitit.core.utils", "UncompletedJobError"),
        ("submitit.core.utils", "FailedJobError"),
        ("ray.exceptions", "RayError"),
    )
    return tuple(getattr(sys.modules[module], name) for module, name in names if module in sys.modules)


def log_lines() -> None:
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr, force=True)
    for chatty in ("httpx", "httpx2", "transformers", "outlines", "datasets", "filelock", "fontTools"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


def _say(message: str, code: int) -> int:
    print(f"error: {redacted(message)}", file=sys.stderr, flush=True)
    return code
