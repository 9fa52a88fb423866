"""The typed roots of the configs: a key that is not here is a typo, and a value of another type is refused."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING


@dataclass
class SamplingConfig:
    temperature: float = MISSING
    top_p: float = MISSING
    max_tokens: int = MISSING
    samples: int = MISSING


@dataclass
class RunConfig:
    """`conf/run.yaml`."""

    name: str = MISSING
    seed: int = 0
    limit: int | None = None
    results: str = "results"
    data_root: str | None = None
    decoder: str = "outlines"
    backbone: Any = MISSING
    backend: Any = MISSING
    sampling: SamplingConfig = MISSING
    task: dict[str, Any] = field(default_factory=dict)
    condition: dict[str, Any] = field(default_factory=dict)
    prompt: dict[str, Any] = field(default_factory=dict)
    planned: list[Any] = field(default_factory=list)
    """Contrasts decided on before the run: `{condition: json_schema, reference: json_prompt}`, or a name, against free_cot."""


@dataclass
class RescoreConfig:
    """`conf/rescore.yaml`."""

    transcripts: str = MISSING
    answer: str = MISSING
    format: str = MISSING
    output: str = MISSING


ROOTS: dict[str, Any] = {"run": RunConfig, "rescore": RescoreConfig}
