"""LoRA on the weights of an encoder: on, saved, back again, merged; and attention dropout.

PEFT puts its layers into the model in place. The encoder keeps its model object, and the `PeftModel` around it is only
the handle that saves, merges and removes them, so that the causal language model which shares the weights has them too.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from fmtbench.embed.encoder import write_description
from fmtbench.embed.training.stage import Lora, Work
from fmtbench.errors import UserError

WEIGHTS = "weights.safetensors"
ADAPTER = "adapter"


def prepare_weights(work: Work, lora: Lora | None) -> None:
    """Decide what is trained: the adapter that is on, a fresh one, or all weights."""
    if lora is None:
        merge(work)
        work.weights.requires_grad_(True)
    elif work.adapter is None:
        work.adapter = attach(work.weights, lora)


def attach(model: Any, lora: Lora) -> Any:
    """A fresh adapter in the model's layers, and the handle to it. Its random numbers are torch's: seed them before."""
    from peft import LoraConfig, get_peft_model

    targets = lora.targets if isinstance(lora.targets, str) else list(lora.targets)
    config = LoraConfig(r=lora.rank, lora_alpha=lora.alpha, lora_dropout=lora.dropout, target_modules=targets)
    try:
        return get_peft_model(model, config)
    except ValueError as error:
        raise UserError(f"lora.targets={targets} are no layers of this backbone: name some, or give all-linear") from error


def save_weights(work: Work) -> None:
    """What was trained, into the stage's folder: the adapter, or all weights."""
    from safetensors.torch import save_model

    if work.adapter is None:
        save_model(work.weights, str(work.folder / WEIGHTS))
        return
    folder = work.folder / ADAPTER
    work.adapter.peft_config["default"].base_model_name_or_path = work.loaded.backbone
    work.adapter.save_pretrained(str(folder), save_embedding_layers=False)
    write_description(folder, work.loaded)


def restore_weights(work: Work) -> None:
    """The reverse of `save_weights`."""
    from peft import PeftModel
    from safetensors.torch import load_model

    if (work.folder / WEIGHTS).is_file():
        merge(work)
        load_model(work.weights, str(work.folder / WEIGHTS))
        return
    if work.adapter is not None:
        work.adapter.unload()
    work.adapter = PeftModel.from_pretrained(work.weights, str(work.folder / ADAPTER), is_trainable=True)


def merge(work: Work) -> None:
    """Add the adapter into the weights and take its layers out; nothing without an adapter."""
    if work.adapter is not None:
        work.adapter.merge_and_unload()
        work.adapter = None


@contextmanager
def attention_dropout(model: Any, rate: float) -> Iterator[None]:
    """Inside the block, every attention layer drops so many of its weights in training; afterwards as before.

    The layers copied the rate when they were made: to set the config does nothing.
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
