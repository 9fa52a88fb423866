"""Count how many JSON schemas a decoder can declare, compile within the limits, and keep: a table by subset.

    python -m experiments.coverage data_root=FOLDER limit=10
    python -m experiments.coverage data_root=FOLDER schemas.subsets=[JME] decoder=xgrammar
    python -m experiments.coverage generate=false               no model: declared and compiled only

Writes coverage.csv, coverage.md and schemas.jsonl (one line per schema) to results/coverage/<backbone>/<decoder>/.
"""

from __future__ import annotations

import json
import logging
from dataclasses import asdict
from pathlib import Path

from omegaconf import DictConfig

from fmtbench.errors import UserError

from .reporting.progress import progress
from .starting.build import build
from .starting.start import start

logger = logging.getLogger(__name__)


def main(config: DictConfig) -> None:
    from fmtbench.analysis.showing.markdown import to_markdown
    from fmtbench.probes.schema_coverage import compile_schema, generate, table
    from fmtbench.store.csv_text import csv_text
    from fmtbench.store.files import writable, write_text
    from fmtbench.store.folder import cell_path

    if config.limit is not None and config.limit < 1:
        raise UserError(f"limit={config.limit}: give a number above 0, or leave limit out to use all schemas")
    folder = writable(cell_path(Path(config.results), "coverage", config.backbone.name, config.decoder))
    schemas, backend, backbone = (build(config[name], name) for name in ("schemas", "backend", "backbone"))
    verdicts = []
    for subset in schemas.subsets:
        try:
            found = schemas.schemas(subset)[: config.limit]
        except UserError as error:
            logger.warning("%s is left out: %s", subset, error)
            continue
        verdicts += [compile_schema(backend, backbone, subset, name, schema) for name, schema in found]
        logger.info("%s: %d schemas compiled or barred", subset, len(found))
    if not verdicts:
        raise UserError("no subset could be read: set data_root to a folder that holds jsonschemabench/, or go online")
    if config.generate:
        generate(backend, backbone, verdicts, config.max_tokens, progress)
    lines = table(verdicts)
    write_text(folder / "coverage.csv", csv_text(lines))
    text = to_markdown(lines if config.generate else lines[["subset", "schemas", "declared", "compiled"]])
    write_text(folder / "coverage.md", text)
    records = (json.dumps(asdict(one), ensure_ascii=False) + "\n" for one in verdicts)
    write_text(folder / "schemas.jsonl", "".join(records))
    print(f"{text}\nIn {folder}: coverage.md, coverage.csv, schemas.jsonl")


if __name__ == "__main__":
    start("coverage", main)
