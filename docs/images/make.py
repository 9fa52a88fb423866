"""Draw docs/images/costs.png from the committed study: what each way of asking costs, strictly and latently.

python docs/images/make.py
"""

from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd

from fmtbench.analysis.rows.study import load_study
from fmtbench.analysis.tables.main import accuracy_table

ROOT = Path(__file__).resolve().parent.parent.parent
SHOWN = {
    "sham": "nothing (a mask that allows all)",
    "restricted_cot_25": "at most 25 words",
    "prose_fields": "the fields, in prose",
    "json_prompt": "JSON, not enforced",
    "json_schema": "JSON, its schema enforced",
}
TASKS = ("gsm8k", "shuffled_objects", "task280")
COLOURS = {"strict": "#3b6fb0", "latent": "#d1813a"}
READINGS = {
    "strict": ("strict_diff", "strict: contract kept, answer right", 0.14),
    "latent": ("latent_diff", "latent: a lenient reader finds it", -0.14),
}


def main() -> None:
    table = accuracy_table(load_study([str(ROOT / "paper" / "data")], slim=True).rows)
    own = table[table["backbone"] == "qwen2_5_coder_0_5b"]
    figure, panels = plt.subplots(1, len(TASKS), figsize=(9.5, 2.9), sharey=True, layout="constrained")
    for panel, task in zip(panels, TASKS):
        draw(panel, own[own["task"] == task].set_index("condition").loc[list(SHOWN)], task)
    panels[0].set_yticks(range(len(SHOWN)), list(SHOWN.values()))
    panels[0].invert_yaxis()
    panels[1].set_xlabel("points of accuracy, minus free chain of thought on the same 100 items; 95% intervals")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=2, frameon=False)
    figure.savefig(ROOT / "docs" / "images" / "costs.png", dpi=130)


def draw(panel: plt.Axes, lines: pd.DataFrame, task: str) -> None:
    """Both readings of one task, one line a condition; an interval that leaves the frame runs out of it."""
    for reading, (delta, label, shift) in READINGS.items():
        values = 100 * lines[[delta, f"{delta}_low", f"{delta}_high"]].to_numpy(dtype=float)
        heights = [line - shift for line in range(len(lines))]
        panel.hlines(heights, values[:, 1], values[:, 2], color=COLOURS[reading], linewidth=1.4)
        panel.plot(values[:, 0], heights, "o", color=COLOURS[reading], markersize=4.5, label=label)
    panel.axvline(0, color="#444444", linewidth=0.8)
    panel.set(title=task, xlim=(-42, 42))
    panel.spines[["top", "right"]].set_visible(False)


if __name__ == "__main__":
    main()
