"""What the light half of the tests needs: everything that pyproject.toml asks for, but for torch and what brings it.

python tests/light.py | pip install --requirement /dev/stdin
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

LEFT_OUT = ("accelerate", "torch", "transformers")
TOOLS = ("hypothesis", "import-linter", "psutil", "pytest", "pytest-xdist")
"""Of the extra `dev`."""


WHOLE_ONLY = (
    "test_docs_commands.py",
    "test_drift_command.py",
    "test_fault_table.py",
    "test_lint.py",
    "test_malformed_configs.py",
    "test_notebooks.py",
    "test_paper.py",
    "test_server.py",
    "test_tables_command.py",
    "test_trackers.py",
    "test_wheel.py",
    "test_workers.py",
)
"""Files that the light half leaves out: they start many processes or need what it lacks, and others run the same code."""


def package(requirement: str) -> str:
    return re.split(r"[^\w.-]", requirement, maxsplit=1)[0]


def requirements(pyproject: Path) -> list[str]:
    project = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]
    needed = [one for one in project["dependencies"] if package(one) not in LEFT_OUT]
    return needed + [one for one in project["optional-dependencies"]["dev"] if package(one) in TOOLS]


if __name__ == "__main__":
    sys.stdout.writelines(f"{one}\n" for one in requirements(Path(__file__).parents[1] / "pyproject.toml"))
