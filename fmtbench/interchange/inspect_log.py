"""Inspect: one evaluation log for each cell, in its JSON format (version 2, as inspect_ai 0.3.285 writes and reads it).

    DIR/<time>_<task>-<condition>_<id>.json        open them with `inspect view --log-dir DIR`

A sample in Inspect is an item, and an epoch is one sample of it. Three scorers (`strict`, `marked`, `latent`) say C or I; the
explanation is the status of the reply. Ids are hashes of what they name, so the same rows give the same files.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fmtbench.interchange.cells import ScoredCell, file_time, mean_and_error, safe, text_or_none
from fmtbench.store.files import write_text

SCORERS = {
    "strict": ("answer", "correct"),
    "marked": ("marked_answer", "marked_correct"),
    "latent": ("latent_answer", "latent_correct"),
}
STOP = {"stop": "stop", "length": "max_tokens"}


def write(cells: Sequence[ScoredCell], output: Path) -> list[Path]:
    """One file for each cell. Returns the files."""
    output.mkdir(parents=True, exist_ok=True)
    written = []
    for cell in cells:
        name = "-".join([cell.task, cell.condition, f"{cell.prompt}-seed{cell.seed}"]).replace("_", "-")
        path = output / f"{file_time(cell.started)}_{safe(name)}_{_id(cell, 'task')}.json"
        write_text(path, json.dumps(log(cell), indent=1, ensure_ascii=False))
        written.append(path)
    return written


def log(cell: ScoredCell) -> dict[str, Any]:
    model = f"fmtbench/{cell.backbone}"
    samples = [_sample(cell, model, row) for row in cell.rows.itertuples(index=False)]
    return {
        "version": 2,
        "status": "success",
        "eval": _spec(cell, model),
        "plan": {"name": "plan", "steps": [{"solver": cell.condition, "params": cell.settings}], "config": _generation(cell)},
        "results": {"total_samples": len(samples), "completed_samples": len(samples), "scores": _results(cell)},
        "stats": {
            "started_at": _utc(cell.started),
            "completed_at": _utc(cell.finished),
            "model_usage": {model: _usage(cell.rows["prompt_tokens"].sum(), cell.rows["completion_tokens"].sum())},
        },
        "samples": samples,
    }


def _spec(cell: ScoredCell, model: str) -> dict[str, Any]:
    items = list(dict.fromkeys(cell.rows["item_id"]))
    commit = {"revision": {"type": "git", "origin": "", "commit": cell.commit}} if cell.commit else {}
    return {
        "eval_id": _id(cell, "eval"),
        "run_id": _id(cell, "run"),
        "task_id": _id(cell, "task"),
        "created": _utc(cell.started),
        "task": f"{cell.task}-{cell.condition}",
        "task_version": 0,
        "task_args": {"task": cell.task, "condition": cell.condition, "prompt": cell.prompt, "seed": cell.seed},
        "solver": cell.condition,
        "dataset": {"name": cell.task, "location": cell.source.get("hub_id"), "samples": len(items), "sample_ids": items},
        "model": model,
        "model_generate_config": _generation(cell),
        "config": {"epochs": int(cell.rows["sample"].max()) + 1},
        "packages": cell.manifest.get("packages") or {},
        "metadata": {"backbone": cell.backbone, "engine": cell.manifest.get("engine"), "decoder": cell.manifest.get("decoder")},
        "scorers": [{"name": name} for name in SCORERS],
        **commit,
    }


def _generation(cell: ScoredCell) -> dict[str, Any]:
    return {key: cell.sampling[key] for key in ("temperature", "top_p", "max_tokens") if key in cell.sampling}


def _sample(cell: ScoredCell, model: str, row: Any) -> dict[str, Any]:
    text = text_or_none(row.text) or ""
    reply = {"role": "assistant", "content": text, "source": "generate", "model": model}
    shown = [message | ({"source": "input"} if message["role"] == "user" else {}) for message in cell.messages(row)]
    usage = _usage(row.prompt_tokens, row.completion_tokens)
    stop = STOP.get(str(row.finish_reason), "unknown")
    return {
        "id": row.item_id,
        "epoch": int(row.sample) + 1,
        "input": shown,
        "target": row.gold,
        "messages": [*shown, reply],
        "output": {
            "model": model,
            "choices": [{"message": reply, "stop_reason": stop}],
            "completion": text,
            "usage": usage,
            "time": float(row.seconds),
        },
        "scores": {name: _score(row, *columns) for name, columns in SCORERS.items()},
        "metadata": {
            "question": text_or_none(row.question),
            "status": row.status,
            "finish_reason": text_or_none(row.finish_reason),
            "reasoning_words": int(row.reasoning_words),
            "request_key": text_or_none(row.request_key),
            **({"thought": thought} if (thought := text_or_none(getattr(row, "thought", None))) else {}),
        },
        "model_usage": {model: usage},
        "total_time": float(row.seconds),
    }


def _score(row: Any, answer: str, verdict: str) -> dict[str, Any]:
    right = bool(getattr(row, verdict))
    return {"value": "C" if right else "I", "answer": text_or_none(getattr(row, answer)), "explanation": f"status: {row.status}"}


def _results(cell: ScoredCell) -> list[dict[str, Any]]:
    scores = []
    for name, (_, verdict) in SCORERS.items():
        values = dict(zip(("accuracy", "stderr"), mean_and_error(cell.rows[verdict])))
        metrics = {metric: {"name": metric, "value": value} for metric, value in values.items()}
        scores.append({"name": name, "scorer": name, "scored_samples": len(cell.rows), "unscored_samples": 0, "metrics": metrics})
    return scores


def _usage(prompt: Any, completion: Any) -> dict[str, int]:
    return {"input_tokens": int(prompt), "output_tokens": int(completion), "total_tokens": int(prompt) + int(completion)}


def _id(cell: ScoredCell, what: str) -> str:
    """Twenty-two characters, like Inspect's own ids."""
    text = json.dumps([what, *cell[:5], cell.started, sorted(cell.rows["request_key"].astype(str))])
    digest = base64.b32encode(hashlib.sha256(text.encode()).digest()).decode()
    return digest[:22]


def _utc(time: str) -> str:
    return datetime.fromisoformat(time).astimezone(UTC).isoformat(timespec="seconds")
