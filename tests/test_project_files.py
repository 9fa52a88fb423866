"""What is written down about the project fits the project: the lock, the hooks, the version. No network."""

import re
import tomllib
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement

from tests.conftest import ROOT


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_the_lock_is_that_of_pyproject(project: dict[str, Any]) -> None:
    (own,) = (one for one in tomllib.loads((ROOT / "uv.lock").read_text())["package"] if one["name"] == project["name"])
    extras = project["optional-dependencies"]
    wanted = [(None, line) for line in project["dependencies"]] + [(extra, line) for extra in extras for line in extras[extra]]
    locked = {
        (re.search(r"'(\w+)'", one.get("marker", "")), one["name"], one.get("specifier", ""))
        for one in own["metadata"]["requires-dist"]
    }
    found = {(extra and extra[1], name, specifiers(specifier)) for extra, name, specifier in locked}
    made = {(extra, Requirement(line).name, specifiers(str(Requirement(line).specifier))) for extra, line in wanted}
    assert made == found, "pyproject.toml has changed: uv lock"
    assert own["version"] == project["version"]


def specifiers(text: str) -> frozenset[str]:
    return frozenset(part.strip() for part in text.split(",") if part)


def test_the_lock_names_the_public_index_only() -> None:
    hosts = set(re.findall(r"https?://[^/\"]+", (ROOT / "uv.lock").read_text()))
    assert hosts == {"https://pypi.org", "https://files.pythonhosted.org"}


def test_the_hooks_are_the_checks_of_make() -> None:
    target = (ROOT / "Makefile").read_text().partition("\ncheck: ")[2].partition("\n\n")[0]
    (hooks,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert [f"$(BIN)/{hook['entry'].removeprefix('.venv/bin/')}" for hook in hooks["hooks"]] == re.findall(
        r"^\t(.+)$", target, re.M
    )


def test_the_version_is_one(project: dict[str, Any]) -> None:
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"] == project["version"]
    assert re.search(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(), re.M)[1] == project["version"]  # type: ignore[index]
