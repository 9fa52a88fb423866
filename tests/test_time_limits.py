"""Nothing waits for ever: every process that the sources start has a limit of time. Read from the sources by `ast`."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.conftest import ROOT

FOLDERS = ("fmtbench", "experiments", "docs", "examples", "notebooks")
AT_ONCE = ("run", "call", "check_call", "check_output", "getoutput", "getstatusoutput")
"""What starts a process and waits for its end."""
LATER = ("wait", "communicate")
"""What waits for a process that was started before."""
ELSEWHERE = ("system", "popen", "spawnv", "spawnl", "spawnvp", "spawnlp", "create_subprocess_exec", "create_subprocess_shell")
"""Ways to start one that take no limit."""


def unlimited(source: str) -> list[str]:
    """Calls that could wait for ever, as `line: function`."""
    tree = ast.parse(source)
    starts = any(isinstance(node, ast.Import | ast.ImportFrom) and "subprocess" in ast.unparse(node) for node in ast.walk(tree))
    return [f"{node.lineno}: {name}" for node in ast.walk(tree) if isinstance(node, ast.Call) and (name := _waits(node, starts))]


def _waits(call: ast.Call, starts: bool) -> str:
    name = ast.unparse(call.func)
    owner, _, method = name.rpartition(".")
    if owner in ("os", "asyncio") and method in ELSEWHERE:
        return name
    waits = (owner == "subprocess" and method in AT_ONCE) or (starts and owner and method in LATER)
    limit = next((word.value for word in call.keywords if word.arg == "timeout"), None)
    return name if waits and (limit is None or (isinstance(limit, ast.Constant) and limit.value is None)) else ""


@pytest.mark.parametrize("path", sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")), ids=str)
def test_every_process_has_a_limit(path: Path) -> None:
    assert unlimited(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "line",
    [
        "import subprocess; subprocess.run(['x'])",
        "import subprocess; subprocess.check_output(['x'], text=True)",
        "import subprocess; subprocess.run(['x'], timeout=None)",
        "import subprocess; p = subprocess.Popen(['x']); p.wait()",
        "import subprocess; self._process.communicate(b'')",
        "import os; os.system('x')",
    ],
)
def test_a_planted_one_is_found(line: str) -> None:
    assert len(unlimited(line)) == 1


@pytest.mark.parametrize("line", ["import subprocess; subprocess.run(['x'], timeout=3)", "import subprocess; p.wait(timeout=3)"])
def test_one_with_a_limit_is_not(line: str) -> None:
    assert unlimited(line) == []
