"""Which arguments a chat template reads: one that it does not read would change nothing, and nobody would see that."""

from __future__ import annotations

import re
from collections.abc import Mapping

from fmtbench.backbone import Backbone
from fmtbench.errors import UserError

OURS = frozenset({"messages", "add_generation_prompt", "raise_exception", "strftime_now", "tools", "documents"})
GENERATION = re.compile(r"\{%-?\s*(?:end)?generation\s*-?%\}")
"""A tag that transformers knows and Jinja does not; it marks what an assistant wrote."""


def check_arguments_read(template: str | Mapping[str, str], backbone: Backbone) -> None:
    """Raises `UserError` for an argument, of the backbone or of its thinking, that its chat template does not read."""
    read = read_by(template if isinstance(template, str) else template["default"])
    for key, given in (("chat_template_kwargs", backbone.chat_template_kwargs), ("thinking.switch", _switch(backbone))):
        for name in given:
            if name not in read:
                told = ", ".join(sorted(read - OURS)) or "none"
                raise UserError(
                    f"backbone.{key} has {name}, which the chat template of backbone {backbone.name} does not read: "
                    f"what it reads besides the messages is {told}"
                )


def _switch(backbone: Backbone) -> Mapping[str, object]:
    return backbone.thinking.switch if backbone.thinking else {}


def read_by(template: str) -> set[str]:
    """The names that a template takes from outside."""
    from jinja2 import Environment, meta

    parsed = Environment(extensions=["jinja2.ext.loopcontrols"]).parse(GENERATION.sub("", template))
    return meta.find_undeclared_variables(parsed)
