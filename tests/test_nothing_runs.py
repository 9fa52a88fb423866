"""Rules of the code: nothing that runs what it reads, no shell, no code of a model's repository, and pages that load nothing."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT

ROOMS = ("fmtbench", "experiments", "notebooks", "examples")
MODULES = {"pickle", "cPickle", "marshal", "shelve", "dill", "cloudpickle", "joblib", "code", "runpy", "imp"}
BUILT_IN = {"eval", "exec", "compile", "__import__"}
CALLS = {
    "yaml.load": "a Loader that is safe",
    "yaml.unsafe_load": "yaml.safe_load",
    "yaml.full_load": "yaml.safe_load",
    "os.system": "subprocess.run with a list",
    "os.popen": "subprocess.run with a list",
    "torch.load": "weights_only=True",
    "torch.hub.load": "nothing",
    "pd.read_pickle": "parquet",
    "pandas.read_pickle": "parquet",
    "np.load": "allow_pickle=False",
}
KEYWORDS = {"shell", "allow_pickle", "trust_remote_code"}
"""May be given as False, and trust_remote_code beside a pinned revision alone."""
ALLOWED = {("fmtbench/store/stored.py", "yaml.load")}
"""With a SafeLoader, which its LOADER is."""


def found(source: str) -> Iterator[str]:
    """What a module does that it must not."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (f"import {name.name}" for name in node.names if name.name.partition(".")[0] in MODULES)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in MODULES and not node.level:
            yield f"from {node.module}"
        elif isinstance(node, ast.Call):
            yield from _of_call(node)


def _of_call(node: ast.Call) -> Iterator[str]:
    name = ast.unparse(node.func)
    named = {word.arg: ast.unparse(word.value) for word in node.keywords if word.arg}
    told = named.get("weights_only") == "True" or named.get("allow_pickle") == "False"
    if name in BUILT_IN or (name in CALLS and not told):
        yield name
    for keyword in KEYWORDS & named.keys():
        pinned = keyword == "trust_remote_code" and named.get("revision", "None") != "None"
        if named[keyword] != "False" and not pinned:
            yield keyword


def modules() -> list[Path]:
    return [path for room in ROOMS for path in (ROOT / room).rglob("*.py")]


def test_nothing_runs_what_it_reads() -> None:
    wrong = {(str(path.relative_to(ROOT)), what) for path in modules() for what in found(path.read_text(encoding="utf-8"))}
    assert wrong == ALLOWED


def test_the_loader_of_configs_is_a_safe_one() -> None:
    import yaml

    from fmtbench.store.stored import LOADER

    assert issubclass(LOADER, yaml.SafeLoader | yaml.CSafeLoader)


PLANTED = [
    "import pickle",
    "import numpy, pickle as p",
    "from cloudpickle import loads",
    "eval('1')",
    "exec(text)",
    "yaml.load(text, yaml.Loader)",
    "yaml.unsafe_load(text)",
    "torch.load(path)",
    "torch.load(path, weights_only=False)",
    "pd.read_pickle(path)",
    "np.load(path, allow_pickle=True)",
    "subprocess.run(line, shell=True)",
    "os.system(line)",
    "AutoModel.from_pretrained(name, trust_remote_code=True)",
    "AutoModel.from_pretrained(name, trust_remote_code=trusted, revision=None)",
]


@pytest.mark.parametrize("line", PLANTED)
def test_a_planted_line_is_found(line: str) -> None:
    assert list(found(f"def f():\n    {line}\n"))


@pytest.mark.parametrize(
    "line",
    [
        "model.eval()",
        "re.compile(x)",
        "torch.load(path, weights_only=True)",
        "AutoModel.from_pretrained(name, trust_remote_code=False)",
        "AutoModel.from_pretrained(name, trust_remote_code=True, revision=commit)",
        "yaml.safe_load(text)",
    ],
)
def test_what_is_harmless_is_not(line: str) -> None:
    assert not list(found(f"def f():\n    {line}\n"))


# -- pages


def test_pages_have_a_policy_and_no_address() -> None:
    """Every file that becomes a page, or writes one: no script, style, font or picture is fetched."""
    files = [path for path in (ROOT / "fmtbench" / "analysis" / "page").rglob("*") if path.suffix in (".html", ".js", ".css")]
    assert len(files) >= 3
    for path in files:
        text = path.read_text(encoding="utf-8")
        fetched = re.findall(r"""(?:https?:)?//[\w.-]+\.\w+/|@import|url\((?!["']?data:)|\b(?:src|srcset)=["'](?!data:)""", text)
        assert not fetched, (path, fetched)
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", text), path


@pytest.mark.slow
def test_a_page_of_a_notebook_runs_and_loads_nothing(tmp_path: Path) -> None:
    """In a browser: texts of models as text, as a table and as HTML that somebody shows by mistake."""
    pytest.importorskip("nbconvert")
    nbformat = pytest.importorskip("nbformat")
    from experiments.notebooks import page
    from tests.test_page import HOSTILE

    shown = {"text/plain": HOSTILE}, {"text/html": HOSTILE}, {"text/markdown": HOSTILE}
    outputs = [nbformat.v4.new_output("display_data", data=one) for one in shown]
    outputs += [nbformat.v4.new_output("stream", text=HOSTILE)]
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell("1", outputs=outputs), nbformat.v4.new_markdown_cell(HOSTILE)]
    )
    (tmp_path / "page.html").write_text(page(notebook), encoding="utf-8")
    assert opened(tmp_path / "page.html") == (None, [(tmp_path / "page.html").as_uri()])
    bare = tmp_path / "bare.html"
    bare.write_text(f"<html><head></head><body>{HOSTILE}</body></html>", encoding="utf-8")
    hit, requests = opened(bare)
    assert (hit is None, len(requests) > 1) == (False, True), "the null: without a policy it is seen"


def opened(path: Path) -> tuple[object, list[str]]:
    """What a script of the page would have set, and what the page asked for that its policy let through."""
    playwright = pytest.importorskip("playwright.sync_api")
    from tests.test_page import CHROMIUM

    if CHROMIUM is None:
        pytest.skip("no chromium is installed (apt install chromium)")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        tab, requests = browser.new_page(), list[str]()
        tab.on("request", lambda request: requests.append(request.url))
        tab.on("requestfailed", lambda request: requests.remove(request.url) if request.failure == "csp" else None)
        tab.goto(path.as_uri())
        tab.wait_for_timeout(300)
        hit = tab.evaluate("window.hit ?? null")
        browser.close()
    return hit, requests
