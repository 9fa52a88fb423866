"""RetroMAE (Xiao et al. 2022, arXiv 2205.12035): texts alone teach an encoder to put a text into one vector.

The encoder sees a text of which some tokens are masked. A decoder of one layer has to name every token from the text's vector and
a part of the other tokens, another random part for each place (enhanced decoding), which it can only where the vector holds the
text. The decoder starts as the backbone's last layer and is thrown away, so the encoder keeps the backbone's shape.

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
    """Texts alone, without a template; attention and pooling are the encoder's own, and the paper's is bidirectional.

    The loss is the sum of both cross-entropies, each a mean over its tokens.
    """

    masked: float = Field(default=0.3, gt=0, lt=1)
    """Share of the tokens that the encoder does not see. It names them from the state before each, as in MNTP."""
    decoder_masked: float = Field(default=0.5, gt=0, lt=1)
    """Share of the other tokens that each place of the decoder does not see."""
    mask_token: str = "_"
    """Decoder-only models have no mask token of their own."""

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
        tokenizer.padding_side = "right"  # the decoder counts places from the vector on
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
