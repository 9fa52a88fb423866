"""Every file is written as a whole, or by a library under a guard that says what is wrong with the disk in one line."""

from __future__ import annotations

import ast
import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from fmtbench.errors import StorageError
from fmtbench.saving import saving
from tests.conftest import ROOT

OURS = {"write_text", "write_bytes"}
THEIRS = {"save_pretrained", "save_model", "save_file", "write_table", "savefig", "to_parquet", "to_csv", "dump"}
ALLOWED = {
    "fmtbench/store/files.py",
    "fmtbench/store/journal.py",
    "fmtbench/store/rows.py",  # a writer that is open to the part of `replacing`
    "fmtbench/embed/vectors.py",  # likewise
    "fmtbench/decoding/worker.py",  # a file of the parent's choice, which the parent checks and renames
    "experiments/benchmarks/commands.py",
    "experiments/benchmarks/recovery/contenders.py",
    "experiments/benchmarks/recovery/trials.py",
    "experiments/benchmarks/scan.py",
    "experiments/benchmarks/shapes.py",  # temporary folders of a benchmark
}


def bare_writes(source: str) -> Iterator[str]:
    """Writes that are neither to the part of `replacing` nor inside `with saving`."""
    yield from _below(ast.parse(source), guarded=False)


def _below(node: ast.AST, *, guarded: bool) -> Iterator[str]:
    if isinstance(node, ast.With):
        guarded = guarded or any("saving(" in ast.unparse(item.context_expr) for item in node.items)
    if isinstance(node, ast.Call) and not guarded and _writes(node):
        yield ast.unparse(node)[:80]
    for child in ast.iter_child_nodes(node):
        yield from _below(child, guarded=guarded)


def _writes(node: ast.Call) -> bool:
    name = node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id if isinstance(node.func, ast.Name) else ""
    words = [ast.unparse(word) for word in node.args]
    if name == "open":
        mode = next((word for word in words[1:2]), "'r'")
        return any(letter in mode.strip("'") for letter in "wax+") and words[0] != "part"
    if isinstance(node.func, ast.Attribute) and name in OURS:
        return True
    text = ast.unparse(node.func).startswith(("json", "yaml", "self.dump", "JSON.dump"))  # into a text
    return name in THEIRS and bool(words) and "part" not in words and not text


def test_nothing_is_written_past_the_guards() -> None:
    files = [path for room in ("fmtbench", "experiments") for path in (ROOT / room).rglob("*.py")]
    found = {str(path.relative_to(ROOT)): list(bare_writes(path.read_text(encoding="utf-8"))) for path in files}
    ours = {"experiments/tables.py", "experiments/embed.py", "experiments/train.py"}  # `write_table` is a function of theirs
    assert {name for name, calls in found.items() if calls} - ALLOWED - ours == set()
    assert all(call.startswith("write_table(") for name in ours for call in found[name])


@pytest.mark.parametrize(
    "line", ["path.write_text(x)", "open(path, 'w')", "open(path, 'ab')", "model.save_pretrained(path)", "table.to_csv(path)"]
)
def test_a_planted_write_is_found(line: str) -> None:
    assert list(bare_writes(line))
    assert not list(bare_writes(f"with saving(path):\n    {line}"))


def test_what_a_library_says_of_the_disk_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"cannot write /\S+ \(No space left on device\): .* make room"), saving(tmp_path):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with pytest.raises(KeyError), saving(tmp_path):
        raise KeyError("something else")


def test_an_error_of_safetensors(tmp_path: Path) -> None:
    """The library itself, which raises no OSError, on a place that cannot be written."""
    numpy = pytest.importorskip("safetensors.numpy")
    import numpy as np

    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot write"), saving(tmp_path):
        numpy.save_file({"a": np.zeros(4)}, tmp_path / "file" / "below")
