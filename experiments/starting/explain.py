"""Hydra's and OmegaConf's errors in one line: what was given, what is allowed, what to do."""

from __future__ import annotations

import re
from dataclasses import fields

from hydra.errors import HydraException, OverrideParseException
from omegaconf.errors import OmegaConfBaseException

from fmtbench.presets import CONF, nearest

from .conf import first_fault, options, shown
from .nested_keys import SamplingConfig
from .page import chosen, commented
from .roots import ROOTS


def explain(error: Exception, name: str) -> str:
    """One line for the user. `name` is the command whose keys and groups the line may name."""
    if not isinstance(error, HydraException | OmegaConfBaseException) and (fault := first_fault()):
        return fault
    text = " ".join(str(part) for part in (error, error.__cause__) if part is not None)
    if isinstance(error, OverrideParseException):
        reason = one_line(str(error)).partition("; See http")[0]
        return f"{error.override}: {reason}: quote what has a meaning in Hydra's grammar, as in 'name=\"a=b\"'"
    if launcher := re.search(r"hydra_plugins\.hydra_(submitit|ray)_launcher", text):
        extra = {"submitit": "slurm", "ray": "ray"}[launcher[1]]
        return f"this launcher needs a package that is not installed: pip install 'fmtbench[{extra}]'"
    if missing := re.search(r"Missing mandatory value: ([\w.]+)", text):
        return _missing(missing[1], name)
    if missing := re.search(r"Could not (?:find|load) '([\w/]+?)/([^'/]+)'", text):
        return _no_option(*missing.groups())
    if unknown := re.search(r"Key '([^']+)' (?:is )?not in (?:'(\w+)'|struct)", text):
        return _unknown_key(unknown[1], text, name)
    if group := re.search(r"Could not override '([\w/.]+)'\.? No match in the defaults list", text):
        return _unknown_key(group[1], text, name)
    if "Config group override" in text:
        return "a group is chosen by name, and was given something else: see the groups and keys with --help"
    return first_fault() or one_line(text)


def one_line(text: str) -> str:
    return "; ".join([line.strip() for line in text.splitlines() if line.strip()][:3])


def _missing(key: str, name: str) -> str:
    comments = {key: comment for key, _, comment in commented(name)}
    group = key.partition(".")[0]
    if key in comments:
        return f"{key}= is missing: give {comments[key]}"
    return f"{key}= is missing: the {group} that is chosen needs it, see {shown(CONF / group)}"


def _no_option(group: str, option: str) -> str:
    known = options(group)
    if not known:
        return f"{group}={option}: there is no group {group}; see the groups with --help"
    return f"{group}={option} is no option of {shown(CONF / group)}: {nearest(option, known)}allowed are {', '.join(known)}"


def _unknown_key(key: str, text: str, name: str) -> str:
    full = re.search(r"full_key: (\S+)", text) or re.search(r"Could not override '([^']+)'", text)
    written = full[1] if full else key
    known = {field.name for schema in (ROOTS[name], SamplingConfig) for field in fields(schema)} | set(chosen(name))
    return f"{written} is no key of this config: {nearest(key, sorted(known - {key}))}see all keys with --cfg job"
