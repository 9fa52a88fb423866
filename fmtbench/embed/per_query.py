"""nDCG@10 and recall@100 of each query, from the candidates that a search kept (see `candidates`)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd

MEASURES = {"ndcg_cut.10": "nDCG@10", "recall.100": "recall@100"}
"""trec_eval's names, and ours."""


def per_query(task: Any, folder: Path) -> pd.DataFrame:
    """Values in 0..1, one line per query and one column for each of `MEASURES`, computed by trec_eval as for mteb.

    `folder` holds one score's candidates. A query that found nothing has 0.
    """
    import pytrec_eval

    found = json.loads((folder / f"{task.metadata.name}_predictions.json").read_text(encoding="utf-8"))
    lines: dict[str, dict[str, float]] = {}
    for subset in task.hf_subsets:
        for split in task.eval_splits:
            relevant = task.dataset[subset][split]["relevant_docs"]
            measured = pytrec_eval.RelevanceEvaluator(relevant, set(MEASURES)).evaluate(found[subset][split])
            lines |= {f"{subset}/{split}/{query}": measured.get(query, {}) for query in relevant}
    names = {name.replace(".", "_"): shown for name, shown in MEASURES.items()}
    return pd.DataFrame.from_dict(lines, orient="index", columns=list(names)).fillna(0.0).rename(columns=names)
