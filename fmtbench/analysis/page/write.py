"""Writes a payload as one HTML file: scripts and styles are inlined, and the data is gzip in base64.

Text from models and data sets stays data: base64 cannot close the element around it, the script creates text nodes only, and
the page's own policy allows only this script and this style (by their hashes), and no connections at all.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import html
import json
from importlib.resources import files
from pathlib import Path
from string import Template

from fmtbench.analysis.page.payload import Payload
from fmtbench.store.files import write_text

SCRIPTS = ("data.js", "diff.js", "overview.js", "filters.js", "grid.js", "detail.js", "main.js")


def write_page(path: Path, title: str, payload: Payload) -> None:
    """Writes the page; the same payload gives the same bytes."""
    css = _read("page.css")
    js = '"use strict";\n' + "\n".join(map(_read, SCRIPTS))
    page = Template(_read("page.html")).substitute(
        title=html.escape(title), css=css, js=js, css_hash=_hash(css), js_hash=_hash(js), data=packed(payload)
    )
    write_text(path, page)


def packed(payload: Payload) -> str:
    text = json.dumps(payload, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return base64.b64encode(gzip.compress(text.encode("utf-8", "replace"), compresslevel=9, mtime=0)).decode()


def _read(name: str) -> str:
    return files("fmtbench.analysis.page").joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
