"""Sphinx's settings. `make docs` builds the pages without a network; warnings are errors."""

import os
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
os.environ.setdefault("FMTBENCH_RESULTS", str(ROOT / "paper" / "data"))
os.environ.setdefault("HF_HUB_OFFLINE", "1")
# the notebooks' kernel finds the library of this checkout, whatever is installed
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))

project = "fmtbench"
author = "The fmtbench authors"
copyright = author
release = version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "sphinx_design",
]
source_suffix = {".rst": "restructuredtext", ".md": "myst-nb", ".py": "myst-nb", ".ipynb": "myst-nb"}  # stubs take the first
exclude_patterns = ["conf.py", "images/*.py"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

nb_execution_mode = "cache"
nb_execution_cache_path = str(ROOT / "build" / "notebooks-cache")
nb_execution_raise_on_error = True
nb_execution_timeout = 600
nb_custom_formats = {".py": ["jupytext.reads", {"fmt": "py:percent"}]}
nb_render_markdown_format = "gfm"

autosummary_generate = True
autodoc_default_options = {"members": True, "member-order": "bysource"}
autodoc_typehints = "none"
autodoc_preserve_defaults = True
autodoc_mock_imports = ["vllm"]

html_theme = "pydata_sphinx_theme"
html_title = "fmtbench"
html_static_path = ["static"]
html_css_files = ["fmtbench.css"]
html_show_sphinx = False
html_copy_source = False
html_theme_options = {
    "show_toc_level": 2,
    "navbar_end": ["theme-switcher"],
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "pygments_light_style": "default",
    "pygments_dark_style": "github-dark",
}
copybutton_prompt_text = "$ "

MARKED = re.compile(r"`[^`]+`|[*_|\\]")


def as_rest(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Docstrings here are plain text with code in single backticks: backticks become reST's double ones, what reST would
    take for markup is escaped, and an indented block is shown as it is."""
    written: list[str] = []
    for paragraph in re.split(r"\n\s*\n", "\n".join(lines).strip("\n")):
        if paragraph.startswith((" ", "\t")):
            written += ["::", "", *("    " + line for line in paragraph.split("\n")), ""]
        else:
            written += [*_escaped(paragraph).split("\n"), ""]
    lines[:] = written


def _escaped(paragraph: str) -> str:
    """One paragraph without markup of its own; indented lines in it (a list, a table) stay where they are, as a line block."""
    text = MARKED.sub(lambda found: f"`{found[0]}`" if found[0].startswith("`") else "\\" + found[0], paragraph)
    return (
        "\n".join("| " + line for line in text.split("\n")) if "\n " in text or re.search(r"^\S\. |^- |^\d+\. ", text) else text
    )


def setup(app: Any) -> None:
    app.connect("autodoc-process-docstring", as_rest)
