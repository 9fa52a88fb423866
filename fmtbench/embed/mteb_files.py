"""mteb's own result files beside our table, with every metric that mteb computes: `results/<model>/<revision>/<Task>.json`.

An encoder from the hub has its own name and revision there, so that its files can be submitted. Any other encoder is
`fmtbench/<name>`, with a hash of everything that determines its vectors as the revision.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from fmtbench.store.files import write_text

OWNER = "fmtbench.json"
"""The file beside the results that says which encoder made them."""


def model_meta(name: str, identity: str, published: tuple[str, str] | None) -> Any:
    """mteb's description of a model. `published` is its hub id and commit."""
    import mteb
    from mteb.models.model_meta import ModelMeta

    if published is None:
        return ModelMeta.create_empty(overwrites={"name": f"fmtbench/{name}", "revision": identity[:40]})
    try:
        return mteb.get_model_meta(published[0]).model_copy(update={"revision": published[1]})
    except KeyError:  # not in mteb's registry
        return ModelMeta.create_empty(overwrites={"name": published[0], "revision": published[1]})


def save_result(folder: Path, result: Any, meta: Any, identity: str, encode_kwargs: dict[str, Any]) -> None:
    """Write one task's result, beside the other subsets that the same encoder was judged on.

    mteb names a file by model, revision and task only. If another encoder of that name and revision already has files there
    (with another template, say), this one's go into mteb's folder of experiments under the revision.
    """
    from mteb.cache import ResultCache

    cache = ResultCache(folder)
    place = cache.get_task_result_path(result.task_name, meta).parent
    if _owner(place) not in (None, identity):
        meta = meta.model_copy(update={"experiment_kwargs": {"identity": identity[:12]}})
        place = cache.get_task_result_path(result.task_name, meta).parent
    place.mkdir(parents=True, exist_ok=True)
    write_text(place / OWNER, json.dumps({"identity": identity}) + "\n")
    cache.save_to_cache(_merged(cache, result, meta), meta, encode_kwargs=encode_kwargs)


def _owner(place: Path) -> str | None:
    path = place / OWNER
    return str(json.loads(path.read_text(encoding="utf-8"))["identity"]) if path.is_file() else None


def _merged(cache: Any, result: Any, meta: Any) -> Any:
    """The result merged with an earlier one for the same data and mteb version; where subsets overlap, the new result counts."""
    same = ("dataset_revision", "mteb_version")
    try:
        before = cache.load_task_result(result.task_name, meta)
    except ValueError:  # cut off by a kill
        return result
    return before.merge(result, criteria=same) if before and before.is_mergeable(result, criteria=same) else result
