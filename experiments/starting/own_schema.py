"""The user's own schema: `schema.path=invoice.json`, or `schema.model=mypackage:Invoice` for a pydantic model.

Either becomes the text `schema.source`, which is stored with the results, so that scoring them again imports no model and reads
no file that may have changed.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from fmtbench.errors import UserError

MOST_BYTES = 1_000_000
TASK = "file"

logger = logging.getLogger(__name__)


def fill_schema(config: DictConfig) -> None:
    """Put the text of the user's schema where the task finds it. Raises `UserError` if it cannot describe a record."""
    given = config.get("schema")
    if given is None or (given.path is None and given.model is None):
        return
    if given.path is not None and given.model is not None:
        raise UserError(f"schema.path={given.path} and schema.model={given.model}: give one of them")
    name = f"schema.path={given.path}" if given.model is None else f"schema.model={given.model}"
    if TASK not in (config.get("task") or {}):
        raise UserError(
            f"{name}: only task=file has a schema of yours, and the tasks are {', '.join(config.task)}: add task=file"
        )
    source = _of_file(given.path) if given.model is None else _of_model(given.model)
    if "${" in source:
        raise UserError(f"{name} holds ${{, which stands for another key in a config: write that pattern without it")
    check_schema(source, name)
    given.source = source


def check_schema(source: str, name: str) -> None:
    """Raises `UserError` for a schema that cannot describe a record; the message says where it came from."""
    from fmtbench.answers.record import Record  # late, so that commands without a schema do not wait for it

    try:
        _ = Record(source=source).tree
    except UserError as error:
        raise UserError(f"{name}: {error}") from error


def _of_file(path: str) -> str:
    file = Path(path).expanduser()
    if not file.is_file():
        raise UserError(f"schema.path={path}: there is no such file; a relative path starts in the current folder")
    if (size := file.stat().st_size) > MOST_BYTES:
        raise UserError(f"schema.path={path} has {size} bytes, at most {MOST_BYTES}: it is no schema of a record")
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"schema.path={path} is not UTF-8: byte 0x{error.object[error.start]:02x} at {error.start}") from error
    try:
        return json.dumps(json.loads(text), ensure_ascii=False)
    except (ValueError, RecursionError) as error:
        raise UserError(f"schema.path={path} is no JSON ({error})") from error


def _of_model(named: str) -> str:
    from pydantic import BaseModel
    from pydantic.errors import PydanticUserError

    module, colon, name = named.partition(":")
    if not colon or not all(map(str.isidentifier, [*module.split("."), *name.split(".")])):
        raise UserError(f"schema.model={named}: give package:Model, as in schema.model=mypackage:Invoice")
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
    try:
        found: Any = import_module(module)
    except ImportError as error:
        raise UserError(f"schema.model={named} cannot be imported: {error}") from error
    for part in name.split("."):
        found = getattr(found, part, None)
    if not isinstance(found, type) or not issubclass(found, BaseModel):
        raise UserError(f"schema.model={named}: {module} has no pydantic model {name}")
    try:
        schema = found.model_json_schema()
    except (PydanticUserError, RecursionError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"schema.model={named}: pydantic makes no JSON schema of it ({reason})") from error
    if validators := sorted(set(_validators(found.__pydantic_core_schema__))):
        logger.warning("schema.model=%s: neither enforced nor scored: the validators %s", named, ", ".join(validators))
    return json.dumps(schema, ensure_ascii=False)


def _validators(core: Any) -> Iterator[str]:
    """The names of a model's validator functions, from pydantic's core schema."""
    if isinstance(core, Mapping):
        if str(core.get("type")).startswith("function-"):
            function = core["function"]
            function = function.get("function") if isinstance(function, Mapping) else function
            yield getattr(function, "__name__", str(function))
        for name, one in core.items():
            if name not in ("function", "metadata", "cls"):
                yield from _validators(one)
    elif isinstance(core, list | tuple):
        for one in core:
            yield from _validators(one)
