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
# A drop in accuracy is a difference of two groups: items lost minus items gained. **Lock-in** looks at the items that the model
# solves freely, and asks how many of them it gets wrong in the format. **Unlock** is the reverse.
#
# But a model that samples its answers also contradicts itself. So the **floor** is measured: how often a *free* sample of the
# same item is wrong where another one is right. Only the **excess** of lock-in over that floor is due to the format. For the
# formats too, that other sample decides what is solved freely, since a format may share its seed with the first one.

# %%
# %matplotlib inline
import os

import matplotlib.pyplot as plt
from IPython.display import Markdown, display

from fmtbench.analysis.rows.study import load_study
from fmtbench.analysis.showing.overview_figures import lockin
from fmtbench.analysis.showing.text import shown
from fmtbench.analysis.tables.lockin import lockin_table
from fmtbench.errors import UserError

study = load_study([os.environ.get("FMTBENCH_RESULTS", "../paper/data")], slim=True)
table = lockin_table(study.rows, study.axes)
Markdown(f"From **{study.origin['runs']}**.")

# %% [markdown]
# ## Lock-in against its floor
#
# A dot is the lock-in of a condition with its 95% interval, the pale diamond of its colour the floor on the same items. A
# dot on its diamond is noise. `sham`, where it was run, goes through the whole machinery of constraints with a grammar that
# allows everything: it must lie on its floor, or something is wrong with the instrument. Where too few items are solved
# freely to tell, nothing is drawn, and the line below says so.

# %%
try:
    display(lockin(table))
except UserError as error:
    display(Markdown(f"Not drawn: {error}."))

# %% [markdown]
# As numbers. `locked`: share of items whose solve rate fell by more than half with 95% probability, which takes several
# samples of an item to show. `retention`: how much of the accuracy above guessing is kept; empty where the free answers are
# not above it.

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
