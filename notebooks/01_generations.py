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
# # 1. What the models said
#
# Before any number: read the replies. A study asks the same items under many **conditions** (ways of asking, allowing and
# reading) and keeps every reply. Here you see one item under all of them, side by side, for each model.
#
# Set `FMTBENCH_RESULTS` to a results folder or a packed study to read that instead of the paper's.

# %%
# %matplotlib inline
import os

from IPython.display import HTML, Markdown, display

from fmtbench.analysis.rows.study import load_study
from fmtbench.analysis.showing.figures import statuses
from fmtbench.analysis.showing.gallery import gallery, most_divided
from fmtbench.analysis.tables.failures import failure_table

study = load_study([os.environ.get("FMTBENCH_RESULTS", "../paper/data")])
rows = study.rows
Markdown(f"**{study.origin['runs']}**: {len(rows):,} replies, made by {study.origin['commit']}.")

# %% [markdown]
# ## What there is
#
# Items of each model and task, and how many conditions and prompts they were asked under.

# %%
counted = {"item_id": "items", "condition": "conditions", "prompt": "prompts", "sample": "samples"}
groups = rows.groupby(["backbone", "task"], observed=True)
groups[list(counted)].nunique().rename(columns=counted).assign(replies=groups.size())

# %% [markdown]
# ## One item, every condition
#
# For each task, the item on which the conditions disagree most: some get it right, others wrong. The edge of a card shows
# the verdict. **Right**: the answer is where the condition demands it. **Found by the lenient reader only**: the model knows
# the answer but breaks the contract. **Wrong**: neither. A word in brackets says how the reply fails its contract.

# %%
for (backbone, task), group in rows.groupby(["backbone", "task"], observed=True):
    asked = group[group["prompt"] == group["prompt"].iloc[0]]
    item = most_divided(asked)
    display(Markdown(f"### {backbone}, {task}\n\n`{item}`"), HTML(gallery(asked, item)))

# %% [markdown]
# For another item: `HTML(gallery(asked, "last_letter/..."))`; the names are in `rows.item_id`.
#
# ## How replies end
#
# A single item is an anecdote. This is how the replies of each condition end: pale is a kept contract, colours are ways to
# break it. A wrong answer that keeps the contract is pale too, since this figure is about form; green, which means right on the
# cards above, does not occur here.

# %%
for _, group in failure_table(rows).groupby("backbone"):
    display(statuses(group))
