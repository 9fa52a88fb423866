"""lm-evaluation-harness: the files that `lm_eval --output_path DIR --log_samples` writes (version 0.4.13).

    DIR/<backbone>/results_<time>.json
    DIR/<backbone>/samples_<task>__<condition>__<prompt>-seed<k>_<time>.jsonl

A cell is a task. Each reply has three lines, one per filter: `strict` (the contract was kept), `marked` (stated by any mark)
and `latent` (the lenient reader), all with `exact_match`. Fields that have no place in the harness go under `fmtbench`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from fmtbench.interchange.cells import ScoredCell, by_backbone, file_time, mean_and_error, safe, text_or_none
from fmtbench.store.files import write_text

FILTERS = {
    "strict": ("answer", "correct"),
    "marked": ("marked_answer", "marked_correct"),
    "latent": ("latent_answer", "latent_correct"),
}
METRIC = "exact_match"


def write(cells: Sequence[ScoredCell], output: Path) -> list[Path]:
    """One folder for each backbone. Returns the files."""
    written = []
    for backbone, own in by_backbone(cells).items():
        folder = output / safe(backbone)
        folder.mkdir(parents=True, exist_ok=True)
        time = file_time(max(cell.finished for cell in own))
        for cell in own:
            path = folder / f"samples_{safe(cell.name)}_{time}.jsonl"
            write_text(path, "".join(f"{json.dumps(line, ensure_ascii=False)}\n" for line in samples(cell)))
            written.append(path)
        path = folder / f"results_{time}.json"
        write_text(path, json.dumps(results(backbone, own), indent=2, ensure_ascii=False))
        written.append(path)
    return written


def samples(cell: ScoredCell) -> Iterator[dict[str, Any]]:
    """The lines of one cell, filter by filter."""
    numbers = {item: number for number, item in enumerate(dict.fromkeys(cell.rows["item_id"]))}
    for name, (answer, verdict) in FILTERS.items():
        for row in cell.rows.itertuples(index=False):
            right = float(getattr(row, verdict))
            found = text_or_none(getattr(row, answer))
            yield _reply(cell, row, numbers[row.item_id]) | {
                "filtered_resps": ["[invalid]" if found is None else found],
                "filter": name,
                "metrics": [METRIC],
                METRIC: right,
            }


def _reply(cell: ScoredCell, row: Any, number: int) -> dict[str, Any]:
    doc = {"id": row.item_id, "question": text_or_none(row.question), "answer": row.gold}
    prompt = json.dumps(cell.messages(row), ensure_ascii=False)
    return {
        "doc_id": number,
        "doc": doc,
        "target": row.gold,
        "arguments": {"gen_args_0": {"arg_0": prompt, "arg_1": _generation(cell)}},
        "resps": [[text_or_none(row.text) or ""]],
        "doc_hash": _hash(json.dumps(doc, indent=2, ensure_ascii=False)),
        "prompt_hash": _hash(prompt),
        "target_hash": _hash(row.gold),
        "fmtbench": {
            "sample": int(row.sample),
            "status": row.status,
            "finish_reason": text_or_none(row.finish_reason),
            "completion_tokens": int(row.completion_tokens),
            "request_key": text_or_none(row.request_key),
        },
    }


def _generation(cell: ScoredCell) -> dict[str, Any]:
    known = {"temperature": "temperature", "top_p": "top_p", "max_gen_toks": "max_tokens"}
    settings = {name: cell.sampling[key] for name, key in known.items() if key in cell.sampling}
    return {"until": [], "do_sample": bool(settings.get("temperature")), **settings}


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def results(backbone: str, cells: Sequence[ScoredCell]) -> dict[str, Any]:
    """The aggregate file of one backbone."""
    first = cells[0]
    counts = {cell.name: int(cell.rows["item_id"].nunique()) for cell in cells}
    return {
        "results": {cell.name: _scores(cell) for cell in cells},
        "group_subtasks": {cell.name: [] for cell in cells},
        "configs": {cell.name: _config(cell) for cell in cells},
        "versions": {cell.name: 1.0 for cell in cells},
        "n-shot": {cell.name: int(cell.settings.get("shots", 0)) for cell in cells},
        "higher_is_better": {cell.name: {METRIC: True} for cell in cells},
        "n-samples": {name: {"original": count, "effective": count} for name, count in counts.items()},
        "config": {"model": "fmtbench", "model_args": {"pretrained": _weights(first) or backbone}, "batch_size": None},
        "git_hash": first.commit or None,
        "date": datetime.fromisoformat(first.started).timestamp(),
        "model_source": "fmtbench",
        "model_name": backbone,
        "model_name_sanitized": safe(backbone),
        "total_evaluation_time_seconds": str(float(sum(cell.rows["seconds"].sum() for cell in cells))),
    }


def _weights(cell: ScoredCell) -> str | None:
    return (cell.config.get("backbone") or {}).get("hub_id")


def _scores(cell: ScoredCell) -> dict[str, Any]:
    scores: dict[str, Any] = {"alias": cell.name, "sample_len": int(cell.rows["item_id"].nunique())}
    for name, (_, verdict) in FILTERS.items():
        scores[f"{METRIC},{name}"], scores[f"{METRIC}_stderr,{name}"] = mean_and_error(cell.rows[verdict])
    return scores


def _config(cell: ScoredCell) -> dict[str, Any]:
    return {
        "task": cell.name,
        "dataset_path": cell.source.get("hub_id"),
        "dataset_name": cell.source.get("config"),
        "test_split": cell.source.get("split"),
        "output_type": "generate_until",
        "generation_kwargs": _generation(cell),
        "repeats": int(cell.rows["sample"].nunique()),
        "num_fewshot": int(cell.settings.get("shots", 0)),
        "metric_list": [{"metric": METRIC, "aggregation": "mean", "higher_is_better": True}],
        "filter_list": [{"name": name, "filter": []} for name in FILTERS],
        "metadata": {
            "version": 1.0,
            "task": cell.task,
            "condition": cell.condition,
            "prompt": cell.prompt,
            "seed": cell.seed,
            "axes": cell.settings,
        },
    }
