"""Keys nested under one key of a root, such as `sampling.temperature` and `sampling.top_p`."""

from __future__ import annotations

from dataclasses import dataclass, field

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
class SchemaConfig:
    path: str | None = None
    model: str | None = None
    source: str | None = None


@dataclass
class RepeatsConfig:
    paper: str | None = None
    published: list[str] = field(default_factory=list)
    differs: list[str] = field(default_factory=list)


@dataclass
class InsteadConfig:
    probe: str | None = None


@dataclass
class ContractConfig:
    mark: str | None = None
    fields: list[str] = field(default_factory=list)
    answer: str | None = None


@dataclass
class RowConfig:
    backbone: str | None = None
    task: str | None = None
    condition: str | None = None
    prompt: str | None = None
    sample: str | None = None
    item: str | None = None
    text: str = "field:text"
    gold: str = "field:gold"
    choices: str = "field:choices"
    finish_reason: str = "field:finish_reason"
    stratum: str = "field:stratum"
    labels: list[str] = field(default_factory=list)
