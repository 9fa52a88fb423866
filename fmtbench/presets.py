"""Presets by name, without Hydra: `condition("json_schema")` is what `conf/condition/json_schema.yaml` describes."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from fmtbench.errors import UserError

if TYPE_CHECKING:
    from fmtbench.backbone import Backbone
    from fmtbench.conditions.condition import Condition
    from fmtbench.conditions.prompt import Prompt
    from fmtbench.tasks.base import Task

_BESIDE = Path(__file__).resolve().parent.parent
_IN_WHEEL = _BESIDE / "fmtbench_experiments" / "conf"
CONF = _IN_WHEEL if _IN_WHEEL.is_dir() else _BESIDE / "conf"
"""Inside the commands' package where fmtbench is installed from a wheel, beside `fmtbench` in a clone."""


def condition(name: str, **settings: Any) -> Condition:
    """`condition("json_schema")`; settings replace those of the preset: `condition("restricted_cot_25", words=15)`."""
    made: Condition = preset("condition", name, settings)
    return made


def task(name: str, *, data_root: str | Path | None = None, seed: int = 0, **settings: Any) -> Task:
    """`task("addition", size=20)`. `data_root` is a folder of local data sets; without it they come from the hub."""
    made: Task = preset("task", name, settings, {"data_root": data_root and str(data_root), "seed": seed, "schema.source": None})
    return made


def prompt(name: str = "plain", **settings: Any) -> Prompt:
    """`prompt("plain")`; settings replace its words."""
    made: Prompt = preset("prompt", name, settings)
    return made


def model(name: str, **settings: Any) -> Backbone:
    """The backbone `model("smollm2_135m")`, or any other: `model("local", path=FOLDER_OR_GGUF, name="mine")`."""
    made: Backbone = preset("backbone", name, settings)
    return made


def preset(group: str, name: str, settings: dict[str, Any], values: dict[str, Any] | None = None) -> Any:
    """The object that one of our YAML files describes; `values` fill its `${...}`. Raises `UserError` for an unknown name."""
    import yaml

    path = CONF / group / f"{name}.yaml"
    if not path.is_file():
        known = sorted(one.stem for one in (CONF / group).glob("*.yaml"))
        raise UserError(f"{name!r} is no {group}: {nearest(name, known)}allowed are {', '.join(known)}")
    node = yaml.safe_load(path.read_text(encoding="utf-8"))
    described = node if "_target_" in node else node[name]
    return built(_filled(described | settings, values or {}))


def _filled(node: Any, values: dict[str, Any]) -> Any:
    if isinstance(node, dict):
        return {key: _filled(child, values) for key, child in node.items()}
    if isinstance(node, list):
        return [_filled(child, values) for child in node]
    named = re.fullmatch(r"\$\{([\w.]+)\}", node) if isinstance(node, str) else None
    return values[named[1]] if named else node


def built(node: Any, packages: Sequence[str] = ("fmtbench",), *, classes: bool = False) -> Any:
    """The object that plain data describes, from these packages only; with `classes`, no function is called.

    Texts in the data are neither looked up nor filled in.
    """
    if isinstance(node, list):
        return [built(child, packages, classes=classes) for child in node]
    if not isinstance(node, dict):
        return node
    make = target(str(node["_target_"]), packages) if "_target_" in node else None
    if make and classes and not isinstance(make, type):
        raise UserError(f"_target_ {node['_target_']} is a function, allowed are classes")
    fields = {key: built(child, packages, classes=classes) for key, child in node.items() if key != "_target_"}
    return make(**fields) if make else fields


def target(path: str, packages: Iterable[str]) -> Callable[..., Any]:
    """The class or function at a dotted path, if it is defined in one of these packages.

    No module outside them is imported, and none is walked through: `fmtbench.analysis.rows.frame.pd.read_pickle` is turned down.
    Raises `UserError`.
    """
    allowed = tuple(packages)
    found = _walked(path, allowed)
    home = getattr(found, "__module__", None)
    if not callable(found) or not isinstance(home, str) or not _within(home, allowed):
        raise _stranger(path, allowed)
    return found


def _walked(path: str, allowed: tuple[str, ...]) -> Any:
    parts = path.split(".")
    if not all(part.isidentifier() and not part.startswith("__") for part in parts) or not _leads_to(parts[0], allowed):
        raise _stranger(path, allowed)
    try:
        found: Any = import_module(parts[0])
        for end, part in enumerate(parts[1:], start=2):
            if not hasattr(found, part) and not _leads_to(".".join(parts[:end]), allowed):
                raise _stranger(path, allowed)
            found = getattr(found, part) if hasattr(found, part) else import_module(".".join(parts[:end]))
            if isinstance(found, ModuleType) and not _leads_to(found.__name__, allowed):
                raise _stranger(path, allowed)
    except ImportError as error:
        raise UserError(f"_target_ {path} cannot be imported: {error}") from error
    return found


def _within(name: str, packages: Iterable[str]) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def _leads_to(module: str, allowed: tuple[str, ...]) -> bool:
    """Whether a module is in an allowed package, or a parent of one."""
    return _within(module, allowed) or any(_within(package, (module,)) for package in allowed)


def _stranger(path: str, allowed: tuple[str, ...]) -> UserError:
    return UserError(f"_target_ is {path!r}, allowed are classes and functions that are defined in {', '.join(allowed)}")


def nearest(word: str, known: Iterable[str]) -> str:
    """`did you mean X? `, or nothing."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f"did you mean {close[0]}? " if close else ""
