"""Why a cell's remedy cannot be tried in a job: draws that are all the same, words that are missing, another backbone that is not
given. Known before any weights are loaded."""

from __future__ import annotations

from fmtbench.errors import UserError
from fmtbench.running.job import Cell, Job


def why_untried(job: Job, cell: Cell) -> str:
    """Empty where there is nothing against it."""
    condition = job.conditions[cell.condition]
    if condition.remedy == "first_valid" and job.sampling.temperature == 0:
        return "remedy=first_valid at temperature 0 draws the same text each time: set sampling.temperature above 0"
    if condition.formatter == "other" and job.formatter is None:
        return "formatter=other needs another backbone for the second pass: give formatter=NAME, such as formatter=smollm2_135m"
    return ""


def check_formatter(job: Job) -> None:
    """Raises `UserError` for a formatter that nobody asks, or that the engine cannot run: its weights are looked for here."""
    if job.formatter is None:
        return
    if all(condition.formatter == "same" for condition in job.conditions.values()):
        raise UserError(
            f"formatter={job.formatter.name}: no condition has its second pass written by another backbone: add one that has, "
            "such as condition=[free_cot,nl_to_json,nl_to_json_formatter]"
        )
    job.backend.check_template(job.formatter)
    job.backend.identity(job.formatter, None)
