"""Chat templates: the model's own, a plain one for base models, or one from a file; and whether a model has one.

backbone.chat_template=plain      "User: What is 2 + 2?", an empty line, "Assistant:"
backbone.chat_template=my.jinja   in the language of transformers' chat templates
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

from fmtbench.errors import UserError

PLAIN = (
    "{{ bos_token or '' }}{% for message in messages %}{{ message.role | capitalize }}: {{ message.content }}\n\n{% endfor %}"
    "{% if add_generation_prompt %}Assistant:{% endif %}"
)
"""The roles as words. A base model may go on to write the user's next turn, so its free replies often end only at the limit."""
KEY = "tokenizer.chat_template"
SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
"""The size in bytes of GGUF's number types, by type code."""
STRING, ARRAY = 8, 9


def template_text(setting: str | None) -> str | None:
    """The template that a setting names; None for the model's own. Raises `UserError` for a file that is not a template."""
    if setting is None:
        return None
    if setting == "plain":
        return PLAIN
    try:
        text = Path(setting).expanduser().read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is no text"
        raise UserError(f"backbone.chat_template={setting}: {why}: give plain, or a file that holds a Jinja template") from error
    if not text.strip():
        raise UserError(f"backbone.chat_template={setting}: the file is empty: give plain, or a file that holds a Jinja template")
    return text


def lacking(where: str) -> UserError:
    """The message about weights without a template."""
    return UserError(
        f"{where} has no chat template, as base models have none: use the instruct version of the model, or set "
        "backbone.chat_template=plain, or =FILE for a Jinja template of your own"
    )


def check_renders(tokenizer: Any, setting: str) -> None:
    """Raises `UserError` if a given template cannot be rendered, or leaves out the messages."""
    import jinja2

    try:
        text = tokenizer.apply_chat_template(
            [{"role": "user", "content": "fmtbench"}], tokenize=False, add_generation_prompt=True
        )
    except (jinja2.TemplateError, TypeError, ValueError) as error:
        raise UserError(f"backbone.chat_template={setting} cannot be filled in: {' '.join(str(error).split())}") from error
    if "fmtbench" not in text:
        raise UserError(f"backbone.chat_template={setting} leaves out the user's message: it must show message.content")


def gguf_has_template(path: Path) -> bool:
    """Whether a GGUF carries a chat template, judged by its header; weights are not read. True if the header is unreadable."""
    return _gguf_has(str(path), path.stat().st_mtime_ns)


@lru_cache(maxsize=8)
def _gguf_has(path: str, changed: int) -> bool:
    with open(path, "rb") as file:
        try:
            return any(name == KEY for name in _names(file))
        except (struct.error, KeyError, OverflowError, MemoryError):
            return True  # loading it will say what is wrong


def _names(file: BinaryIO) -> Iterator[str]:
    """The names of GGUF's key-value pairs (versions 2 and 3, little-endian), in order."""
    magic, version, _, pairs = struct.unpack("<4sIQQ", file.read(24))
    if magic != b"GGUF" or version not in (2, 3):
        raise struct.error("no GGUF")
    for _ in range(pairs):
        name = file.read(_number(file, "<Q")).decode("utf-8", "replace")
        yield name
        _skip(file, _number(file, "<I"))


def _skip(file: BinaryIO, kind: int) -> None:
    if kind == STRING:
        file.seek(_number(file, "<Q"), 1)
    elif kind == ARRAY:
        inner, count = _number(file, "<I"), _number(file, "<Q")
        if inner in SIZES:
            file.seek(SIZES[inner] * count, 1)
            return
        for _ in range(count):
            _skip(file, inner)
    else:
        file.seek(SIZES[kind], 1)


def _number(file: BinaryIO, form: str) -> int:
    return int(struct.unpack(form, file.read(struct.calcsize(form)))[0])
