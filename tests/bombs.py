"""The schema bombs of `tests/cases/schema_bombs.jsonl`, and the command that throws all of them.

python -m tests.bombs [outlines|xgrammar|guidance]
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from fmtbench.decoding.decoders import DECODERS
from fmtbench.decoding.sandbox import Limits, Sandbox
from fmtbench.errors import BarredError
from fmtbench.types import Constraint

CASES = Path(__file__).parent / "cases" / "schema_bombs.jsonl"


def expand(source: str | list[Any]) -> str:
    """A source is a text, or pieces of it: texts, and texts that are repeated with `{i}` counted up."""
    if isinstance(source, str):
        return source
    return "".join(
        piece if isinstance(piece, str) else "".join(piece["repeat"].replace("{i}", str(i)) for i in range(piece["times"]))
        for piece in source
    )


def bombs() -> dict[str, Constraint]:
    records = [json.loads(line) for line in CASES.read_text(encoding="utf-8").splitlines()]
    return {record["name"]: Constraint(kind=record["kind"], source=expand(record["source"])) for record in records}


def main(decoder: str = "outlines") -> None:
    from fmtbench.backbone import load_tokenizer
    from tests.conftest import build, composed

    tokenizer = load_tokenizer(build(composed().backbone, "backbone").resolve())
    outcomes: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        sandbox = Sandbox(DECODERS[decoder](tokenizer), Limits(), Path(folder))
        for name, constraint in bombs().items():
            started = time.monotonic()
            try:
                compiled = sandbox.compile(constraint)
                outcome, what = "compiled", f"{compiled.states} states"
            except BarredError as error:
                what = str(error).split(" is barred: ")[1]
                outcome = "too slow" if " s to" in what else "too large" if " GB to" in what else "barred"
            outcomes[outcome] += 1
            print(f"{name:32} {time.monotonic() - started:5.1f} s  {outcome:9} {what[:150]}", flush=True)
        sandbox.close()
    print(dict(outcomes))


if __name__ == "__main__":
    main(*sys.argv[1:])
