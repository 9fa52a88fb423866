"""Run a small study from Python: two conditions on one task, without a model.

Take `fmtbench.HF()` for the backend, and a real model answers.
"""

from pathlib import Path

import fmtbench

names = ("free_cot", "json_schema")
job = fmtbench.Job(
    cells=[
        fmtbench.Cell(experiment="first", backbone="smollm2_135m", task="addition", condition=name, prompt="plain", seed=0)
        for name in names
    ],
    tasks={"addition": fmtbench.task("addition", size=20)},
    conditions={name: fmtbench.condition(name) for name in names},
    prompts={"plain": fmtbench.prompt("plain")},
    backbone=fmtbench.model("smollm2_135m"),
    backend=fmtbench.Scripted(),
    sampling=fmtbench.Sampling(temperature=0, top_p=1, max_tokens=96, samples=1),
    results=Path("results"),
)
for row in fmtbench.run(job)[:3]:
    print(row.condition, row.status, row.answer, row.gold, row.correct)
