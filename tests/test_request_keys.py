"""The keys of requests are what they were: a journal that somebody has goes on being resumed, whatever the house looks like.

Golden: `tests/golden/request_keys.csv`, one hash a cell over all keys in the order of the plan, second passes among them.
`make golden` adds the cells of a new condition and never changes a line. Where a change of the keys is meant, delete its lines
first, and say in CHANGELOG.md that old journals are generated again.
"""

import csv
import hashlib
import json
from pathlib import Path
from typing import Any

from experiments.run import make_job
from fmtbench.running.pipeline import run
from tests.conftest import ROOT, composed

GOLDEN = ROOT / "tests" / "golden" / "request_keys.csv"


def test_every_cell_asks_the_requests_that_it_always_asked(pytestconfig: Any, tmp_path: Path) -> None:
    for name in ("every_condition", "quickstart"):
        sampled = ["sampling.temperature=0.7", "+samples_of.free_cot=2", "limit=2", "prompt=[plain,expert]"]
        run(make_job(composed(f"experiment={name}", "backend=scripted", f"results={tmp_path}", *sampled)))
    found = {}
    for path in tmp_path.rglob("requests.jsonl"):
        keys = [json.loads(line)["key"] for line in path.read_text().splitlines()]
        found[str(path.parent.relative_to(tmp_path))] = (str(len(keys)), hashlib.sha256(" ".join(keys).encode()).hexdigest())
    with GOLDEN.open() as lines:
        wanted = {line["cell"]: (line["requests"], line["keys_sha256"]) for line in csv.DictReader(lines)}
    if pytestconfig.getoption("update_golden"):
        wanted = found | wanted
        lines_of = (f"{cell},{','.join(wanted[cell])}\n" for cell in sorted(wanted))
        GOLDEN.write_text("cell,requests,keys_sha256\n" + "".join(lines_of), encoding="utf-8")
    assert found == wanted
