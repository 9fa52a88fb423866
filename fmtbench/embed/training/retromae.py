"""RetroMAE (Xiao et al. 2022, arXiv 2205.12035): teaches an encoder, from texts alone, to put a text into one vector.

The encoder sees a text with some tokens masked. A one-layer decoder has to predict every token from the text's vector and a
random part of the other tokens, drawn for each place (enhanced decoding), which is possible only if the vector holds the text.
The decoder starts as the backbone's last layer and is discarded after training, so the encoder keeps the backbone's shape.

Shapes: B texts, L tokens, D dimensions, P = L + 1 places. Place 0 is the text's vector, place i + 1 is token i.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from fmtbench.embed.training.stage import TrainingStage
from fmtbench.embed.training.work import Supply, Work


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class RetroMAE(TrainingStage):
    """Needs only texts, without a template. Attention and pooling are the encoder's own; the paper's attention is bidirectional.

    The loss is the sum of the encoder's and the decoder's cross-entropy, each a mean over its tokens.
    """

    masked: float = Field(default=0.3, gt=0, lt=1)
    """The share of tokens that the encoder does not see. It predicts each from the state before it, as in MNTP."""
    decoder_masked: float = Field(default=0.5, gt=0, lt=1)
    """The share of the other tokens that each place of the decoder does not see."""
    mask_token: str = "_"
    """The token that stands for a masked one: decoder-only models have no mask token."""

    def check(self, supply: Supply, name: str) -> Supply:
        self.require(supply.texts, "texts", name)
        return replace(supply, adapter=self.lora is not None)

    def run(self, work: Work) -> dict[str, Any]:
        from transformers import DataCollatorWithPadding

        from fmtbench.embed.training.adapters import prepare_weights, save_weights
        from fmtbench.embed.training.fitting import TokenTrainer, run_trainer
        from fmtbench.embed.training.mntp import causal_lm, masking
        from fmtbench.embed.training.rebuilding import HiddenTokens, Rebuilding, decoder_of

        prepare_weights(work, self.lora)
        tokenizer = masking(work.loaded.model.tokenizer, self.mask_token)
        tokenizer.padding_side = "right"  # the decoder counts places from the vector
        ids = tokenizer(list(work.data.texts), truncation=True, max_length=work.loaded.spec.max_tokens).input_ids
        lm = causal_lm(work.weights, work.backbone)
        masks = HiddenTokens(self.masked, self.decoder_masked, tokenizer.mask_token_id, tokenizer.all_special_ids)
        model = Rebuilding(work.weights, lm.get_output_embeddings(), decoder_of(lm), work.loaded.spec, masks)
        facts = run_trainer(
            TokenTrainer,
            work.folder,
            work.seed,
            self,
            inside=model,
            model=model,
            train_dataset=[{"input_ids": one} for one in ids if len(one) > 1],
            data_collator=DataCollatorWithPadding(tokenizer),
        )
        save_weights(work)
        return facts
