"""How every entry point starts: Hydra composes, and a user's mistake ends in one line and exit code 2."""

from __future__ import annotations

import difflib
import logging
import os
import re
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path

import hydra
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from experiments.starting.roots import ROOTS, SamplingConfig
from fmtbench.errors import DecoderError, FmtbenchError, UserError

CONF = Path(__file__).resolve().parent.parent.parent / "conf"


def start(config_name: str, job: Callable[[DictConfig], None]) -> None:
    """Run `job` on the config composed from `conf/<config_name>.yaml` and the command line."""
    os.environ["HYDRA_FULL_ERROR"] = "1"  # errors come to us instead of Hydra's own report
    warnings.filterwarnings("ignore", message=r"\s*'hydra/launcher/\w+' is validated against ConfigStore schema")
    _log_lines()
    store = ConfigStore.instance()
    for name, schema in ROOTS.items():
        store.store(name=f"{name}_schema", node=schema)
    try:
        with _one_line_errors():
            hydra.main(version_base="1.3", config_path=str(CONF), config_name=config_name)(_guarded(job))()
    except HydraException as error:
        _fail(explain(error), 2)
    except OSError as error:
        _fail(f"{error.filename or 'a file'}: {error.strerror}", 2)
    except _launcher_errors() as error:
        _fail(f"a job of the sweep ended without a result: {_one_line(str(error))}", 1)
    except RuntimeError as error:  # Hydra has no type of its own for a launcher that is not installed
        if "Unknown plugin class" not in str(error):
            raise
        _fail(explain(error), 2)
    except ValueError as error:  # nor for a group that is given a number, as in task=3
        if "Config group override" not in str(error):
            raise
        _fail("a group of conf/ is chosen by name, and was given something else: see the groups and keys with --help", 2)


def _launcher_errors() -> tuple[type[Exception], ...]:
    """How the launchers that are in use, if any, say that a job died."""
    names = (
        ("submitit.core.utils", "UncompletedJobError"),
        ("submitit.core.utils", "FailedJobError"),
        ("ray.exceptions", "RayError"),
    )
    return tuple(getattr(sys.modules[module], name) for module, name in names if module in sys.modules)


def start_plain(main: Callable[[list[str]], None], page: str | None) -> None:
    """Run a command that takes folders and needs no config; `page` is what --help prints."""
    words = sys.argv[1:]
    with _one_line_errors():
        if {"-h", "--help"} & set(words):
            print(page)
        else:
            main(words)


def _guarded(job: Callable[[DictConfig], None]) -> Callable[[DictConfig], None]:
    """Inside Hydra, which would otherwise print a line of its own before ours.

    A job of a sweep may run in another process: its error is said there, and handed on to end the sweep when the other
    jobs are done.
    """

    def guarded(config: DictConfig) -> None:
        _log_lines()
        if HydraConfig.get().mode != RunMode.MULTIRUN:
            with _one_line_errors():
                job(config)
            return
        try:
            job(config)
        except (FmtbenchError, OmegaConfBaseException) as error:
            message = explain(error) if isinstance(error, OmegaConfBaseException) else _one_line(str(error))
            print(f"error: {message}", file=sys.stderr, flush=True)
            raise (DecoderError if isinstance(error, DecoderError) else UserError)(message) from None

    return guarded


def _log_lines() -> None:
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr, force=True)
    for chatty in ("httpx", "httpx2", "transformers", "outlines", "datasets", "filelock", "fontTools"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


@contextmanager
def _one_line_errors() -> Iterator[None]:
    """What can go wrong by no fault of ours ends in one line and an exit code."""
    try:
        yield
    except FmtbenchError as error:  # our own messages are whole; their causes would only be said twice
        _fail(_one_line(str(error)), 2 if isinstance(error, UserError) else 1)
    except OmegaConfBaseException as error:
        _fail(explain(error), 2)
    except BrokenPipeError:  # somebody reads only the head of what we print
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except KeyboardInterrupt:
        _fail("interrupted; what was generated is kept: run the same command to go on", 130)


def _fail(message: str, code: int) -> None:
    print(f"error: {message}", file=sys.stderr, flush=True)
    sys.exit(code)


def explain(error: Exception) -> str:
    """Hydra's and OmegaConf's errors in one line: what was got, what is allowed, what to do."""
    text = " ".join(str(part) for part in (error, error.__cause__) if part is not None)
    if launcher := re.search(r"hydra_plugins\.hydra_(submitit|ray)_launcher", text):
        extra = {"submitit": "slurm", "ray": "ray"}[launcher[1]]
        return f"this launcher needs a package that is not installed: pip install 'fmtbench[{extra}]'"
    if missing := re.search(r"Could not (?:find|load) '([\w/]+?)/([^'/]+)'", text):
        group, option = missing.groups()
        options = sorted(path.stem for path in (CONF / group).glob("*.yaml"))
        return f"{group}={option} is no option of conf/{group}: {_nearest(option, options)}allowed are {', '.join(options)}"
    if unknown := re.search(r"Key '([^']+)' (?:is )?not in (?:'(\w+)'|struct)", text):
        return _unknown_key(unknown[1], text)
    if group := re.search(r"Could not override '([\w/.]+)'\.? No match in the defaults list", text):
        return _unknown_key(group[1], text)
    return _one_line(text)


def _one_line(text: str) -> str:
    return "; ".join([line.strip() for line in text.splitlines() if line.strip()][:3])


def _unknown_key(key: str, text: str) -> str:
    full = re.search(r"full_key: (\S+)", text) or re.search(r"Could not override '([^']+)'", text)
    shown = full[1] if full else key
    groups = {path.name for path in CONF.iterdir() if path.is_dir()}
    known = sorted({field.name for schema in (*ROOTS.values(), SamplingConfig) for field in fields(schema)} - {key} | groups)
    return f"{shown} is no key of this config: {_nearest(key, known)}see all keys with --cfg job"


def _nearest(word: str, known: list[str]) -> str:
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return f"did you mean {close[0]}? " if close else ""
