"""From a composed config to the library's objects. `_target_` is the only registry, and only fmtbench's own are built."""

from __future__ import annotations

from typing import Any

from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from pydantic import ValidationError

from fmtbench.errors import UserError


def build(config: DictConfig, name: str) -> Any:
    """The object that a config node describes. Raises `UserError` naming the key that is wrong."""
    _check_targets(OmegaConf.to_container(config, resolve=True), name)
    try:
        return instantiate(config, _convert_="all")
    except InstantiationException as error:
        cause = error.__cause__
        if isinstance(cause, ValidationError):
            raise UserError("; ".join(_complaint(name, problem) for problem in cause.errors())) from error
        raise UserError(f"{name}: {cause or error}") from error


def build_group(config: DictConfig) -> dict[str, Any]:
    """The objects of a list-valued group, by name."""
    return {str(name): build(node, str(name)) for name, node in config.items()}


def _check_targets(node: Any, name: str) -> None:
    if isinstance(node, dict):
        target = node.get("_target_", "fmtbench.")
        if not str(target).startswith("fmtbench."):
            raise UserError(f"{name}: _target_ is {target!r}, allowed are objects of fmtbench only")
    for child in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        _check_targets(child, name)


def _complaint(name: str, problem: Any) -> str:
    where = ".".join([name, *map(str, problem["loc"])])
    got = "" if problem["type"] == "value_error" else f", got {problem['input']!r}"
    return f"{where}: {problem['msg'].removeprefix('Value error, ')}{got}"
