"""What a chat template takes: tools, and arguments. An argument that it does not read would silently change nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping

from fmtbench.backbone import Backbone
from fmtbench.backends.base import Calls
from fmtbench.errors import UserError
from fmtbench.formats.calls import CALLS

OURS = frozenset({"messages", "add_generation_prompt", "raise_exception", "strftime_now", "tools", "documents"})
KNOWN = ", ".join(name for name, one in CALLS.items() if one.rendered)
GENERATION = re.compile(r"\{%-?\s*(?:end)?generation\s*-?%\}")
"""A tag that transformers knows and Jinja does not; it marks what the assistant wrote."""


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


def calls_in(template: str | Mapping[str, str], backbone: Backbone) -> Calls:
    """In which syntax a chat template has its model call tools. Some models have a second template, for that alone.

    Raises `UserError` for a `backbone.calls` that is not one of them.
    """
    if backbone.calls is not None and backbone.calls not in CALLS:
        raise UserError(f"backbone.calls={backbone.calls} is no syntax of calls: give one of {KNOWN}, or null to find it")
    text = template if isinstance(template, str) else template.get("tool_use", template["default"])
    if "tools" not in read_by(text):
        return Calls(
            "",
            f"asked=tool needs a chat template that shows tools, and that of backbone {backbone.name} does not: leave out "
            "conditions such as tool_prompt, or take a backbone that calls tools, such as qwen2_5_7b",
        )
    found = (name for name, one in CALLS.items() if one.rendered and re.search(one.rendered, text))
    if syntax := backbone.calls or next(found, ""):
        return Calls(syntax)
    return Calls(
        "",
        f"the chat template of backbone {backbone.name} has its model call tools in a syntax that is not known, so no call "
        f"could be read: set backbone.calls to one of {KNOWN} if it is that, or leave out conditions such as tool_prompt",
    )


def _switch(backbone: Backbone) -> Mapping[str, object]:
    return backbone.thinking.switch if backbone.thinking else {}


def read_by(template: str) -> set[str]:
    """The names that a template expects from outside."""
    from jinja2 import Environment, meta

    parsed = Environment(extensions=["jinja2.ext.loopcontrols"]).parse(GENERATION.sub("", template))
    return meta.find_undeclared_variables(parsed)
