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
# # 3. Lock-in: solved freely, lost in the format
#
# A drop in accuracy is a difference of two crowds: items lost minus items won. **Lock-in** looks at the items that the model
# solves freely, and asks how many of them it gets wrong in the format. **Unlock** is the reverse.
#
# But a model that samples its answers also contradicts itself. So the **floor** is measured: how often a second *free*
# sample of the same item is wrong where the first was right. Only the **excess** of lock-in over that floor speaks of the
# format.

# %%
# %matplotlib inline
import os

import matplotlib.pyplot as plt
import numpy as np
from IPython.display import Markdown

from fmtbench.analysis.lockin import lockin_table
from fmtbench.analysis.showing import shown
from fmtbench.analysis.study import load_study

study = load_study([os.environ.get("FMTBENCH_RESULTS", "../paper/data")], slim=True)
table = lockin_table(study.rows, study.axes)
Markdown(f"From **{study.origin['runs']}**.")

# %% [markdown]
# ## Lock-in against its floor
#
# A dot is the lock-in of a condition with its 95% interval, a grey diamond the floor on the same items. A dot on its diamond
# is noise. `sham`, where it was run, goes through the whole machinery of constraints with a grammar that allows everything:
# it has to lie on its floor, or something is wrong with the instrument. No dot: no item was solved freely, so nothing can be
# locked in.


# %%
def draw(panel, group):
    group = group.iloc[::-1]
    y, value = np.arange(len(group)), 100 * group["lockin"].to_numpy()
    ends = np.abs(100 * group[["lockin_low", "lockin_high"]].to_numpy().T - value)
    panel.errorbar(value, y, xerr=ends, fmt="o", markersize=5, capsize=2, color="#4477AA", label="lock-in")
    panel.plot(100 * group["floor"], y, "D", markersize=6, color="#999999", label="floor: a second free sample", zorder=0)
    panel.set_yticks(y, group["condition"])
    panel.set_xlim(-4, 104)
    panel.spines[["top", "right"]].set_visible(False)


groups = list(table.groupby(["backbone", "task"]))
heights = [0.5 + 0.24 * len(group) for _, group in groups]
figure, panels = plt.subplots(
    len(groups), figsize=(7, sum(heights) + 0.8), height_ratios=heights, squeeze=False, sharex=True, layout="constrained"
)
for panel, (name, group) in zip(panels[:, 0], groups):
    draw(panel, group)
    panel.set_title(", ".join(name), loc="left", fontsize=10)
panels[-1, 0].set_xlabel("per cent of the items solved freely")
figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False)
plt.show()

# %% [markdown]
# In figures. `locked`: share of items whose solve rate fell by more than half with 95% probability, which takes several
# samples an item to show. `retention`: what is kept of the accuracy above guessing; empty where the free answers are not
# above it.

# %%
columns = ["backbone", "task", "condition", "n", "lockin", "unlock", "floor", "excess", "locked", "retention"]
shown(table, columns, columns[4:]).style.hide(axis="index")

# %% [markdown]
# ## Item by item
#
# Is it always the same items that are lost? Each column is an item, each row a condition; the darker, the more of its
# replies are right. Items are ordered by how well they are solved freely. Light stripes on the left of the row of a format,
# where the free row is dark, are locked items.

# %%
for (backbone, task), group in study.rows.groupby(["backbone", "task"], observed=True):
    grid = group.pivot_table(index="condition", columns="item_id", values="correct", aggfunc="mean", observed=True)
    first = "free_cot" if "free_cot" in grid.index else grid.index[0]
    order = grid.loc[first].sort_values(ascending=False, kind="stable").index
    rest = [name for name in grid.index if name != first]
    figure, panel = plt.subplots(figsize=(8, 0.5 + 0.19 * len(grid)), layout="constrained")
    panel.imshow(grid.loc[[first, *rest], order], aspect="auto", cmap="Blues", vmin=0, vmax=1, interpolation="nearest")
    panel.set_yticks(range(len(grid)), [first, *rest], fontsize=8)
    panel.set_xticks([])
    panel.set_title(f"{backbone}, {task}: {grid.shape[1]} items", loc="left", fontsize=10)
    plt.show()

# %% [markdown]
# What this cannot show: *where* in a reply the answer is lost. That takes interventions with the model at hand.
