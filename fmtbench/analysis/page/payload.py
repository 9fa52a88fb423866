"""The data of the page: rows as columns of plain lists, with names as numbers, and the two tables shown above them.

    {"runs": "quickstart (15 files, ...)", "commit": "9ea446c2b1f0", "reference": "free_cot", "notes": [],
     "names": {"backbone": ["smollm2"], "task": [...], "condition": [...], "prompt": [...], "status": [...]},
     "items": {"task": [0, ...], "id": ["capitals/peru", ...], "question": [...], "gold": [...]},
     "rows": {"item": [0, ...], "condition": [3, ...], "text": [...], ...}, "contrasts": [{...}], "accuracy": [{...}],
     "labels": {"condition": {"free_cot": "Free CoT"}, ...}, "asked": [["Solve this. ", " The answer is ..."], ...]}

`asked` holds the prompts that were sent, cut where the item's question stands; `rows["asked"]` says which is whose, where known.

Thoughts are included if rows have them, and so are a probe's `mass` (the probability that the constraint leaves at each token),
`token_ends` and `token_parts`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

Payload = dict[str, Any]

ITEM = ["task", "item_id", "question", "gold"]
NAMES = ["backbone", "condition", "prompt", "status"]
PLAIN = ["seed", "sample", "answer", "marked_answer", "latent_answer", "text", "finish_reason", "completion_tokens"]
VERDICTS = ["correct", "marked_correct", "latent_correct"]
THOUGHT = ["thought", "thought_tokens", "thought_words"]
PROBED = ["mass", "token_ends", "token_parts"]
ACCURACY = [
    "backbone",
    "task",
    "condition",
    "n",
    "strict",
    "strict_low",
    "strict_high",
    "latent",
    "latent_low",
    "latent_high",
    "tokens",
    "macro_f1",
]
CONTRASTS = [
    "backbone",
    "task",
    "condition",
    "reference",
    "n",
    "difference",
    "low",
    "high",
    "general_low",
    "general_high",
    "p_adjusted",
    "planned",
    "mde",
    "equivalent",
    "latent_difference",
    "latent_low",
    "latent_high",
    "latent_general_low",
    "latent_general_high",
    "mark",
]


def payload(rows: pd.DataFrame, origin: Mapping[str, str], reference: str, notes: Sequence[str] = ()) -> Payload:
    """The rows of a study, ordered by backbone, task, item and condition; the tables are still empty."""
    rows = ordered(rows)
    item, items = numbered(rows, ITEM)
    coded = {name: numbered(rows, [name]) for name in NAMES}
    task, tasks = numbered(items, ["task"])
    return {
        "runs": origin["runs"],
        "commit": origin["commit"],
        "reference": reference,
        "notes": list(notes),
        "names": {name: values[name].tolist() for name, (_, values) in coded.items()} | {"task": tasks["task"].tolist()},
        "items": {"task": task, "id": cells(items["item_id"])} | {name: cells(items[name]) for name in ("question", "gold")},
        "rows": {"item": item}
        | {name: codes for name, (codes, _) in coded.items()}
        | {name: rows[name].astype(int).tolist() for name in VERDICTS}
        | {"seconds": rows["seconds"].round(3).tolist()}
        | {name: cells(rows[name]) for name in [*PLAIN, *THOUGHT, *PROBED] if name in rows.columns},
        "labels": {},
        "asked": [],
        "accuracy": [],
        "contrasts": [],
        "finding": "",
        "without_contrasts": "",
    }


def ask(packed: Payload, rows: pd.DataFrame, prompts: Mapping[str, str]) -> None:
    """Add to a payload what was sent for each row. `prompts`: texts by request key; `rows`: those that the payload was made of.

    A prompt is stored once, without its question: the thousand items of a cell share one.
    """
    place: dict[tuple[str, ...], int] = {}
    found: dict[Any, int] = {}
    for key, question in zip(rows["request_key"], rows["question"]):
        if key in prompts:
            pieces = prompts[key].split(question) if question else [prompts[key]]
            cut = tuple(pieces) if len(pieces) == 2 else (prompts[key],)
            found[key] = place.setdefault(cut, len(place))
    packed["asked"] = [list(cut) for cut in place]
    packed["rows"]["asked"] = [found.get(key) for key in ordered(rows)["request_key"]]


def ordered(rows: pd.DataFrame) -> pd.DataFrame:
    """In the page's order: by backbone, task, item and condition."""
    order = [*("backbone", "task", "item_id", "question", "gold", "condition", "prompt", "seed", "sample")]
    plain = {name: rows[name].astype(str) for name in order if rows[name].dtype == "category"}
    return rows.assign(**plain).sort_values(order, kind="stable", ignore_index=True)


def empty_payload(origin: Mapping[str, str]) -> Payload:
    """The payload of a study that has no rows yet."""
    columns = [*ITEM, *NAMES, *PLAIN, *VERDICTS, "seconds"]
    return payload(
        pd.DataFrame({name: pd.Series(dtype="int64" if name in VERDICTS else "object") for name in columns}), origin, ""
    )


def numbered(rows: pd.DataFrame, names: list[str]) -> tuple[list[int], pd.DataFrame]:
    """For each row the number of its entry, and the entries in order of appearance."""
    entries = rows[names].drop_duplicates(ignore_index=True)
    codes = rows.groupby(names, sort=False, observed=True, dropna=False).ngroup()
    return codes.tolist(), entries


def cells(column: pd.Series) -> list[Any]:
    """Values fit for JSON, which has neither NaN nor numpy types."""
    return [_cell(value) for value in column.tolist()]


def _cell(value: Any) -> Any:
    if isinstance(value, np.ndarray | list | tuple):
        return [_cell(one) for one in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if value is None or value is pd.NA or (isinstance(value, float) and not math.isfinite(value)) else value


def records(table: pd.DataFrame, columns: Sequence[str]) -> list[dict[str, Any]]:
    kept = table[[name for name in table.columns if name in columns or str(name).startswith("share_")]]
    return [{str(name): _cell(value) for name, value in line.items()} for line in kept.to_dict("records")]


def accuracy_lines(table: pd.DataFrame, rows: pd.DataFrame, absent: pd.DataFrame) -> list[dict[str, Any]]:
    """The accuracy table with the shares of right and wrong replies, and one more line for each cell without rows."""
    keys = ["backbone", "task", "condition"]
    right = rows.groupby(keys, observed=True)["correct"].mean()
    wrong = ((rows["status"] == "ok") & ~rows["correct"].astype(bool)).groupby([rows[key] for key in keys], observed=True).mean()
    shares = pd.DataFrame({"strict_replies": right, "wrong_replies": wrong}).reset_index()
    lines = records(table.merge(shares, on=keys, how="left"), [*ACCURACY, "strict_replies", "wrong_replies"])
    there = {tuple(line[key] for key in keys) for line in lines}
    gone = [one for one in absent[keys].drop_duplicates().itertuples(index=False, name=None) if one not in there]
    lines += [dict(zip(keys, one)) | {"absent": True} for one in gone]
    groups = list(dict.fromkeys((line["backbone"], line["task"]) for line in lines))
    return sorted(lines, key=lambda line: groups.index((line["backbone"], line["task"])))
