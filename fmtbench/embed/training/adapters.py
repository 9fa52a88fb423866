"""LoRA on an encoder's weights: attach, save, restore, merge; and attention dropout.

PEFT changes the model's layers in place. The encoder keeps its model object, so that a causal language model that shares the
weights has the adapter too; the `PeftModel` around it only saves, merges and removes the adapter.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from fmtbench.embed.description import write_description
from fmtbench.embed.loading import check_adapter
from fmtbench.embed.training.work import Work
from fmtbench.errors import UserError
from fmtbench.saving import saving

WEIGHTS = "weights.safetensors"
ADAPTER = "adapter"


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class Lora:
    """A low-rank adapter (Hu et al. 2021, arXiv 2106.09685)."""

    rank: int = Field(default=16, gt=0)
    alpha: int = Field(default=32, gt=0)
    dropout: float = Field(default=0.0, ge=0, lt=1)
    targets: tuple[str, ...] | Literal["all-linear"] = "all-linear"


def prepare_weights(work: Work, lora: Lora | None) -> None:
    """Choose what is trained: all weights, the adapter that is already there, or a fresh one."""
    if lora is None:
        merge(work)
        work.weights.requires_grad_(True)
    elif work.adapter is None:
        work.adapter = attach(work.weights, lora)


def attach(model: Any, lora: Lora) -> Any:
    """Put a fresh adapter into the model's layers and return its `PeftModel`. Its weights come from torch's random state."""
    from peft import LoraConfig, get_peft_model

    targets = lora.targets if isinstance(lora.targets, str) else list(lora.targets)
    config = LoraConfig(r=lora.rank, lora_alpha=lora.alpha, lora_dropout=lora.dropout, target_modules=targets)
    try:
        return get_peft_model(model, config)
    except ValueError as error:
        raise UserError(f"lora.targets={targets} are no layers of this backbone: name some, or give all-linear") from error


def save_weights(work: Work) -> None:
    """Save what was trained to the stage's folder: the adapter, or all weights."""
    from safetensors.torch import save_model

    if work.adapter is None:
        with saving(work.folder):
            save_model(work.weights, str(work.folder / WEIGHTS))
        return
    folder = work.folder / ADAPTER
    work.adapter.peft_config["default"].base_model_name_or_path = work.loaded.backbone
    with saving(folder):
        work.adapter.save_pretrained(str(folder), save_embedding_layers=False)
    write_description(folder, work.loaded)


def restore_weights(work: Work) -> None:
    """Load what `save_weights` saved."""
    from peft import PeftModel
    from safetensors.torch import load_model

    if (work.folder / WEIGHTS).is_file():
        merge(work)
        load_model(work.weights, str(work.folder / WEIGHTS))
        return
    if work.adapter is not None:
        work.adapter.unload()
    check_adapter(work.folder / ADAPTER)
    work.adapter = PeftModel.from_pretrained(work.weights, str(work.folder / ADAPTER), is_trainable=True)


def merge(work: Work) -> None:
    """Merge the adapter into the weights and remove its layers; without an adapter, do nothing."""
    if work.adapter is not None:
        work.adapter.merge_and_unload()
        work.adapter = None


@contextmanager
def attention_dropout(model: Any, rate: float) -> Iterator[None]:
    """Set the dropout of every attention layer inside the block, and restore it after.

    The layers copied the rate when they were made, so setting it on the config has no effect.
    """
    layers = [layer for layer in model.modules() if hasattr(layer, "attention_dropout")]
    before = [layer.attention_dropout for layer in layers]
    for layer in layers:
        layer.attention_dropout = rate
    try:
        yield
    finally:
        for layer, old in zip(layers, before):
            layer.attention_dropout = old
