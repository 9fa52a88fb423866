"""Masked next-token prediction (LLM2Vec, BehnamGhader et al. 2024, arXiv 2404.05961): adapts a model to bidirectional attention.

Tokens are masked as for BERT; the masked token i is predicted from position i - 1. The loss of a causal language model
already shifts its labels by one, so masked labels are enough.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from fmtbench.backbone import Backbone, prepare
from fmtbench.embed.training.stage import TrainingStage
from fmtbench.embed.training.work import Supply, Work
from fmtbench.errors import UserError


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class MNTP(TrainingStage):
    """Needs only texts, and uses no template."""

    masked: float = Field(default=0.2, gt=0, lt=1)
    """The share of tokens that are masked."""
    mask_token: str = "_"
    """The token that stands for a masked one: decoder-only models have no mask token."""

    def check(self, supply: Supply, name: str) -> Supply:
        self.require(supply.texts, "texts", name)
        return replace(supply, adapter=self.lora is not None)

    def run(self, work: Work) -> dict[str, Any]:
        from transformers import DataCollatorForLanguageModeling

        from fmtbench.embed.training.adapters import prepare_weights, save_weights
        from fmtbench.embed.training.fitting import TokenTrainer, run_trainer

        prepare_weights(work, self.lora)
        tokenizer = masking(work.loaded.model.tokenizer, self.mask_token)
        ids = tokenizer(list(work.data.texts), truncation=True, max_length=work.loaded.spec.max_tokens).input_ids
        model = with_head(work.weights, work.backbone)
        facts = run_trainer(
            TokenTrainer,
            work.folder,
            work.seed,
            self,
            inside=model,
            model=model,
            train_dataset=[{"input_ids": one} for one in ids if len(one) > 1],
            data_collator=DataCollatorForLanguageModeling(tokenizer, mlm=True, mlm_probability=self.masked),
        )
        save_weights(work)
        return facts


def masking(tokenizer: Any, mask_token: str) -> Any:
    """A copy of the tokenizer with a mask token."""
    masks = copy.deepcopy(tokenizer)
    if masks.convert_tokens_to_ids(mask_token) in (None, masks.unk_token_id):
        raise UserError(f"mask_token={mask_token!r} is no token of this backbone: choose one from its vocabulary")
    masks.mask_token = mask_token
    return masks


def causal_lm(weights: Any, backbone: Backbone) -> Any:
    """The backbone as a causal language model, freshly loaded in the dtype of these weights."""
    from transformers import AutoModelForCausalLM

    found = backbone.resolve()
    return AutoModelForCausalLM.from_pretrained(
        prepare(found), revision=found.revision, dtype=weights.dtype, use_safetensors=True
    )


def with_head(weights: Any, backbone: Backbone) -> Any:
    """The causal language model around the encoder's own weights; its head is the backbone's and is not trained."""
    model = causal_lm(weights, backbone)
    setattr(model, model.base_model_prefix, weights)
    model.get_output_embeddings().requires_grad_(False)
    return model
