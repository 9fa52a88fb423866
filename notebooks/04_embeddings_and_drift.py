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
# # 4. Drift: does a format move the reasoning?
#
# A format may leave the accuracy alone and still change what the model reasons, or the reverse. **Drift** measures it: the
# rationales of an item, free and in the format, are stripped of their syntax and embedded; drift is the distance between
# them on a scale with two anchors. **0** is the distance of two free samples of one item: asking again. **1** is the
# distance to the free rationale of another item: something else altogether.
#
# An embedding that sees the format and not the content would make this worthless, so an encoder first has to pass a
# **gate**: two free samples of one item must find each other nine times in ten. Where they do not, its drift is not shown.

# %%
# %matplotlib inline
import os
from pathlib import Path

import pandas as pd
from IPython.display import Markdown, display

from fmtbench.analysis.showing.drift_figure import drift_figure
from fmtbench.analysis.showing.text import shown
from fmtbench.errors import UserError

results = Path(os.environ.get("FMTBENCH_RESULTS", "../paper/data"))
places = [results / "drift.csv", results.parent / "drift.csv"]
found = next((place for place in places if place.is_file()), None)
table = pd.read_csv(found) if found else pd.DataFrame()
nothing = """**There is no `drift.csv` beside these results**, so this notebook ends here. Making one takes an embedder;
`minilm` has passed the gate on a study of ours, and whether it passes on yours is the first thing that the table says:

    python -m experiments.embed study=drift results=RESULTS embedder=minilm output=RESULTS
"""
Markdown(f"From **{found.name}**, {len(table)} lines." if found else nothing)

# %%
gate = """## Who passes the gate

`gate`: how often the nearest free rationale is the same item's, mean over the conditions, whose items differ; `passed`: for
how many of them that is often enough. A low gate is common: two free samples of a small model at a high temperature may
share little but the question."""
if len(table):
    cell = ["backbone", "task", "prompt", "embedder"]
    gates = table.groupby(cell, as_index=False).agg(
        gate=("gate", "mean"), passed=("passed", "sum"), conditions=("passed", "size")
    )
    whole = gates[gates["passed"] == gates["conditions"]]
    fit = [f"{line.embedder} for {line.task} ({line.backbone}, prompt {line.prompt})" for line in whole.itertuples()]
    advice = f"To be used here: {'; '.join(fit)}." if fit else "No embedder passes under every condition of a task: use none."
    display(Markdown(gate), shown(gates, [*cell, "gate", "passed", "conditions"], ["gate"]).style.hide(axis="index"))
    display(Markdown(advice))

# %%
drift = """## Drift

Dots with their 95% intervals (bootstrap over items), between asking again and another item. Where the gate failed
there is none."""
if len(table):
    display(Markdown(drift))
    try:
        display(drift_figure(table))
    except UserError as error:
        display(Markdown(f"Not drawn: {error}."))

# %%
cost = """## Does it cost?

`link`: Spearman's correlation over items between an item's drift and its loss. Above zero, the items whose reasoning moves
most are the ones that are lost. If the interval spans zero, these data cannot tell."""
passed = table[table["passed"]] if len(table) else table
if len(passed):
    display(Markdown(cost))
    columns = ["task", "prompt", "condition", "items", "drift", "link", "share_item", "share_format"]
    for (backbone, embedder), group in passed.groupby(["backbone", "embedder"]):
        display(Markdown(f"**{backbone}**, {embedder}"), shown(group, columns).style.hide(axis="index"))
