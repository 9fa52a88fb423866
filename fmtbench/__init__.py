"""fmtbench: what does forcing a language model into a format do to what it knows, and why?

A plain library: every object takes plain arguments and works from a notebook. Only the commands (`fmtbench --help`) know Hydra.
The names below are imported when they are first used, so that `import fmtbench` is fast and loads no torch:

    backend = fmtbench.Scripted()
    kind = fmtbench.task("addition").kind(item)

Start reading at `types.py`, then `running/pipeline.py`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fmtbench.analysis.rows.frame import load_rows as load_rows
    from fmtbench.answers import AnswerKind as AnswerKind
    from fmtbench.answers import Choice as Choice
    from fmtbench.answers import Label as Label
    from fmtbench.answers import Math as Math
    from fmtbench.answers import Number as Number
    from fmtbench.answers import Set as Set
    from fmtbench.answers import Text as Text
    from fmtbench.answers import YesNo as YesNo
    from fmtbench.backbone import Backbone as Backbone
    from fmtbench.backends.hf import HF as HF
    from fmtbench.backends.scripted import Scripted as Scripted
    from fmtbench.backends.server import Server as Server
    from fmtbench.backends.vllm.backend import VLLM as VLLM
    from fmtbench.conditions.condition import Condition as Condition
    from fmtbench.conditions.prompt import Prompt as Prompt
    from fmtbench.errors import FmtbenchError as FmtbenchError
    from fmtbench.errors import UserError as UserError
    from fmtbench.presets import condition as condition
    from fmtbench.presets import model as model
    from fmtbench.presets import prompt as prompt
    from fmtbench.presets import task as task
    from fmtbench.running.job import Cell as Cell
    from fmtbench.running.job import Job as Job
    from fmtbench.running.pipeline import run as run
    from fmtbench.tasks.base import Task as Task
    from fmtbench.types import Generation as Generation
    from fmtbench.types import Item as Item
    from fmtbench.types import Request as Request
    from fmtbench.types import Sampling as Sampling
    from fmtbench.types import Shot as Shot

__version__ = "0.2.0"

_HOMES = {
    "fmtbench.analysis.rows.frame": ("load_rows",),
    "fmtbench.answers": ("AnswerKind", "Choice", "Label", "Math", "Number", "Set", "Text", "YesNo"),
    "fmtbench.backbone": ("Backbone",),
    "fmtbench.backends.hf": ("HF",),
    "fmtbench.backends.scripted": ("Scripted",),
    "fmtbench.backends.server": ("Server",),
    "fmtbench.backends.vllm.backend": ("VLLM",),
    "fmtbench.conditions.condition": ("Condition",),
    "fmtbench.conditions.prompt": ("Prompt",),
    "fmtbench.errors": ("FmtbenchError", "UserError"),
    "fmtbench.presets": ("condition", "model", "prompt", "task"),
    "fmtbench.running.job": ("Cell", "Job"),
    "fmtbench.running.pipeline": ("run",),
    "fmtbench.tasks.base": ("Task",),
    "fmtbench.types": ("Generation", "Item", "Request", "Sampling", "Shot"),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "HF",
    "VLLM",
    "AnswerKind",
    "Backbone",
    "Cell",
    "Choice",
    "Condition",
    "FmtbenchError",
    "Generation",
    "Item",
    "Job",
    "Label",
    "Math",
    "Number",
    "Prompt",
    "Request",
    "Sampling",
    "Scripted",
    "Server",
    "Set",
    "Shot",
    "Task",
    "Text",
    "UserError",
    "YesNo",
    "condition",
    "load_rows",
    "model",
    "prompt",
    "run",
    "task",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'fmtbench' has no attribute {name!r}")
    found = getattr(import_module(_HOME[name]), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
