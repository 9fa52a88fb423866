"""A small study as a run leaves it, scripted, and the same packed."""

from pathlib import Path
from typing import NamedTuple

from experiments.run import make_job
from fmtbench.running.pipeline import run
from tests.commanding import called
from tests.conftest import composed, write_own_rows


class Studies(NamedTuple):
    run: Path
    packed: Path


def small_study(root: Path) -> Studies:
    """Two generated tasks and one of a data set, six conditions, two prompts, two free samples, one planned contrast."""
    write_own_rows(root / "private")
    overrides = (
        *("task=[last_letter,sentiment,gsm8k]", "prompt=[plain,expert]", "limit=6", "name=small", "backend=scripted"),
        "condition=[free_cot,direct,restricted_cot_25,json_prompt,json_schema,json_schema_answer_first]",
        *("sampling.temperature=0.7", "+samples_of.free_cot=2", "+planned=[{condition:json_schema,reference:json_prompt}]"),
        *(f"results={root / 'results'}", f"data_root={root / 'private'}"),
    )
    run(make_job(composed(*overrides)))
    (results,) = {path.parents[4] for path in (root / "results").rglob("manifest.json")}
    called("export", f"results={results}", "format=packed", f"output={root / 'data'}")
    return Studies(results, root / "data")
