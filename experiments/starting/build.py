"""Builds the library's objects from a composed config. `_target_` is the only registry.

The classes are defined in fmtbench, or in a package that the user's own command line lists (`plugins=[mypackage]`). A results
folder's config may name only tasks, conditions, prompts and answer kinds, and lists no plugins.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from importlib import import_module
from importlib.util import find_spec
from inspect import signature
from typing import Any, TypeVar

from hydra.errors import InstantiationException
from hydra.utils import get_class, instantiate
from omegaconf import DictConfig, OmegaConf
from pydantic import ValidationError

from fmtbench.backbone import Backbone
from fmtbench.backends.base import Backend
from fmtbench.errors import UserError
from fmtbench.presets import built, nearest, target

from .conf import option_file, shown

T = TypeVar("T")
_plugins: ContextVar[tuple[str, ...]] = ContextVar("plugins", default=())
GROUPS = ("task", "condition", "prompt", "embedder", "embed_task", "train_data", "table", "figure")
"""The groups from which several options can be chosen."""
SCORED = ("fmtbench.tasks", "fmtbench.conditions", "fmtbench.answers")
"""The packages that a results folder's config may name."""
BACKBONES = ("fmtbench.backbone.Backbone",)
ENGINES = ("fmtbench.backends.hf.HF", "fmtbench.backends.vllm.backend.VLLM", "fmtbench.backends.scripted.Scripted")
"""The engines it may also name when replies are generated again: those that compute only on this machine."""


@contextmanager
def plugins(packages: Sequence[str]) -> Iterator[None]:
    """Also build objects of these packages, and import them, so that their formats are known.

    Raises `UserError` for a package that cannot be found or imported.
    """
    if packages and os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())  # the installed command does not look there
    for package in packages:
        if not all(map(str.isidentifier, package.split("."))) or find_spec(package.partition(".")[0]) is None:
            raise UserError(f"plugins={package}: there is no such package: install it, or start where its folder lies")
        try:
            import_module(package)
        except ImportError as error:
            raise UserError(f"plugins={package} cannot be imported: {error}") from error
    token = _plugins.set(tuple(packages))
    try:
        yield
    finally:
        _plugins.reset(token)


def check_options(config: DictConfig) -> None:
    """Raises `UserError` for an option without a `_target_`, such as `+task.mine.size=3` makes, whether it is built or not."""
    for group in GROUPS:
        for name, node in (config.get(group) or {}).items():
            _check_settings(node, str(name), config[group])
            _check_described(node, str(name))


def _check_settings(node: Any, name: str, group: DictConfig) -> None:
    if not OmegaConf.is_dict(node):
        raise UserError(f"{_place(group, name)}: {name} has no settings: write its _target_ and fields below it")


def _check_described(node: Any, name: str) -> None:
    if not OmegaConf.is_dict(node) or "_target_" not in node:
        raise UserError(f"{_place(node, name)}: no _target_ is given: it names the class to build")


def check_fields(config: DictConfig, name: str) -> None:
    """Raises `UserError` for a setting that the class lacks, without building it: its library may be missing here."""
    _check_described(config, name)
    _check_targets(OmegaConf.to_container(config, resolve=True), name, ("fmtbench", *_plugins.get()))
    known = list(signature(get_class(config._target_)).parameters)
    if unknown := [str(key) for key in config if key not in {*known, "_target_"}]:
        raise UserError(
            f"{name}.{unknown[0]}: no such setting: {nearest(unknown[0], known)}allowed are {', '.join(known) or 'none'}"
        )


def build(config: DictConfig, name: str, *, packages: Sequence[str] = ("fmtbench",)) -> Any:
    """The object that a config node describes. Raises `UserError` naming the wrong key."""
    _check_described(config, name)
    _check_targets(OmegaConf.to_container(config, resolve=True), name, (*packages, *_plugins.get()))
    try:
        return instantiate(config, _convert_="all")
    except InstantiationException as error:
        cause = error.__cause__
        if isinstance(cause, ValidationError):
            raise UserError("; ".join(_complaint(name, problem) for problem in cause.errors())) from error
        raise UserError(f"{name}: {cause or error}") from error


def build_group(config: DictConfig, *, packages: Sequence[str] = ("fmtbench",)) -> dict[str, Any]:
    """The objects of a group from which several are chosen, by name."""
    for name, node in config.items():
        _check_settings(node, str(name), config)
    return {str(name): build(node, str(name), packages=packages) for name, node in config.items()}


def build_stored(config: Any, group: str, kind: type[T]) -> tuple[str, T]:
    """The one option of a group that a cell's own config names, and the object it describes, which must be a `kind`.

    The config is treated as plain data, whoever wrote it: no `${...}` is filled in from this machine, and only classes are
    called. Raises `UserError`.
    """
    node = config.get(group) if isinstance(config, dict) else None
    if not isinstance(node, dict) or len(node) != 1:
        raise UserError(f"config.yaml names no single {group}: it is not one that fmtbench wrote")
    ((name, settings),) = node.items()
    try:
        made = built(settings, (*SCORED, *_plugins.get()), classes=True)
    except ValidationError as error:
        raise UserError("; ".join(_complaint(str(name), problem) for problem in error.errors())) from error
    except (UserError, TypeError, ValueError, RecursionError) as error:
        raise UserError(f"{name}: {error}") from error
    if not isinstance(made, kind):
        raise UserError(f"{name}: config.yaml describes a {type(made).__name__} where a {kind.__name__} must be")
    return str(name), made


def build_stored_engine(config: Any) -> tuple[Backbone, Backend]:
    """The backbone and the engine of this machine that a cell's own config names.

    Plain data, as in `build_stored`, and only engines that compute here: a server address in someone else's folder could make
    this machine send its key there. Raises `UserError`.
    """
    backbone, backend = build_stored_backbone(config), _stored_node(config, "backend", ENGINES)
    return backbone, _built_stored(backend)


def build_stored_backbone(config: Any) -> Backbone:
    """The backbone of `build_stored_engine`, without the engine. Raises `UserError`."""
    node = _stored_node(config, "backbone", BACKBONES)
    if not str(node.get("package") or "none").isidentifier():  # looking for weights in a package imports it
        raise UserError(f"config.yaml names the package {node['package']!r}, which is not a package name")
    return _built_stored(node)


def _built_stored(node: dict[str, Any]) -> Any:
    try:
        return built(node, ("fmtbench",), classes=True)
    except ValidationError as error:
        raise UserError("; ".join(_complaint("config.yaml", problem) for problem in error.errors())) from error
    except (UserError, TypeError, ValueError, RecursionError) as error:
        raise UserError(f"config.yaml: {error}") from error


def _stored_node(config: Any, name: str, allowed: Sequence[str]) -> dict[str, Any]:
    """The settings of one object in a cell's config, which may have no other object inside."""
    node = config.get(name) if isinstance(config, dict) else None
    got = node.get("_target_") if isinstance(node, dict) else node
    if not isinstance(node, dict) or got not in allowed or "_target_" in str(list(node.values())):
        raise UserError(
            f"config.yaml names the {name} {got}, allowed from a results folder are {', '.join(allowed)}: "
            "give backbone= and backend= yourself, as the run had them"
        )
    return node


def _check_targets(node: Any, name: str, packages: tuple[str, ...]) -> None:
    if isinstance(node, dict):
        if "_target_" in node:
            try:
                target(str(node["_target_"]), packages)
            except UserError as error:
                raise UserError(f"{name}: {error}") from error
        for child in node.values():
            _check_targets(child, name, packages)
    elif isinstance(node, list):
        for child in node:
            _check_targets(child, name, packages)


def _place(config: Any, name: str) -> str:
    """The file of an option if its node tells the group, else its name."""
    group = str(config._get_full_key(None) if OmegaConf.is_config(config) else "").partition(".")[0]
    path = option_file(group, name) if group else None
    return shown(path) if path else name


def _complaint(name: str, problem: Any) -> str:
    where = ".".join([name, *map(str, problem["loc"])])
    got = "" if problem["type"] == "value_error" else f", got {problem['input']!r}"
    return f"{where}: {problem['msg'].removeprefix('Value error, ')}{got}"
