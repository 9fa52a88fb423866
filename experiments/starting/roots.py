"""The typed roots of the configs: a key that is not here is a typo, and a value of another type is an error.

There is one class per command; `conf/<command>.yaml` says what each key means, and `--help` shows it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING

from .nested_keys import (
    CompileConfig,
    ContractConfig,
    InsteadConfig,
    RepeatsConfig,
    RowConfig,
    SamplingConfig,
    SchemaConfig,
)


@dataclass
class JobConfig:
    """What a job is made from."""

    name: str = MISSING
    seed: int = 0
    limit: int | None = None
    skip: int = 0
    limit_of: dict[str, int] = field(default_factory=dict)
    samples_of: dict[str, int] = field(default_factory=dict)
    retry_errors: bool = False
    shard: int = 0
    shards: int = 1
    results: str = "results"
    data_root: str | None = None
    schema: SchemaConfig = field(default_factory=SchemaConfig)
    decoder: str = "outlines"
    compile: CompileConfig = field(default_factory=CompileConfig)
    plugins: list[str] = field(default_factory=list)
    backbone: Any = MISSING
    backend: Any = MISSING
    sampling: SamplingConfig = MISSING
    task: dict[str, Any] = field(default_factory=dict)
    condition: dict[str, Any] = field(default_factory=dict)
    prompt: dict[str, Any] = field(default_factory=dict)


@dataclass
class RunConfig(JobConfig):
    tracker: Any = None
    repeats: RepeatsConfig = field(default_factory=RepeatsConfig)
    rerun_truncated: int | None = None
    formatter: Any = None
    planned: list[Any] = field(default_factory=list)
    """Contrasts planned before the run: `{condition: json_schema, reference: json_prompt}`, or a name, against free_cot."""


@dataclass
class PlanConfig(RunConfig):
    pilot: str | None = None
    detect: float | None = None
    most_prompts: int = 8
    tokens_per_second: float | None = None
    look: str | None = None


@dataclass
class DoctorConfig(JobConfig):
    name: str = "doctor"
    pilot_items: int = 30
    detect: float = 3.0
    fail_below: float | None = None
    output: str | None = None
    parts: dict[str, Any] = field(default_factory=dict)


@dataclass
class LintConfig(JobConfig):
    name: str = "lint"


@dataclass
class DecodersConfig(JobConfig):
    name: str = "decoders"
    walks: int = 1000
    generations: int = 200
    output: str | None = None


@dataclass
class BenchConfig(JobConfig):
    name: str = "bench"
    rows: list[str] = field(default_factory=list)
    pairs: int = 3
    shape: str | None = None
    output: str | None = None
    instead: InsteadConfig = field(default_factory=InsteadConfig)


@dataclass
class ScoreConfig:
    results: str | None = None
    run: str | None = None
    plugins: list[str] = field(default_factory=list)


@dataclass
class AuditConfig:
    run: str = MISSING
    resample: float | None = None
    differing: float = 0.0
    seed: int = 0
    decoder: str = "outlines"
    compile: CompileConfig = field(default_factory=CompileConfig)
    plugins: list[str] = field(default_factory=list)
    backbone: Any = None
    backend: Any = None


@dataclass
class RescoreConfig:
    transcripts: str = MISSING
    source: str | None = None
    answer: str = MISSING
    row: RowConfig = field(default_factory=RowConfig)
    conditions: dict[str, Any] = field(default_factory=dict)
    contract: ContractConfig = field(default_factory=ContractConfig)
    format: str = "auto"
    mark: str = "any"
    strict_input: bool = False
    output: str = MISSING


@dataclass
class TablesConfig:
    results: Any = MISSING
    """A folder or a list of folders."""
    output: str | None = None
    reference: str | None = None
    mixed: bool = False
    draws: int | None = None
    format: str = "paper"
    check: bool = False
    duplicates: str | None = None
    plugins: list[str] = field(default_factory=list)
    table: dict[str, Any] = field(default_factory=dict)
    figure: dict[str, Any] = field(default_factory=dict)
    names: dict[str, Any] = field(default_factory=dict)


@dataclass
class ExportConfig:
    results: Any = MISSING
    """A folder or a list of folders."""
    format: str = MISSING
    output: str = MISSING


@dataclass
class NotebooksConfig:
    results: str = MISSING
    output: str = "build/notebooks"


@dataclass
class LockinConfig:
    results: str | None = None
    run: str | None = None
    decoder: str | None = None
    compile: CompileConfig = field(default_factory=CompileConfig)
    plugins: list[str] = field(default_factory=list)
    probe: Any = MISSING
    backbone: Any = None
    backend: Any = None


@dataclass
class SimulateConfig:
    rounds: int = 2000
    design: list[int] = field(default_factory=list)


@dataclass
class CatalogueConfig:
    """Takes no keys."""


@dataclass
class CoverageConfig:
    limit: int | None = None
    generate: bool = True
    max_tokens: int = 256
    results: str = "results"
    data_root: str | None = None
    decoder: str = "outlines"
    compile: CompileConfig = field(default_factory=CompileConfig)
    plugins: list[str] = field(default_factory=list)
    backbone: Any = MISSING
    backend: Any = MISSING
    schemas: Any = MISSING


@dataclass
class VerifyConfig:
    results: str = MISSING
    replies: int = 24
    z: float = 5.0
    gap: float = 1.0
    backbone: Any = MISSING


@dataclass
class EmbedConfig:
    texts: str | None = None
    chunk: int = 4096
    role: str = "query"
    instruction: str = ""
    mteb_task: Any = None
    """A name or a list of names."""
    benchmark: str | None = None
    limit: int | None = None
    data_root: str | None = None
    heads: list[str] | None = None
    candidates: int = 100
    fusion: str = "sum"
    study: str | None = None
    layers: list[int] = field(default_factory=list)
    results: str | None = None
    trained: list[str] = field(default_factory=list)
    free: str = "free_cot"
    view: str = "rationale"
    systems: dict[str, Any] = field(default_factory=dict)
    pairs: dict[str, list[str]] = field(default_factory=dict)
    size: str = "full"
    sizes: dict[str, Any] = field(default_factory=dict)
    output: str = MISSING
    plugins: list[str] = field(default_factory=list)
    backbone: Any = MISSING
    embed_backend: Any = MISSING
    reranker: Any = None
    embedder: dict[str, Any] = field(default_factory=dict)
    embed_task: dict[str, Any] = field(default_factory=dict)


@dataclass
class TrainConfig:
    seeds: list[int] = field(default_factory=lambda: [0])
    max_tokens: int = 64
    judge_dtype: str | None = "bfloat16"
    mteb_task: Any = None
    """A name or a list of names."""
    benchmark: str | None = None
    limit: int | None = None
    data_root: str | None = None
    output: str = MISSING
    plugins: list[str] = field(default_factory=list)
    backbone: Any = MISSING
    embed_backend: Any = MISSING
    recipe: Any = MISSING
    train_data: dict[str, Any] = field(default_factory=dict)
    embed_task: dict[str, Any] = field(default_factory=dict)


@dataclass
class SynthesizeConfig:
    tasks: int = MISSING
    triples: int = MISSING
    attempts: int = MISSING
    seed: int = 0
    languages: list[str] = field(default_factory=list)
    results: str = "results"
    output: str = MISSING
    decoder: str = "outlines"
    compile: CompileConfig = field(default_factory=CompileConfig)
    plugins: list[str] = field(default_factory=list)
    backbone: Any = MISSING
    backend: Any = MISSING
    synthesis: Any = MISSING


ROOTS: dict[str, Any] = {
    "audit": AuditConfig,
    "bench": BenchConfig,
    "catalogue": CatalogueConfig,
    "coverage": CoverageConfig,
    "decoders": DecodersConfig,
    "doctor": DoctorConfig,
    "embed": EmbedConfig,
    "export": ExportConfig,
    "lint": LintConfig,
    "lockin": LockinConfig,
    "notebooks": NotebooksConfig,
    "plan": PlanConfig,
    "rescore": RescoreConfig,
    "run": RunConfig,
    "score": ScoreConfig,
    "simulate": SimulateConfig,
    "synthesize": SynthesizeConfig,
    "tables": TablesConfig,
    "train": TrainConfig,
    "verify": VerifyConfig,
}
