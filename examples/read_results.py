"""Read results into pandas: a line a reply, from a results folder or a packed study.

python examples/read_results.py results/quickstart
"""

import sys

import fmtbench

rows = fmtbench.load_rows(sys.argv[1])
print(f"{len(rows)} replies to {rows.item_id.nunique()} items")
print(rows.groupby(["task", "condition"])[["correct", "latent_correct"]].mean().round(2))

wide = rows[rows["sample"] == 0].pivot_table(index=["task", "item_id"], columns="condition", values="latent_correct")
lost = wide[(wide.free_cot == 1) & (wide.json_schema == 0)]
print(f"{len(lost)} items were solved freely and lost under json_schema")
