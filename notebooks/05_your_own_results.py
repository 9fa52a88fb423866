# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 5. Your own results
#
# Everything in the other notebooks works on any results folder: start Jupyter with
#
# ```
# FMTBENCH_RESULTS=results/quickstart jupyter lab notebooks
# ```
#
# or change the path below. This notebook shows what you can build on: rows are a plain data frame, one line for each reply.

# %%
# %matplotlib inline
import os
from pathlib import Path
from tempfile import TemporaryDirectory

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from IPython.display import Markdown

import fmtbench
from fmtbench.analysis.rows.frame import load_rows
from fmtbench.analysis.statistics.accuracy import accuracy
from fmtbench.analysis.tables.contrasts import contrast_table
from fmtbench.store.folder import RunFolder

results = Path(os.environ.get("FMTBENCH_RESULTS", "../paper/data"))
rows = load_rows(results)
columns = ["condition", "item_id", "sample", "text", "answer", "gold", "status", "correct", "latent_correct"]
rows[columns].head(3)

# %% [markdown]
# `correct` is the strict verdict (contract kept, answer right), `latent_correct` that of a lenient reader that is the same
# for all conditions, `status` how the reply ended. `load_rows` takes several folders and does not join runs that were made
# differently: with other items, other sampling or another decoder.
#
# ## A comparison by hand
#
# A contrast is no secret. Take two conditions of one model and task, pair their replies by item, prompt and
# sample, and count.

# %%
backbone, task = rows["backbone"].iloc[0], rows["task"].iloc[0]
own = rows[(rows["backbone"] == backbone) & (rows["task"] == task) & (rows["sample"] == 0)]
names = [name for name in ("free_cot", "json_schema") if name in set(own["condition"])]
reference, condition = names if len(names) == 2 else own["condition"].unique()[:2]
wide = own.pivot_table(index=["item_id", "prompt"], columns="condition", values="correct", aggfunc="mean")
pairs = wide[[reference, condition]].dropna().astype(bool)
pd.crosstab(pairs[reference], pairs[condition])

# %% [markdown]
# Off the diagonal are the pairs that changed sides. The difference in accuracy is their balance; the library's table adds
# the interval, the exact test, and the smallest difference that such a study would find (`mde`).

# %%
by_hand = pairs[condition].mean() - pairs[reference].mean()
contrasts = contrast_table(own, reference=reference)
(line,) = contrasts[contrasts["condition"] == condition].itertuples()
Markdown(
    f"**{condition} − {reference}**, {backbone}, {task}: {100 * by_hand:+.1f} points by hand, {100 * line.difference:+.1f} "
    f"[{100 * line.low:+.1f}, {100 * line.high:+.1f}] by the table; p = {line.p_mcnemar:.3f}; with {line.n} items, differences "
    f"below {100 * line.mde:.1f} points are mostly missed."
)

# %% [markdown]
# ## A question of your own
#
# Do longer rationales go with right answers? The figure splits the replies of each condition into three groups of equal size
# by the length of the rationale. This is only a correlation: hard items lead to long rationales.

# %%
cell = rows[(rows["backbone"] == backbone) & (rows["task"] == task)]
figure, panel = plt.subplots(figsize=(7, 3), layout="constrained")
for name in (reference, condition):
    replies = cell[cell["condition"] == name]
    third = pd.qcut(replies["reasoning_words"].rank(method="first"), 3, labels=False)
    words = replies.groupby(third)["reasoning_words"].mean()
    share, low, high = zip(*(accuracy(group.to_numpy(dtype=float)) for _, group in replies.groupby(third)["correct"]))
    ends = np.abs([low, high] - np.array(share))
    panel.errorbar(words, share, yerr=ends, fmt="o-", capsize=2, label=name)
panel.set(xlabel="words of rationale, mean of a third of the replies", ylabel="share right", ylim=(-0.04, 1.04))
panel.spines[["top", "right"]].set_visible(False)
panel.legend(frameon=False)
plt.show()

# %% [markdown]
# ## How a cell was made
#
# A run folder records how it was made. (A packed study keeps the manifests; the journals stay with whoever ran it.)

# %%
folders = sorted(path.parent for path in results.rglob("manifest.json"))
manifest = RunFolder(folders[0]).manifest() if folders else {}
facts = {name: str(manifest[name]) for name in ("started", "code", "sampling", "decoder", "statuses") if name in manifest}
pd.Series(facts, name="value").to_frame() if facts else Markdown("*These results are packed: see `cells.parquet`.*")

# %% [markdown]
# ## Rows of your own
#
# A study can also be run from here. Its pieces are plain objects: a job has cells, tasks, conditions, prompts, one backbone
# and one backend. This one asks ten additions under two conditions. Its backend is scripted, so that it needs no model and
# its replies are made up; with `fmtbench.HF()` a real model answers, and the rows are the same kind of rows.

# %%
names = ("free_cot", "json_schema")
with TemporaryDirectory() as folder:
    job = fmtbench.Job(
        cells=[
            fmtbench.Cell(experiment="mine", backbone="smollm2_135m", task="addition", condition=name, prompt="plain", seed=0)
            for name in names
        ],
        tasks={"addition": fmtbench.task("addition", size=10)},
        conditions={name: fmtbench.condition(name) for name in names},
        prompts={"plain": fmtbench.prompt("plain")},
        backbone=fmtbench.model("smollm2_135m"),
        backend=fmtbench.Scripted(),
        sampling=fmtbench.Sampling(temperature=0, top_p=1, max_tokens=96, samples=1),
        results=Path(folder),
    )
    made = pd.DataFrame(fmtbench.run(job))
made[columns].groupby("condition").head(2)

# %% [markdown]
# From here: `python -m experiments.tables results=RESULTS` writes every table and figure, `format=html` a page to look through
# all replies, and a table of your own is one function and one YAML in `conf/table`.
