"""A cross-encoder on the same backbone: both texts in, one score out. Slow for search, but a good teacher.

It is a sequence classifier with one label on `text EOS text EOS`, trained by binary cross-entropy on positives and hard
negatives, as sentence-transformers trains rerankers.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

from fmtbench.backbone import prepare
from fmtbench.embed.reranker import TRAINED
from fmtbench.embed.training.examples import Example
from fmtbench.embed.training.stage import TrainingStage
from fmtbench.embed.training.work import Supply, Work
from fmtbench.errors import UserError
from fmtbench.saving import saving


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class CrossEncoder(TrainingStage):
    """Trains a teacher and leaves the encoder unchanged."""

    def check(self, supply: Supply, name: str) -> Supply:
        if not supply.negatives:
            raise UserError(f"{name}: the examples have no negatives: put a mine stage before it")
        self.require(supply.examples * (1 + supply.negatives), "pairs", name)
        return replace(supply, teacher=True)

    def run(self, work: Work) -> dict[str, Any]:
        from datasets import Dataset
        from sentence_transformers.cross_encoder.losses import BinaryCrossEntropyLoss

        from fmtbench.embed.training.adapters import attach
        from fmtbench.embed.training.fitting import PairTrainer, run_trainer

        model = untrained(work)
        inside = model[0].model.base_model
        adapter = attach(inside, self.lora) if self.lora else None
        facts = run_trainer(
            PairTrainer,
            work.folder,
            work.seed,
            self,
            inside=model[0].model,
            model=model,
            loss=BinaryCrossEntropyLoss(model),
            train_dataset=Dataset.from_list(pairs(work.data.examples)),
        )
        if adapter is not None:
            adapter.merge_and_unload()
        with saving(work.folder):
            model.save_pretrained(str(work.folder / TRAINED), create_model_card=False)
        self.restore(work)
        return facts

    def restore(self, work: Work) -> None:
        work.teacher = work.folder / TRAINED


def pairs(examples: tuple[Example, ...]) -> list[dict[str, Any]]:
    """Rows with both texts, and the label 1.0 for a positive or 0.0 for a negative."""
    return [
        {"anchor": one.anchor, "other": text, "label": float(text is one.positive)}
        for one in examples
        for text in (one.positive, *one.negatives)
    ]


def untrained(work: Work) -> Any:
    """A sentence-transformers cross-encoder on the backbone's weights, with an untrained head."""
    from sentence_transformers import CrossEncoder as StockCrossEncoder
    from sentence_transformers.base.modules import Transformer
    from torch import nn

    found = work.backbone.resolve()
    revision = {"revision": found.revision} if found.revision else {}
    transformer = Transformer(
        str(prepare(found)),
        transformer_task="sequence-classification",
        max_seq_length=2 * work.loaded.spec.max_tokens,
        model_kwargs={"dtype": "float32", **revision},
        config_kwargs={"num_labels": 1, **revision},
        processor_kwargs=revision,
        modality_config={"text": {"method": "forward", "method_output_name": "logits"}},
        module_output_name="scores",
    )
    end_both(transformer.tokenizer)
    transformer.model.config.pad_token_id = transformer.tokenizer.pad_token_id
    return StockCrossEncoder(modules=[transformer], activation_fn=nn.Identity())


def end_both(tokenizer: Any) -> None:
    """Make the post-processor end each text of a pair with EOS."""
    from tokenizers.processors import TemplateProcessing

    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    eos = tokenizer.eos_token
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single=f"$A:0 {eos}:0", pair=f"$A:0 {eos}:0 $B:0 {eos}:0", special_tokens=[(eos, tokenizer.eos_token_id)]
    )


def scored(teacher: Path, examples: tuple[Example, ...], batch_size: int) -> list[Example]:
    """The examples with the teacher's scores. A teacher is any folder that sentence-transformers' CrossEncoder can load."""
    from sentence_transformers import CrossEncoder as StockCrossEncoder

    model = StockCrossEncoder(str(teacher), local_files_only=True)
    asked = [(one.anchor, text) for one in examples for text in (one.positive, *one.negatives)]
    scores = iter(model.predict(asked, batch_size=batch_size, show_progress_bar=False).tolist())
    return [replace(one, scores=tuple(float(next(scores)) for _ in (one.positive, *one.negatives))) for one in examples]
