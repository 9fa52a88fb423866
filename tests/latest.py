"""Do the newest releases hold? `make latest` installs them in an environment of their own, runs what leans on them, and says.

python -m tests.latest requirements     what pyproject.toml asks for, without upper bounds, for pip
python -m tests.latest -n 2             the tests, and a table of what broke; the rest of the line is pytest's

library       bounds           installed  tests
transformers  >=5.16.1,<5.25   5.24.0     61 passed
xgrammar      >=0.2.8,<0.3     0.2.9      12 passed, 1 failed
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import tomllib
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from tests.light import WHOLE_ONLY

ROOT = Path(__file__).resolve().parents[1]
EXTRAS = ("embed", "llamacpp", "decoders", "dev")
LEFT_OUT = ("fmtbench", "torch", "hydra-submitit-launcher", "ipykernel", "jupytext", "nbclient", "nbconvert", "playwright")
"""Ourselves; torch, which the Makefile installs first; and what no test here needs."""
TESTS = {
    "transformers": ("test_backends", "test_replay", "test_thinking", "test_embed_encoder", "test_promises"),
    "outlines": ("test_grammar", "test_allowed", "test_decoders", "test_promises"),
    "llguidance": ("test_decoders",),
    "xgrammar": ("test_decoders",),
    "sentence-transformers": ("test_embed_encoder", "test_m3"),
    "mteb": ("test_embed_mteb",),
    "xllamacpp": ("test_llamacpp",),
    "vllm": ("test_vllm_setup", "test_vllm_masks"),
}
"""The files that lean on a library; what they skip is not counted."""
FILES = tuple(sorted({name for names in TESTS.values() for name in names}))
ONLY = {"llguidance": "guidance", "xgrammar": "xgrammar"}
"""A word in the names of a library's own tests, where its files hold those of others too."""
PYTEST = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--tb=line")


class Case(NamedTuple):
    """One test that ran."""

    file: str
    name: str
    failure: str
    """The first line of what went wrong; empty where nothing did."""


def lifted(line: str) -> str:
    """A requirement without its upper bounds."""
    one = Requirement(line)
    kept = SpecifierSet(",".join(str(part) for part in one.specifier if part.operator in (">=", ">", "!=")))
    extras = f"[{','.join(sorted(one.extras))}]" if one.extras else ""
    return f"{one.name}{extras}{kept}"


def asked(pyproject: Path) -> list[str]:
    """All requirement lines that this environment is made of, bounds and all."""
    project = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]
    lines = [*project["dependencies"], *(line for extra in EXTRAS for line in project["optional-dependencies"][extra])]
    return [line for line in lines if Requirement(line).name not in LEFT_OUT]


def bounds(pyproject: Path) -> dict[str, str]:
    """By library that has tests here, what pyproject.toml allows."""
    project = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]
    lines = [*project["dependencies"], *(line for extra in project["optional-dependencies"].values() for line in extra)]
    return {one.name: str(one.specifier) for one in map(Requirement, lines) if one.name in TESTS}


def installed(library: str) -> str:
    for package in (library, f"{library}-cpu"):
        try:
            return version(package)
        except PackageNotFoundError:
            continue
    return ""


def run(arguments: Sequence[str]) -> list[Case]:
    """Run pytest, and read what it found. Its own output is shown as it comes."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        subprocess.run([*PYTEST, f"--junit-xml={report}", *arguments], cwd=ROOT, check=False)
        return cases(report)


def cases(report: Path) -> list[Case]:
    """The tests of a report in JUnit's form that passed or failed; a file that cannot be collected is a failure of its own."""
    found = []
    for one in ElementTree.parse(report).iter("testcase"):
        wrong = next((part for part in one if part.tag in ("failure", "error")), None)
        if wrong is None and one.find("skipped") is not None:
            continue
        said = "" if wrong is None else (wrong.get("message") or "no reason").strip().splitlines()[0]
        name = one.get("name", "")
        found.append(Case((one.get("classname") or name).removeprefix("tests.").partition(".")[0], name, said))
    return found


def of(library: str, ran: Iterable[Case]) -> list[Case]:
    """The tests that lean on a library."""
    word = ONLY.get(library, "")
    return [one for one in ran if one.file in TESTS[library] and word in one.name]


def counted(ran: Sequence[Case]) -> str:
    counts = Counter("failed" if one.failure else "passed" for one in ran)
    return ", ".join(f"{counts[word]} {word}" for word in ("passed", "failed") if counts[word]) or "none ran"


def table(allowed: Mapping[str, str], ran: Sequence[Case], light: Sequence[Case]) -> str:
    """A line a library, then a line a test that failed."""
    lines = [("library", "bounds", "installed", "tests")]
    for library in TESTS:
        release = installed(library)
        held = counted(of(library, ran)) if release else "not installed: no release of it fits beside the others"
        beyond = " (beyond the bounds)" if release and not SpecifierSet(allowed[library]).contains(release) else ""
        lines.append((library, allowed[library] or "any", (release or "-") + beyond, held))
    lines.append(("all else", "", "", counted(light)))
    widths = [max(len(line[column]) for line in lines) for column in range(3)]
    shown = ["  ".join([*(word.ljust(width) for word, width in zip(line, widths)), line[3]]).rstrip() for line in lines]
    broke = [f"broke: {one.file}.py::{one.name}: {one.failure[:200]}" for one in dict.fromkeys((*ran, *light)) if one.failure]
    return "\n".join([*shown, *broke])


def main(options: Sequence[str]) -> int:
    here = [f"tests/{name}.py" for name in FILES]
    ran = run([*here, "-m", "not slow", *options])
    others = [f"--ignore=tests/{name}" for name in (*WHOLE_ONLY, *(f"{one}.py" for one in FILES))]
    light = run(["-m", "not model and not slow", *others, *options])
    print(table(bounds(ROOT / "pyproject.toml"), ran, light))
    return int(any(one.failure for one in (*ran, *light)))


if __name__ == "__main__":
    if sys.argv[1:] == ["requirements"]:
        sys.stdout.writelines(f"{lifted(line)}\n" for line in asked(ROOT / "pyproject.toml"))
    else:
        sys.exit(main(sys.argv[1:]))
