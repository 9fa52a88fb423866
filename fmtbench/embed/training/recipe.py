"""A training recipe: an encoder and the stages that train it. Each YAML in `conf/recipe/` is one.

    DIR/encoder/           the result: a sentence-transformers folder, with fmtbench.json beside its weights
    DIR/manifest.json      what ran: recipe, seed, data hash, commit, versions, and facts about each stage
    DIR/loss.csv           stage, step, loss, learning rate
    DIR/stages/1-mntp-<key>/   what each stage wrote; the key is a hash of everything that determines it

A finished stage is not run again, and a killed one resumes from its last checkpoint. Another recipe, seed, data set or backbone
gives other keys. A folder with a finished encoder accepts no other recipe.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, SkipValidation
from pydantic.dataclasses import dataclass

from fmtbench.backbone import Dtype
from fmtbench.embed.encoder import Encoder
from fmtbench.embed.training.examples import TrainSet, by_source
from fmtbench.embed.training.stage import Stage
from fmtbench.embed.training.work import Supply, Work
from fmtbench.errors import LockedError, UserError
from fmtbench.store.csv_text import csv_text
from fmtbench.store.files import writable, write_text
from fmtbench.store.provenance import provenance

logger = logging.getLogger(__name__)

DONE = "stage.json"
CURVE = ("stage", "step", "loss", "learning_rate")
"""The columns of loss.csv."""


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid", arbitrary_types_allowed=True))
class TrainingRecipe:
    """Cheap to build; `train` does the work."""

    encoder: Encoder
    """The encoder to train; untrained, it is also what the result is compared with."""
    stages: SkipValidation[Mapping[str, Stage]]
    """By name, in order; without stages the encoder stays untrained."""

    def rounded(self, dtype: Dtype) -> Encoder:
        """The untrained encoder with its weights in this dtype."""
        return replace(self.encoder, backbone=replace(self.encoder.backbone, dtype=dtype))

    def exact(self) -> Encoder:
        """The encoder as it is trained and saved: in float32, since a coarser dtype would lose small updates."""
        return self.rounded("float32")

    def check(self, data: TrainSet) -> None:
        """Check everything that can be known before weights are loaded. Raises `UserError`."""
        self._check_instruction(data)
        scores = all(one.scores for one in data.examples)
        negatives = min(len(one.negatives) for one in data.examples)
        smallest = min(map(len, by_source(data.examples).values()))
        supply = Supply(examples=len(data.examples), smallest=smallest, negatives=negatives, texts=len(data.texts), scores=scores)
        for name, stage in self.stages.items():
            supply = stage.check(supply, name)

    def _check_instruction(self, data: TrainSet) -> None:
        words = [role for role in (self.encoder.template.query, self.encoder.template.document) if role]
        without = sum(not one.instruction for one in data.examples)
        if without and any("{instruction}" in role for role in words):
            raise UserError(
                f"the recipe's template needs an instruction, {without} examples have none: set instruction in train_data"
            )

    def keys(self, data: TrainSet, seed: int) -> dict[str, str]:
        """A hash of everything that determines each stage's result, including the stages before it."""
        key, keys = _hash([self.exact().identity(), data.content(), seed]), {}
        for name, stage in self.stages.items():
            keys[name] = key = _hash([key, name, stage.settings()])
        return keys

    def train(self, data: TrainSet, folder: Path, seed: int) -> Path:
        """Run what is missing, and return the encoder's folder. Resumes a killed run. Raises `UserError`."""
        self.check(data)
        writable(folder)
        with _alone(folder):
            keys = self.keys(data, seed)
            identity = _hash([self.exact().identity(), data.content(), seed, *keys.values()])
            if not _finished(folder, identity):
                self._train(data, folder, seed, keys, identity)
        return folder / "encoder"

    def _train(self, data: TrainSet, folder: Path, seed: int, keys: Mapping[str, str], identity: str) -> None:
        from fmtbench.embed.loading import save

        facts = provenance(data.content()) | {"identity": identity, "seed": seed, "recipe": self._described()}
        facts |= {"examples": len(data.examples), "texts": len(data.texts), "data_sha256": facts.pop("items_sha256")}
        loaded = self.exact().load()
        work = Work(backbone=self.encoder.backbone, loaded=loaded, data=data, seed=seed, folder=folder)
        places = {name: folder / "stages" / f"{n}-{name}-{keys[name][:12]}" for n, name in enumerate(keys, start=1)}
        stages = {name: _run(stage, work, places[name]) for name, stage in self.stages.items()}
        self._finish(work)
        save(work.loaded, folder / "encoder")
        _write_curve(folder / "loss.csv", places)
        write_text(folder / "manifest.json", json.dumps(facts | {"stages": stages}, indent=2, ensure_ascii=False) + "\n")

    def _finish(self, work: Work) -> None:
        from fmtbench.embed.training.adapters import merge

        merge(work)
        sizes = sorted({size for stage in self.stages.values() for size in getattr(stage, "matryoshka", ())})
        if sizes:  # without them vLLM rejects `dimensions`
            work.weights.config.matryoshka_dimensions = sizes

    def _described(self) -> dict[str, Any]:
        encoder = asdict(self.encoder) | {"backbone": self.encoder.backbone.name}
        return {"encoder": encoder, "stages": {name: stage.settings() for name, stage in self.stages.items()}}


def _run(stage: Stage, work: Work, place: Path) -> dict[str, Any]:
    """Run a stage, or restore it if it is finished. Returns its facts."""
    from transformers import set_seed

    from fmtbench.embed.training.fitting import drop_checkpoints

    work.folder = place
    if (place / DONE).is_file():
        logger.info("%s: already done", place.name)
        stage.restore(work)
        return json.loads((place / DONE).read_text(encoding="utf-8"))
    place.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    set_seed(work.seed)
    facts = stage.run(work) | {"seconds": round(time.monotonic() - started, 1)}
    facts = {"folder": place.name, **facts, "settings": stage.settings()}
    write_text(place / DONE, json.dumps(facts, indent=2) + "\n")
    drop_checkpoints(place)
    return facts


def _finished(folder: Path, identity: str) -> bool:
    """Whether the folder holds this encoder. Raises `UserError` if it holds another recipe's."""
    path = folder / "manifest.json"
    if not path.is_file():
        return False
    found = json.loads(path.read_text(encoding="utf-8"))
    if found.get("identity") != identity:
        raise UserError(
            f"{folder} holds an encoder that was trained differently ({_difference(found)}): give another output, or delete it"
        )
    logger.info("%s: already trained", folder)
    return True


def _difference(found: Mapping[str, Any]) -> str:
    return f"stages {', '.join(found.get('stages', {})) or 'none'}, seed {found.get('seed')}, {found.get('examples')} examples"


def _write_curve(path: Path, places: Mapping[str, Path]) -> None:
    import pandas as pd

    lines: list[dict[str, Any]] = []
    for name, place in places.items():
        curve = place / "loss.jsonl"
        for line in curve.read_text(encoding="utf-8").splitlines() if curve.is_file() else ():
            log = json.loads(line)
            lines.append({"stage": name, **{key: log.get(key) for key in CURVE[1:]}})
    write_text(path, csv_text(pd.DataFrame(lines, columns=list(CURVE))))


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    from filelock import FileLock, Timeout

    try:
        with FileLock(folder / ".lock", timeout=0):
            yield
    except Timeout as error:
        raise LockedError(f"{folder} is locked by another running process: wait for it, or give another output") from error


def _hash(parts: list[Any]) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True, ensure_ascii=False).encode()).hexdigest()
