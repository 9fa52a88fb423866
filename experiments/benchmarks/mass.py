"""What removed mass costs on top of the forward pass it needs: the same prompts and replies, read by transformers alone."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import torch

from fmtbench.backends.tokens import decode_with_ends, prompt
from fmtbench.decoding.sandbox import Limits
from fmtbench.probes.mass import Held, MassProbe, MassSettings
from fmtbench.probes.replay import batches
from fmtbench.probes.replies import ProbedReply, probed
from fmtbench.running.job import Job
from fmtbench.running.planning import plan
from fmtbench.types import Generation

from .measure import BenchmarkResult, Target, paired

RATIONALE = "First we add the tens and then the ones, and carry what is left; that gives the sum which was asked for. " * 4


def removed_mass(job: Job, pairs: int) -> BenchmarkResult:
    """Seconds of the probe, with masks and records, over those of the bare pass. The replies are made up, not generated."""
    probe = MassSettings().open(job.backbone, "outlines", Limits(seconds=60))
    replies = written_replies(job, probe)
    held = list(probe.missing(replies))
    tokens = sum(len(one.generation.token_ids) for one in replies)

    def ours() -> float:
        started = time.perf_counter()
        count = sum(1 for _ in probe.measure(list(probe.missing(replies))))
        assert count == len(replies)
        return time.perf_counter() - started

    ours()  # a warm-up: compiles the grammars and caches the masks
    return BenchmarkResult(
        name="removed_mass",
        what="seconds of the probe over those of the bare teacher-forced pass of the same tokens",
        ratios=paired(ours, lambda: bare(probe, held), pairs),
        target=Target(sense="at most", value=1.5),
        notes=f"{len(replies)} replies of {tokens / len(replies):.0f} tokens, {probe.reference.vocabulary} logits",
    )


def written_replies(job: Job, probe: MassProbe) -> list[ProbedReply]:
    """A made-up reply to each request of the job, in its condition's form."""
    found = []
    for cell, planned in plan(job).items():
        task, condition = job.tasks[cell.task], job.conditions[cell.condition]
        for one in planned:
            text = condition.example(task.kind(one.item), RATIONALE, one.item.gold)
            generation = spelt(probe.reference.tokenizer, one.request.key, text)
            found.append(probed(one, generation, condition, task))
    return found


def spelt(tokenizer: Any, key: str, text: str) -> Generation:
    ids = [*tokenizer(text, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]
    text, ends = decode_with_ends(tokenizer, ids)
    return Generation(key=key, text=text, token_ids=tuple(ids), token_ends=ends)


@torch.inference_mode()  # type: ignore[untyped-decorator]
def bare(probe: MassProbe, held: Sequence[Held]) -> float:
    """Seconds of a plain loop over the same batches, with the head applied only at the positions of the replies."""
    started = time.perf_counter()
    model, tokenizer = probe.reference.model, probe.reference.tokenizer
    asked = [list(prompt(tokenizer, one.reply.request).ids) for one in held]
    said = [list(one.reply.generation.token_ids) for one in held]
    for batch in batches([len(a) + len(b) for a, b in zip(asked, said)], probe.reference.batch_tokens):
        padded = tokenizer.pad({"input_ids": [asked[k] + said[k] for k in batch]}, return_tensors="pt", padding_side="right")
        hidden_NLH = model.model(**padded.to(model.device), use_cache=False).last_hidden_state
        for hidden_LH, k in zip(hidden_NLH, batch):
            model.lm_head(hidden_LH[len(asked[k]) - 1 : len(asked[k]) + len(said[k]) - 1])
    return time.perf_counter() - started
