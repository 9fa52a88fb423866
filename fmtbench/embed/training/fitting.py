"""What all training stages share: the libraries' trainers with checkpoints, a loss curve, and resuming.

A checkpoint holds the trained tensors, the optimiser and the random states, so that a killed stage continues with exactly the
numbers that it would have had. A half-written checkpoint has no file `complete` and is not used.
"""

from __future__ import annotations

import json
import logging
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from sentence_transformers.cross_encoder import CrossEncoderTrainer, CrossEncoderTrainingArguments
from sentence_transformers.sentence_transformer import SentenceTransformerTrainer, SentenceTransformerTrainingArguments
from torch import nn
from transformers import PrinterCallback, Trainer, TrainerCallback, TrainingArguments

from fmtbench.embed.pooling import pool, taking_part
from fmtbench.embed.spec import EncoderSpec
from fmtbench.embed.templates import Role
from fmtbench.embed.tokens import tokenise_each
from fmtbench.embed.training.adapters import prepare_weights, save_weights
from fmtbench.embed.training.examples import Example, by_source
from fmtbench.embed.training.sampling import PowerSampler
from fmtbench.embed.training.stage import TrainingStage
from fmtbench.embed.training.work import Work
from fmtbench.errors import UserError
from fmtbench.saving import saving
from fmtbench.store.files import append_to, write_text

logger = logging.getLogger(__name__)

QUIET_SECONDS = 20.0
TRAINED = "trained.safetensors"
COMPLETE = "complete"
NEAR_CHANCE = 0.95
"""A share of the loss of chance: a loss above it means that nothing was learnt."""
ASIDE = ("label", "instruction", "role")
"""Columns of a training set that are not texts."""
LOGGED = ("step", "epoch", "loss", "learning_rate", "empty", "terms")
"""What the curve keeps of a trainer's log. The last two are about lexical vectors: the share of texts without any, and terms per
text."""


class TrainedOnly:
    """A trainer whose checkpoints hold only the trained tensors; with LoRA, a few megabytes."""

    model: nn.Module
    args: Any

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        folder = Path(output_dir or self.args.output_dir)
        folder.mkdir(parents=True, exist_ok=True)
        trained = {name: one.detach().contiguous() for name, one in self.model.named_parameters() if one.requires_grad}
        with saving(folder):
            save_file(trained, folder / TRAINED)

    def _load_from_checkpoint(self, checkpoint: str, model: Any = None) -> None:
        self.model.load_state_dict(load_file(Path(checkpoint) / TRAINED), strict=False)

    def add_model_card_callback(self, default_args_dict: dict[str, Any]) -> None:
        """Write no model card, since the manifest says more."""


class EncoderTrainer(TrainedOnly, SentenceTransformerTrainer):
    """For encoders. A loss with an attribute `step` is told the current step, and its `said` is added to the curve."""

    def compute_loss(self, *inputs: Any, **others: Any) -> Any:
        if hasattr(self.loss, "step"):
            self.loss.step = self.state.global_step
        return super().compute_loss(*inputs, **others)

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        super().log({**logs, **getattr(self.loss, "said", {})} if "loss" in logs else logs, start_time)


class PairTrainer(TrainedOnly, CrossEncoderTrainer):
    """For cross-encoders."""


class TokenTrainer(TrainedOnly, Trainer):
    """For language models."""


ARGUMENTS: dict[type, Any] = {
    EncoderTrainer: SentenceTransformerTrainingArguments,
    PairTrainer: CrossEncoderTrainingArguments,
    TokenTrainer: TrainingArguments,
}


class Curve(TrainerCallback):
    """Writes `loss.jsonl`, one line per step, and now and then a line to stderr.

    On resuming, the lines up to the checkpoint are written again from the trainer's own log.
    """

    def __init__(self, path: Path, name: str) -> None:
        self.path, self.name = path, name
        self.said = self.started = time.monotonic()
        self.first = 0

    def on_train_begin(self, args: Any, state: Any, control: Any, **unused: Any) -> None:
        self.first = state.global_step
        lines = [_line(log) for log in state.log_history if "loss" in log]
        write_text(self.path, "".join(lines))

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **unused: Any) -> None:
        if "loss" not in (logs or {}):
            return
        append_to(self.path, _line({**logs, "step": state.global_step}).encode())
        now, done = time.monotonic(), state.global_step - self.first
        if now - self.said > QUIET_SECONDS or state.global_step == state.max_steps:
            self.said, pace = now, (now - self.started) / done
            left = pace * (state.max_steps - state.global_step)
            shown = f"step {state.global_step}/{state.max_steps}, loss {logs['loss']:.4f}, {pace:.2f} s a step, {left:.0f} s left"
            if "terms" in logs:
                shown += f", {logs['terms']:.0f} terms a text, {100 * logs['empty']:.0f} % of the texts have none"
            logger.info("%s: %s", self.name, shown)

    def on_save(self, args: Any, state: Any, control: Any, **unused: Any) -> None:
        (Path(args.output_dir) / f"checkpoint-{state.global_step}" / COMPLETE).touch()


def _line(log: dict[str, Any]) -> str:
    return json.dumps({name: log[name] for name in LOGGED if name in log}) + "\n"


def run_trainer(kind: type, folder: Path, seed: int, stage: TrainingStage, inside: Any, **parts: Any) -> dict[str, Any]:
    """Train with the settings of a stage, from the last complete checkpoint if there is one. Returns steps and losses.

    `inside` is the module that computes in `stage.precision`.
    """
    trainer = kind(args=arguments(kind, folder, seed, stage), callbacks=[Curve(folder / "loss.jsonl", folder.name)], **parts)
    trainer.remove_callback(PrinterCallback)  # the curve holds more
    last = last_checkpoint(folder / "checkpoints")
    if last is not None:
        logger.info("%s: continuing from step %s", folder.name, last.name.rpartition("-")[2])
    with rounded(inside, stage.precision):
        trainer.train(resume_from_checkpoint=str(last) if last else None)
    losses = [log["loss"] for log in trainer.state.log_history if "loss" in log]
    if not losses:
        raise UserError(f"{folder.name}: no batch of {stage.batch_size} examples is free of repeated texts: lower batch_size")
    return {"steps": trainer.state.global_step, "first_loss": losses[0], "last_loss": losses[-1]}


@contextmanager
def rounded(model: Any, precision: str) -> Iterator[None]:
    """Compute in this precision inside the model, and nowhere else, for the duration of the block.

    The trainer's own `bf16` would also round the cosines, too coarsely for a temperature of 0.01.
    """
    if precision == "float32":
        yield
        return
    model.forward = torch.autocast(model.device.type, getattr(torch, precision))(model.forward)
    try:
        yield
    finally:
        del model.forward


def arguments(kind: type, folder: Path, seed: int, stage: TrainingStage) -> Any:
    """The trainer's own arguments object."""
    several = "proportional" if stage.alpha == 1 else partial(PowerSampler, stage.alpha)
    sampler = {"batch_sampler": "no_duplicates", "multi_dataset_batch_sampler": several} if kind is EncoderTrainer else {}
    return ARGUMENTS[kind](
        output_dir=str(folder / "checkpoints"),
        seed=seed,
        max_steps=stage.steps or -1,
        num_train_epochs=stage.epochs,
        per_device_train_batch_size=stage.batch_size,
        learning_rate=stage.learning_rate,
        **({"learning_rate_mapping": rates} if (rates := stage.rates()) else {}),
        warmup_steps=stage.warmup if stage.warmup < 1 else int(stage.warmup),
        weight_decay=stage.weight_decay,
        logging_steps=1,  # resuming in the middle of a mean over several steps would lose it
        logging_nan_inf_filter=False,
        save_strategy="steps",
        save_steps=stage.save_every,
        save_total_limit=2,
        report_to="none",
        disable_tqdm=True,
        remove_unused_columns=False,
        dataloader_drop_last=True,
        dataloader_pin_memory=torch.accelerator.is_available(),
        **sampler,
    )


def last_checkpoint(folder: Path) -> Path | None:
    whole = [path.parent for path in folder.glob(f"checkpoint-*/{COMPLETE}")]
    return max(whole, key=lambda path: int(path.name.rpartition("-")[2]), default=None)


def drop_checkpoints(folder: Path) -> None:
    shutil.rmtree(folder / "checkpoints", ignore_errors=True)


# -- encoders in the trainer


class RowPooling(nn.Module):
    """Our own pooling after the transformer, so that training sees the same vectors as encoding."""

    def __init__(self, spec: EncoderSpec, dimension: int) -> None:
        super().__init__()
        self.spec, self.dimension = spec, dimension

    def forward(self, features: dict[str, Any]) -> dict[str, Any]:
        part_BL = taking_part(features["attention_mask"], features["start"], self.spec)
        features["sentence_embedding"] = pool(features["token_embeddings"], part_BL, self.spec.pooling)
        return features

    def get_embedding_dimension(self) -> int:
        return self.dimension


def trainable(model: Any, spec: EncoderSpec, modules: Sequence[nn.Module] = ()) -> Any:
    """The encoder's transformer with our pooling and further modules, as a model for the trainer."""
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(modules=[model[0], RowPooling(spec, model[0].get_embedding_dimension()), *modules])


def fit_encoder(
    work: Work,
    stage: TrainingStage,
    examples: Sequence[Example],
    loss: Callable[[Any], nn.Module],
    scored: bool = False,
    modules: Sequence[nn.Module] = (),
) -> dict[str, Any]:
    """Train an encoder's weights, or an adapter on them, and save what was trained. Returns steps and losses.

    `loss` maps a model to its loss module. `scored`: the examples carry a teacher's scores. `modules` come after the pooling and
    are trained with it; the caller saves them.
    """
    prepare_weights(work, stage.lora)
    model = trainable(work.loaded.model, work.loaded.spec, modules)
    facts = run_trainer(
        EncoderTrainer,
        work.folder,
        work.seed,
        stage,
        inside=work.weights,
        model=model,
        loss=loss(model),
        train_dataset=as_sets(examples, stage, work.folder.name, scored),
        data_collator=ColumnCollator(model.tokenizer, work.loaded.spec),
    )
    save_weights(work)
    return facts | said_of_chance(work.folder, stage.chance(sum(len(one.negatives) for one in examples) / len(examples)))


def said_of_chance(folder: Path, chance: float | None) -> dict[str, float]:
    """Warn if the last tenth of the steps is on average no better than chance. Returns the chance loss for the manifest."""
    if chance is None:
        return {}
    losses = [json.loads(line)["loss"] for line in (folder / "loss.jsonl").read_text(encoding="utf-8").splitlines()]
    last = losses[-max(1, len(losses) // 10) :]
    if (found := sum(last) / len(last)) > NEAR_CHANCE * chance:
        logger.warning(
            "%s: after its last step the loss is still at chance (%.2f, chance is %.2f): it has learnt nothing; train for more "
            "steps or at a higher learning_rate, or pool where search works untrained (study=layers)",
            folder.name,
            found,
            chance,
        )
    return {"chance": round(chance, 4)}


def as_sets(examples: Sequence[Example], stage: TrainingStage, name: str, scored: bool) -> Any:
    """One data set, or one per source if the examples have several, so that no batch mixes them."""
    from datasets import DatasetDict

    sources = by_source(examples)
    for source, its in sources.items():  # a set that does not fill one batch would be left out silently
        stage.require(len(its), f"examples of {source}" if source else "examples", name)
    made = {source: as_rows(its, scored) for source, its in sources.items()}
    return DatasetDict(made) if len(made) > 1 else next(iter(made.values()))


def as_rows(examples: Sequence[Example], scored: bool = False) -> Any:
    """The examples as a data set with columns anchor, positive, negative_1, ..."""
    from datasets import Dataset

    rows = []
    for one in examples:
        negatives = {f"negative_{number}": text for number, text in enumerate(one.negatives, start=1)}
        row = {
            "anchor": one.anchor,
            "positive": one.positive,
            **negatives,
            "instruction": one.instruction,
            "role": one.other_role,
        }
        rows.append(row | {"label": list(one.scores)} if scored else row)
    return Dataset.from_list(rows)


class ColumnCollator:
    """A collator for the trainer that tokenises each column as encoding does."""

    def __init__(self, tokenizer: Any, spec: EncoderSpec) -> None:
        self.tokenizer, self.spec = tokenizer, spec
        self.valid_label_columns = list(
            ASIDE
        )  # else the trainer, which keeps repeated texts out of a batch, would take these columns for texts

    def __call__(self, rows: list[dict[str, Any]]) -> dict[str, Any]:
        batch: dict[str, Any] = {}
        for column in rows[0]:
            if column not in ASIDE:
                batch |= {f"{column}_{name}": value for name, value in self._column(rows, column).items()}
        if "label" in rows[0]:
            batch["label"] = torch.tensor([row["label"] for row in rows])
        return batch

    def _column(self, rows: list[dict[str, Any]], column: str) -> dict[str, Any]:
        roles: list[Role] = ["query" if column == "anchor" else row["role"] for row in rows]
        instructions = [row["instruction"] for row in rows]
        tokens = tokenise_each(self.tokenizer, [row[column] for row in rows], self.spec, roles, instructions)
        padded = self.tokenizer.pad({"input_ids": [one.ids for one in tokens]}, return_tensors="pt")
        return {**padded, "start": torch.tensor([one.start for one in tokens])}
