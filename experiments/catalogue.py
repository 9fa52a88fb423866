"""Write the README's tables of conditions, tasks and contracts anew from conf/ (a test holds them up to date).

python -m experiments.catalogue
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig

from fmtbench.errors import UserError
from fmtbench.presets import CONF

from .starting.start import start

README = CONF.parent / "README.md"
BLOCK = re.compile(r"(<!-- (\w+): written by experiments\.catalogue -->\n).*?(<!-- end -->)", re.S)


def main(config: DictConfig) -> None:
    if not README.is_file():
        raise UserError("this writes into the README of a clone, and fmtbench is installed without one here")
    README.write_text(renewed(README.read_text(encoding="utf-8")), encoding="utf-8")


def renewed(page: str) -> str:
    """The page with each of its marked tables written anew."""
    return BLOCK.sub(lambda block: f"{block[1]}{TABLES[block[2]]()}{block[3]}", page)


def described(group: str) -> Iterator[tuple[str, dict[str, Any], str, str]]:
    """Name, settings, first comment and `Source:` comment of every option of a group."""
    for path in sorted((CONF / group).glob("*.yaml"), key=_natural):
        text = path.read_text(encoding="utf-8")
        comments = [line.removeprefix("# ").strip() for line in text.splitlines() if line.startswith("# ")]
        source = next((line.removeprefix("Source: ").rstrip(".") for line in comments if line.startswith("Source: ")), "")
        said = [line for line in comments if not line.startswith("Source: ")]
        yield path.stem, yaml.safe_load(text)[path.stem], " ".join(said), source


def _natural(path: Path) -> list[str | int]:
    """Orders `_10`, `_25`, `_100` by number."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", path.stem)]


def conditions() -> str:
    """One line a condition: its levels that are no default, in the order of the YAML."""
    lines = []
    for name, settings, said, source in described("condition"):
        hidden = ("_target_", "stages")
        levels = [
            f"{key}: {value}" for key, value in settings.items() if key not in hidden and (key, value) != ("reasoning", "free")
        ]
        lines.append((f"`{name}`", ", ".join(levels).replace("True", "true").replace("False", "false"), said, source))
    return table(("condition", "levels", "what it is", "source"), lines)


def tasks() -> str:
    """One line a task: where its items come from."""
    lines = []
    for name, settings, _, _ in described("task"):
        source = settings.get("source") or {}
        data = " ".join(filter(None, (source.get("hub_id"), source.get("config"), source.get("split")))) or "generated"
        family = settings["_target_"].split(".")[-2]
        lines.append((f"`{name}`", family, data, source.get("licence") or "", source.get("citation") or ""))
    return table(("task", "family", "data", "licence", "citation"), lines)


def contracts() -> str:
    """Tokens that each contract adds to the prompt of a numeric question, by the embedded model's tokenizer."""
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
    for name, written in FORMATS.items():
        asked = [
            written.ask(Layout(stages=names, answer="answer", order="reasoning_first" if names else "answer_only"), Number())
            for names in stages.values()
        ]
        lines.append((f"`{name}`", *(str(len(tokenizer(text, add_special_tokens=False)["input_ids"])) for text in asked)))
    return table(("contract", "answer alone", "with a rationale", "in three parts"), lines)


def table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    rows = [head, ["---"] * len(head), *lines]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |\n" for row in rows)


TABLES: dict[str, Callable[[], str]] = {"conditions": conditions, "tasks": tasks, "contracts": contracts}


if __name__ == "__main__":
    start("catalogue", main)
