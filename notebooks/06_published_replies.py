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
# # 6. Published replies
#
# Other people's raw replies can be read like results of our own, without a GPU. This notebook goes from a log to a forest plot;
# with a log of yours, only the first cell and the names of its fields are others.
#
# The log is LLMDrift's (github.com/lchen001/LLMDrift, Apache-2.0): is a number prime, asked of GPT-4 and GPT-3.5 in March and
# in June 2023. The committed pack of that study holds the texts, and here they become a file of JSON lines again.

# %%
# %matplotlib inline
import json
import os
import subprocess
import sys
from pathlib import Path
from tempfile import mkdtemp

from IPython.display import Markdown

from fmtbench.analysis.rows.frame import load_rows
from fmtbench.analysis.rows.study import load_study
from fmtbench.analysis.showing.overview_figures import forest
from fmtbench.analysis.showing.text import shown
from fmtbench.analysis.tables.contrasts import contrast_table
from fmtbench.analysis.tables.order import order_table

folder, here = Path(mkdtemp()), Path.cwd()
root = next(one for one in (here, *here.parents) if (one / "paper" / "published").is_dir())
pack = load_rows(root / "paper" / "published" / "key_order" / "data")
some = pack[pack["item_id"].isin(sorted(set(pack["item_id"]))[::5])]
fields = {"backbone": "model", "condition": "month", "item_id": "number", "gold": "gold", "text": "text"}
log = some[list(fields)].rename(columns=fields).to_dict("records")
(folder / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in log))
log[0]

# %% [markdown]
# ## From a log to rows
#
# One command, as in a terminal: where each part of a row is, what kind of answer, and the mark that the prompt demanded. *Strict*
# is then what that study asked for, and *latent* a lenient reader that is the same for every arm.

# %%
command = [
    *(sys.executable, "-m", "experiments.rescore", f"transcripts={folder}/log.jsonl", "answer=yes_no", f"output={folder}/rows"),
    *("backbone=field:model", "condition=field:month", "item=field:number", "task=primes"),
    r"contract.mark=\[(?P<answer>Yes|No)\]",
]
done = subprocess.run(
    command, cwd=root, env=os.environ | {"PYTHONPATH": str(root)}, capture_output=True, text=True, check=True, timeout=600
)
print(done.stdout.replace(str(folder), "."))

# %% [markdown]
# ## A forest plot
#
# The arms pair by number, so that a difference has the interval of pairs. There is one prompt: what other prompts would change is
# not known, and the thin bar is missing.

# %%
study = load_study([folder / "rows"], slim=True)
contrasts = contrast_table(study.rows, reference="march", axes=study.axes)
forest(contrasts)

# %% [markdown]
# ## What came first?
#
# The prompt asks to think first. Each reply says what came: GPT-4 only answers in June, and GPT-3.5 turns from answering first to
# reasoning first. Nobody assigned that order, so the table says what goes with it and not what it does.

# %%
orders = order_table(study.rows)
lines = [
    f"- {line.backbone}, {line.condition}: {line.answer_first:.0%} answers first, {line.answer_only:.0%} only answers"
    for line in orders.itertuples()
]
Markdown("\n".join(lines))

# %%
columns = [
    "backbone",
    "condition",
    "n",
    "reasoning_first",
    "answer_first",
    "answer_only",
    "reasoning_first_right",
    "answer_only_right",
]
shown(orders, columns, columns[3:]).style.hide(axis="index")

# %% [markdown]
# The three committed studies, with their findings and what they cannot show, are in `paper/published`.
