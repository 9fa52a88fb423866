"""Compare the masking libraries: random walks through their masks, and real generations.

    python -m experiments.decoders                                 1000 walks, and 200 generations under each decoder
    python -m experiments.decoders walks=200 generations=0         no weights are loaded
    python -m experiments.decoders backend=vllm output=decoders.md

The grammars are those of the tasks under the constrained conditions. Each output must validate against its schema, keep the
order of its keys, and have at most one space between tokens; the exit code is 1 if any output does not. Places where the masks
disagree after the same prefix are counted and listed, but are not an error.
"""

from __future__ import annotations

import json
import random
import re
from importlib.util import find_spec
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from fmtbench.errors import BarredError, DecoderError, UserError
from fmtbench.store.files import write_text
from fmtbench.types import Constraint, Request

from .run import make_job
from .starting.build import build
from .starting.start import start

PACKAGES = {"outlines": "outlines_core", "xgrammar": "xgrammar", "guidance": "llguidance"}
STRING = re.compile(r'"(?:[^"\\]|\\.)*"')


def main(config: DictConfig) -> None:
    for key in ("walks", "generations"):
        if config[key] < 0:
            raise UserError(f"{key}={config[key]}: give a whole number, or 0 for none")
    from fmtbench.running.planning import plan

    job = make_job(config)
    requests = [one.request for planned in plan(job).values() for one in planned if one.request.constraint]
    if not requests:
        raise UserError("no condition here has a grammar: give condition=[json_schema]")
    names = [name for name, package in PACKAGES.items() if find_spec(package)]
    lines: list[str] = []
    broken: list[str] = []
    for name in names if config.generations else ():
        said, wrong = generations(name, job, config, requests)
        lines, broken = [*lines, said], [*broken, *wrong]
    if config.walks:
        said_of_walks, wrong = walks(job.backbone, config, names, requests)
        lines, broken = [*lines, *said_of_walks], [*broken, *wrong]
    text = "\n".join([*lines, f"{len(broken)} outputs break their schema, key order or whitespace rule", *broken[:20]])
    print(text)
    if config.output:
        write_text(Path(config.output), text + "\n")
    if broken:
        raise DecoderError(f"{len(broken)} outputs break their contract")


def walks(backbone: Any, config: DictConfig, names: list[str], requests: list[Request]) -> tuple[list[str], list[str]]:
    """The lines of the report on the walks, and one line for each output that breaks its contract."""
    import torch

    from fmtbench.backends.admission import sandbox
    from fmtbench.decoding.sandbox import Limits
    from fmtbench.probes.walks import Comparison

    torch.set_num_threads(1)  # masks are small, so threads would only wait for each other
    limits = Limits(seconds=config.compile.seconds, memory_gb=config.compile.memory_gb)
    sandboxes: dict[str, Any] = {name: sandbox(backbone, name, limits) for name in names}
    decoders = {name: box.decoder for name, box in sandboxes.items()}
    tokenizer = decoders[names[0]].tokenizer
    comparison = Comparison(decoders, len(tokenizer))
    schemas = [one for one in dict.fromkeys(request.constraint for request in requests) if one and one.kind == "json_schema"]
    grammars = {one: {name: decoders[name].load(box.payload(one)) for name, box in sandboxes.items()} for one in schemas}
    broken, ended = [], 0
    for number, (schema, driver) in enumerate(islice(zip(cycle(schemas), cycle(names)), config.walks)):
        ids = comparison.walk(grammars[schema], driver, random.Random(f"{config.seed}/{number}"))
        if ids is not None:
            ended += 1
            broken += complaint(schema, tokenizer.decode(ids, skip_special_tokens=True), f"walk {number} by {driver}")
    for box in sandboxes.values():
        box.close()
    head = f"{config.walks} walks over {len(schemas)} grammars, {ended} of them to the end"
    return [head, *disagreements(comparison, tokenizer)], broken


def disagreements(comparison: Any, tokenizer: Any) -> list[str]:
    from fmtbench.probes.walks import classify

    lines = []
    for (one, other), found in comparison.differences.items():
        lines.append(
            f"{one} and {other}: {found.steps} common prefixes, masks differ at {found.differing}, {found.left} walks parted"
        )
        for name, counts in found.only.items():
            tokens = sorted(counts.nonzero().flatten().tolist(), key=lambda token: -counts[token])
            for kind, members in classify(tokenizer, tokens).items():
                shown = ", ".join(f"{tokenizer.convert_ids_to_tokens(token)!r} x{counts[token]}" for token in members[:12])
                lines.append(f"  only {name}: {len(members)} tokens, {kind}: {shown}")
    return lines


def generations(name: str, job: Any, config: DictConfig, requests: list[Request]) -> tuple[str, list[str]]:
    """Real replies under one decoder: a line on how they ended, and one line for each that breaks its contract or fails."""
    backend = build(OmegaConf.merge(config.backend, {"decoder": name}), "backend")
    asked = list({request.key: request for request in requests}.values())[: config.generations]
    constraints = {request.key: request.constraint for request in asked}
    try:
        with backend.open(job.backbone) as session:
            done = list(session.generate(asked))
    except BarredError as error:
        return f"{name}: {error}", []
    reasons = {reason: sum(one.finish_reason == reason for one in done) for reason in ("stop", "length", "error")}
    broken = [line for one in done if one.finish_reason == "stop" for line in complaint(constraints[one.key], one.text, name)]
    broken += [f"{name}: {one.error}" for one in done if one.finish_reason == "error"]
    masked = sorted({one.decoder for one in done})
    return f"{len(done)} generations masked by {', '.join(masked)}: {reasons}", broken


def complaint(constraint: Constraint | None, text: str, where: str) -> list[str]:
    """What is wrong with a finished output, as a list of at most one line."""
    import jsonschema

    if constraint is None or constraint.kind != "json_schema":
        return []
    schema = json.loads(constraint.source)
    try:
        value = json.loads(text)
        jsonschema.validate(value, schema)
    except (ValueError, jsonschema.ValidationError) as error:
        return [f"{where}: {str(error).splitlines()[0]}: {text!r}"]
    if list(value) != list(schema["properties"]):
        return [f"{where}: keys {list(value)}, expected {list(schema['properties'])}: {text!r}"]
    return [f"{where}: more than one space: {text!r}"] if re.search(r"\s\s|[\t\n\r]", STRING.sub('""', text)) else []


if __name__ == "__main__":
    start("decoders", main)
