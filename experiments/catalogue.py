"""Regenerate the generated parts of README.md and docs/ from conf/, experiments/ and fmtbench/.

    python -m experiments.catalogue

The parts lie between comments that name them; a test checks that they are up to date.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import yaml
from omegaconf import DictConfig

from fmtbench.errors import UserError
from fmtbench.presets import CONF
from fmtbench.store.files import write_text

from .documenting.api import api, rooms
from .documenting.columns import columns
from .documenting.commands import command_list, command_pages
from .documenting.groups import groups
from .documenting.markdown import natural, table
from .documenting.studies import studies
from .starting.start import start

PAGES = [CONF.parent / "README.md", *sorted((CONF.parent / "docs" / "reference").glob("*.md"))]
"""The pages that hold generated parts."""
OWN_LICENCE = "Apache-2.0, ours"
"""The licence shown for generated tasks, whose data and wording are this repository's own."""
BLOCK = re.compile(r"(<!-- (\w+): written by experiments\.catalogue -->\n).*?(<!-- end -->)", re.S)


def main(config: DictConfig) -> None:
    if not PAGES[0].is_file() or len(PAGES) == 1:
        raise UserError("this writes into the README and the docs of a clone, and fmtbench is installed without one here")
    for page in PAGES:
        write_text(page, renewed(page.read_text(encoding="utf-8")))


def renewed(page: str) -> str:
    """The page with each of its marked parts regenerated."""
    return BLOCK.sub(lambda block: f"{block[1]}{PARTS[block[2]]()}{block[3]}", page)


def described(group: str) -> Iterator[tuple[str, dict[str, Any], str, str]]:
    """Name, settings, comments and `Source:` comment of every option of a group."""
    for path in sorted((CONF / group).glob("*.yaml"), key=natural):
        text = path.read_text(encoding="utf-8")
        comments = [line.removeprefix("# ").strip() for line in text.splitlines() if line.startswith("# ")]
        source = next((line.removeprefix("Source: ").rstrip(".") for line in comments if line.startswith("Source: ")), "")
        said = [line for line in comments if not line.startswith("Source: ")]
        yield path.stem, yaml.safe_load(text)[path.stem], " ".join(said), source


def labels() -> dict[str, dict[str, str]]:
    """Display names, by kind and id."""
    found: dict[str, dict[str, str]] = yaml.safe_load((CONF / "names" / "default.yaml").read_text(encoding="utf-8"))
    return found


def conditions() -> str:
    """One line per condition, with the levels that differ from the default, in the order of the YAML."""
    lines, names = [], labels()
    for name, settings, said, source in described("condition"):
        hidden = ("_target_", "stages")
        levels = [
            f"{key}: {value}" for key, value in settings.items() if key not in hidden and (key, value) != ("reasoning", "free")
        ]
        shown = ", ".join(levels).replace("True", "true").replace("False", "false")
        lines.append((f"`{name}`", names["condition"][name], shown, said, source))
    return table(("condition", "in tables", "levels", "what it is", "source"), lines)


def tasks() -> str:
    """One line per task, saying where its items come from."""
    lines, names = [], labels()
    for name, settings, _, _ in described("task"):
        source = settings.get("source") or {}
        data = " ".join(filter(None, (source.get("hub_id"), source.get("config"), source.get("split")))) or (
            "yours" if "path" in settings else "generated"
        )
        family = settings["_target_"].split(".")[-2]
        licence = source.get("licence") or (OWN_LICENCE if data == "generated" else "")
        lines.append((f"`{name}`", names["task"].get(name, name), family, data, licence, source.get("citation") or ""))
    return table(("task", "in tables", "family", "data", "licence", "citation"), lines)


def formats() -> str:
    """Tokens that each format adds to the prompt of a numeric question, by SmolLM2's tokenizer."""
    from omegaconf import OmegaConf

    from fmtbench.answers import Number
    from fmtbench.backbone import load_tokenizer
    from fmtbench.formats import FORMATS
    from fmtbench.formats.base import Layout

    from .starting.build import build

    backbone = build(OmegaConf.load(CONF / "backbone" / "smollm2_135m.yaml"), "backbone")
    tokenizer = load_tokenizer(backbone.resolve())
    stages: Any = {"answer": (), "reasoning": ("reasoning",), "staged": ("phenomenon", "observation", "conclusion")}
    lines = []
    for name, one in FORMATS.items():
        asked = [
            one.ask(Layout(stages=names, answer="answer", order="reasoning_first" if names else "answer_only"), Number())
            for names in stages.values()
        ]
        lines.append((f"`{name}`", *(str(len(tokenizer(text, add_special_tokens=False)["input_ids"])) for text in asked)))
    return table(("format", "answer alone", "with a rationale", "in three parts"), lines)


PARTS: dict[str, Callable[[], str]] = {
    "conditions": conditions,
    "tasks": tasks,
    "formats": formats,
    "commands": command_list,
    "command_pages": command_pages,
    "groups": groups,
    "columns": columns,
    "api": api,
    "rooms": rooms,
    "studies": studies,
}
"""The function that writes each generated part."""


if __name__ == "__main__":
    start("catalogue", main)
