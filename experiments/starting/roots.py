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
class CompileConfig:
    seconds: float = 10
    memory_gb: float = 2


@dataclass
class RunConfig:
    """`conf/run.yaml`."""

    name: str = MISSING
    seed: int = 0
    limit: int | None = None
    samples_of: dict[str, int] = field(default_factory=dict)
    retry_errors: bool = False
    shard: int = 0
    shards: int = 1
    results: str = "results"
    data_root: str | None = None
    decoder: str = "outlines"
    compile: CompileConfig = field(default_factory=CompileConfig)
    backbone: Any = MISSING
    backend: Any = MISSING
    sampling: SamplingConfig = MISSING
    task: dict[str, Any] = field(default_factory=dict)
    condition: dict[str, Any] = field(default_factory=dict)
    prompt: dict[str, Any] = field(default_factory=dict)
    tracker: Any = None
    planned: list[Any] = field(default_factory=list)
    """Contrasts decided on before the run: `{condition: json_schema, reference: json_prompt}`, or a name, against free_cot."""

    pilot: str | None = None
    """For experiments.plan: the results folder of an earlier run, to learn speed and disagreement from."""


@dataclass
class BenchConfig(RunConfig):
    """`conf/bench.yaml`."""

    rows: list[str] = field(default_factory=list)
    pairs: int = 3
    output: str | None = None
    probe: str | None = None


@dataclass
class RescoreConfig:
    """`conf/rescore.yaml`."""

    transcripts: str = MISSING
    answer: str = MISSING
    format: str = "auto"
    labels: list[str] = field(default_factory=list)
    output: str = MISSING


@dataclass
class CoverageConfig:
    """`conf/coverage.yaml`."""

    limit: int | None = None
    generate: bool = True
    max_tokens: int = 256
    results: str = "results"
    data_root: str | None = None
    decoder: str = "outlines"
    compile: CompileConfig = field(default_factory=CompileConfig)
    backbone: Any = MISSING
    backend: Any = MISSING
    schemas: Any = MISSING


@dataclass
class VerifyConfig:
    """`conf/verify.yaml`."""

    results: str | None = None
    replies: int = 24
    z: float = 5.0
    gap: float = 1.0
    backbone: Any = MISSING


@dataclass
class EmbedConfig:
    """`conf/embed.yaml`."""

    texts: str | None = None
    role: str = "query"
    instruction: str = ""
    name: str | None = None
    limit: int | None = None
    data_root: str | None = None
    study: str | None = None
    results: str | None = None
    trained: list[str] = field(default_factory=list)
    free: str = "free_cot"
    view: str = "rationale"
    output: str = MISSING
    backbone: Any = MISSING
    embed_backend: Any = MISSING
    embedder: dict[str, Any] = field(default_factory=dict)
    embed_task: dict[str, Any] = field(default_factory=dict)


@dataclass
class TrainConfig:
    """`conf/train.yaml`."""

    seeds: list[int] = field(default_factory=lambda: [0])
    max_tokens: int = 64
    judge_dtype: str | None = "bfloat16"
    name: str | None = None
    limit: int | None = None
    data_root: str | None = None
    output: str = MISSING
    backbone: Any = MISSING
    embed_backend: Any = MISSING
    recipe: Any = MISSING
    train_data: dict[str, Any] = field(default_factory=dict)
    embed_task: dict[str, Any] = field(default_factory=dict)


@dataclass
class SynthesizeConfig:
    """`conf/synthesize.yaml`."""

    tasks: int = MISSING
    triples: int = MISSING
    attempts: int = MISSING
    seed: int = 0
    languages: list[str] = field(default_factory=list)
    results: str = "results"
    output: str = MISSING
    decoder: str = "outlines"
    compile: CompileConfig = field(default_factory=CompileConfig)
    backbone: Any = MISSING
    backend: Any = MISSING
    synthesis: Any = MISSING


ROOTS: dict[str, Any] = {
    "run": RunConfig,
    "bench": BenchConfig,
    "coverage": CoverageConfig,
    "verify": VerifyConfig,
    "embed": EmbedConfig,
    "rescore": RescoreConfig,
    "train": TrainConfig,
    "synthesize": SynthesizeConfig,
}
