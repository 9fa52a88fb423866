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
# # 2. What a format costs, and what that cost is made of
#
# Two conditions that differ in one thing, asked on the same items, make a **contrast**. Its difference in accuracy is what
# that one thing costs. Where a condition differs from the free answer in several things at once, the **decomposition** says
# how much each of them costs.

# %%
# %matplotlib inline
import os

from IPython.display import Markdown, display

from fmtbench.analysis.rows.study import load_study
from fmtbench.analysis.showing.figures import decomposition
from fmtbench.analysis.showing.overview_figures import forest
from fmtbench.analysis.showing.readable import readable
from fmtbench.analysis.showing.text import shown, spread
from fmtbench.analysis.tables.contrasts import contrast_table
from fmtbench.analysis.tables.decomposition import COMPONENTS, decomposition_table
from fmtbench.analysis.tables.main import accuracy_table

study = load_study([os.environ.get("FMTBENCH_RESULTS", "../paper/data")], slim=True)
Markdown(f"From **{study.origin['runs']}**.")

# %% [markdown]
# ## Accuracy
#
# In per cent of all items, with 95% intervals. *Strict*: the contract was kept and the answer is right. *Latent*: a lenient
# reader, the same for every condition, finds it. A wide gap between the two is a loss in reading, not in knowing.

# %%
accuracies = readable(accuracy_table(study.rows)).drop(columns=["failures", "tokens"])
accuracies.style.hide(axis="index").set_table_styles([{"selector": "td", "props": "white-space: nowrap"}])

# %% [markdown]
# ## Contrasts
#
# Each dot is a difference in what the lenient reader finds, condition minus reference. The **thick** bar is its 95% interval
# for the prompts that were asked (bootstrap over items); the **thin** one is for prompts like these, and adds how far the
# wording of a prompt moves a difference, learnt from all conditions. A null such as `sham` is judged by the thick one.

# %%
contrasts = contrast_table(study.rows, planned=study.planned, axes=study.axes)
forest(contrasts)

# %% [markdown]
# The planned contrasts as numbers. `general`: the interval for prompts like these. `p_adjusted`: McNemar's mid-p after Holm
# over the planned contrasts of a backbone and task. `equivalent`: the difference is shown to be within two points. A contrast
# that is neither significant nor equivalent is left open.

# %%
columns = ["backbone", "task", "condition", "reference", "n", "difference", "general", "p_adjusted", "mde", "equivalent", "mark"]
planned = contrasts[contrasts["planned"]] if contrasts["planned"].any() else contrasts
shown(planned, columns, ["difference", "general", "mde"]).style.hide(axis="index")

# %% [markdown]
# ## Decomposition
#
# The loss against the free answer, taken apart: **wording** (what else the prompt says), **asking** for a format,
# **masking** its tokens, the **order** of fields, the **length** of reasoning, **truncation**, **another mark** (right, and
# stated by a box or a field that was not asked for), and **reading** (right, but stated by no mark). Right of zero is lost,
# left is gained; the parts sum to the diamond. `residual` is what the conditions of this study cannot tell apart. In
# parentheses: the least and the largest value over the orders in which the axes can be switched, and for truncation from
# nothing to all that was cut off and wrong.

# %%
parts = decomposition_table(study.rows, study.axes)
for _, group in parts.groupby("backbone"):
    display(decomposition(group))

# %%
sums = parts[parts["component"].isin(COMPONENTS[:-1])].groupby(["backbone", "task", "condition"], observed=True)["value"].sum()
totals = parts[parts["component"] == "total"].set_index(["backbone", "task", "condition"])["value"]
gap = (sums - totals).abs().max()
Markdown(f"The largest gap between the sum of the parts and the whole is {gap:.0e}: they sum exactly, up to rounding.")

# %%
spread(parts, "component", "value", ["value"], COMPONENTS).style.hide(axis="index")
