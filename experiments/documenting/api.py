"""The public names, and the modules that matter to someone extending fmtbench, as Sphinx autosummary directives."""

from __future__ import annotations

import ast
from pathlib import Path

from .markdown import table

PACKAGE = Path(__file__).resolve().parent.parent.parent / "fmtbench"
EXTENDED = (
    "fmtbench.types",
    "fmtbench.errors",
    "fmtbench.backbone",
    "fmtbench.answers.base",
    "fmtbench.tasks.base",
    "fmtbench.tasks.source",
    "fmtbench.formats.base",
    "fmtbench.formats.structured",
    "fmtbench.conditions.axes",
    "fmtbench.conditions.condition",
    "fmtbench.conditions.prompt",
    "fmtbench.backends.base",
    "fmtbench.running.job",
    "fmtbench.running.pipeline",
    "fmtbench.analysis.rows.frame",
    "fmtbench.analysis.rows.study",
    "fmtbench.embed.encoder",
    "fmtbench.embed.training.stage",
)
"""Modules that have their own page."""


def api() -> str:
    """One autosummary of the modules with pages, after the public names if the package lists them."""
    exported = sorted(_exported())
    names = "Names of `fmtbench` itself:\n\n" + ", ".join(f"`{name}`" for name in exported) + ".\n\n" if exported else ""
    listed = "\n".join(f"   {module}" for module in EXTENDED)
    return f"{names}```{{eval-rst}}\n.. autosummary::\n   :toctree: api\n\n{listed}\n```\n"


def _exported() -> list[str]:
    """The package's `__all__`, read without importing it; empty if it is not a plain list or dict."""
    tree = ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8"))
    for node in tree.body:
        target = node.targets[0] if isinstance(node, ast.Assign) else node.target if isinstance(node, ast.AnnAssign) else None
        if isinstance(target, ast.Name) and target.id == "__all__" and isinstance(node, ast.Assign | ast.AnnAssign):
            return [name.value for name in ast.walk(node) if isinstance(name, ast.Constant) and isinstance(name.value, str)]
    return []


def rooms() -> str:
    """One section per package: its modules, each with the first paragraph of its docstring."""
    folders = sorted({path.parent for path in PACKAGE.rglob("*.py")})
    return "\n".join(_room(folder) for folder in folders)


def _room(folder: Path) -> str:
    name = ".".join(("fmtbench", *folder.relative_to(PACKAGE).parts))
    modules = [(f"`{path.stem}`", _first_line(path)) for path in sorted(folder.glob("*.py")) if path.stem != "__init__"]
    said = _first_line(folder / "__init__.py") if (folder / "__init__.py").exists() else ""
    return f"## {name}\n\n" + (f"{said}\n\n" if said else "") + (table(("module", "what it holds"), modules) if modules else "")


def _first_line(path: Path) -> str:
    said = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return " ".join(said.split("\n\n")[0].split())
