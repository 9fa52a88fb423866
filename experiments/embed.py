"""Turn texts into vectors with the backbones that also generate; judge encoders; measure drift.

    python -m experiments.embed texts=file.jsonl output=DIR
    python -m experiments.embed texts=file.jsonl output=DIR embedder=prompteol embed_backend=vllm
    python -m experiments.embed embedder=[last_token,tfidf] embed_task=[korsts,scifact] data_root=DATA output=DIR
    python -m experiments.embed embedder=[last_token,tfidf] trained=[DIR,DIR] embed_task=[stsb] data_root=DATA output=DIR
    python -m experiments.embed embedder=bge_m3 heads=[dense,sparse,multi] embed_task=[scifact] data_root=DATA output=DIR
    python -m experiments.embed study=drift results=results/first embedder=prompteol output=DIR
    python -m experiments.embed study=layers embedder=[last_token,prompteol] embed_task=[scifact] data_root=DATA output=DIR
    python -m experiments.embed embed_task=mteb mteb_task=[STSBenchmark,KLUE-STS] output=DIR
    python -m experiments.embed embedder=bm25 reranker=bge_reranker_m3 embed_task=scifact data_root=DATA output=DIR
    python -m experiments.embed experiment=seed_systems data_root=DATA output=DIR

texts= takes JSON lines with "id" and "text"; DIR gets vectors.parquet (id, vector: unit float32) and manifest.json. Memory holds
one chunk at a time, however many texts there are, and the same command resumes after a kill.
embed_task= gives one table of embedders x tasks: table.md, table.csv (with the subsets of each task), and mteb/, mteb's own
result files with all of its metrics. mteb_task= also takes a list; 'benchmark="MTEB(kor, v1)"' takes all tasks of a benchmark.
reranker= adds a row per embedder in which the top candidates=100 of each search are reranked, with the seconds per query.
heads= gives an encoder like BGE-M3 one row per head, one for dense+sparse, and one for all three.
experiment=seed_systems trains and judges its systems: table.md, and pairs.md with what each part adds; size=test is a short run.
study=drift writes drift.csv, .md and .png; study=layers the score of each layer and pooling from one pass: layers.csv and .md.
Further settings: backbone=local backbone.path=FOLDER_OR_GGUF backbone.name=mine, embedder=saved embedder.saved.path=FOLDER for
a trained or saved encoder, embedder.last_token.max_tokens=256 for the longest text.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from fmtbench.embed.candidates import DEPTH
from fmtbench.errors import UserError

from .embedding.parts import build_embed_backend, checked_reranker, embed_tasks, write_table
from .starting.build import build, build_group
from .starting.start import start

logger = logging.getLogger(__name__)

HEADS = ("dense", "sparse", "multi")


def main(config: DictConfig) -> None:
    chosen(config)(config)


def chosen(config: DictConfig) -> Callable[[DictConfig], None]:
    """The function that does what was asked. Raises `UserError` if that is nothing, several things, or a value is wrong."""
    _check_values(config)
    if config.study == "systems":
        return compare_systems
    _check_together(config)
    if config.study == "layers":
        return layers
    asked = {"texts=": bool(config.texts), "embed_task=": bool(config.embed_task), "study=": bool(config.study)}
    if sum(asked.values()) != 1:
        given = ", ".join(name for name, there in asked.items() if there) or "none"
        raise UserError(f"give exactly one of texts=FILE, embed_task=[...] and study=drift; given: {given}")
    return embed if config.texts else evaluate if config.embed_task else drift


def _check_values(config: DictConfig) -> None:
    if config.limit is not None and config.limit < 1:
        raise UserError(f"limit={config.limit}: give a number above 0, or leave limit out to use all")
    if config.study not in (None, "drift", "layers", "systems"):
        raise UserError(f"study={config.study}: allowed are drift, layers, systems")
    if config.view not in ("rationale", "reply"):
        raise UserError(f"view={config.view}: allowed are rationale, reply")
    if config.role not in ("query", "document"):
        raise UserError(f"role={config.role}: allowed are query, document")
    if config.chunk < 1:
        raise UserError(f"chunk={config.chunk}: give a number of texts above 0")
    if not 0 < config.candidates <= DEPTH:
        raise UserError(f"candidates={config.candidates}: give a number from 1 to {DEPTH}")
    if (config.study == "systems") != bool(config.systems):
        raise UserError("study=systems and its systems: come together, from an experiment: give experiment=seed_systems")


def _check_together(config: DictConfig) -> None:
    """Raises `UserError` for settings that need one another, or rule each other out."""
    if config.study == "layers" and (config.texts or config.trained or not config.embed_task):
        raise UserError("study=layers judges embedder= on embed_task=[...]: give both, and neither texts= nor trained=")
    if config.layers and config.study != "layers":
        raise UserError("layers= chooses layers of study=layers: for one encoder give embedder.NAME.layers=N")
    _check_heads(config)
    if config.trained and not config.embed_task:
        raise UserError(
            "trained= adds rows to the table of embed_task=: for texts= and study= give embedder=saved embedder.saved.path=FOLDER"
        )
    if config.reranker and not config.embed_task:
        raise UserError("reranker= orders what embed_task= finds: give embed_task=[...], or leave it out")
    if not config.embedder and not config.trained:
        raise UserError("no embedder is chosen: give embedder=NAME or embedder=[...] with names from conf/embedder")


def _check_heads(config: DictConfig) -> None:
    heads = None if config.heads is None else list(config.heads)
    if heads is not None and (not heads or not set(heads) <= set(HEADS) or len(set(heads)) < len(heads)):
        raise UserError(f"heads={heads}: give one or more of {', '.join(HEADS)}, each once, or leave heads out for dense alone")
    if heads is not None and not config.embed_task:
        raise UserError("heads= adds rows to the table of embed_task=: leave it out for texts= and study=")
    if config.fusion not in ("sum", "rrf"):
        raise UserError(f"fusion={config.fusion}: allowed are sum, rrf")


def embed(config: DictConfig) -> None:
    """Write vectors.parquet and manifest.json, a chunk of texts at a time; chunks already there are not embedded again."""
    from fmtbench.embed.vectors import VectorFile, check_texts
    from fmtbench.store.files import writable
    from fmtbench.store.provenance import provenance
    from fmtbench.tasks.data_file import stream_jsonl

    name, encoder = one_encoder(config)

    def rows() -> Iterator[dict[str, Any]]:
        return stream_jsonl(Path(config.texts))

    checked = check_texts(rows, config.texts)
    output, backend = writable(Path(config.output)), build_embed_backend(config)
    facts = {
        "identity": encoder.identity(),
        "items_sha256": checked.sha256,
        "role": config.role,
        "instruction": config.instruction,
    }
    file = VectorFile(output, facts | {"engine": backend.score_key, "chunk": config.chunk})
    found = file.manifest()
    if found is None:
        with backend.open(encoder) as embedder:

            def encode(texts: Sequence[str]) -> Any:
                return embedder.encode(texts, config.role, config.instruction)

            file.fill(rows, config.texts, checked.texts, config.chunk, encode)
            facts |= {"embedder": name, "texts": checked.texts, "engine": embedder.facts()}
        found = file.join(provenance() | facts, config.chunk)
        if found["cut"]:
            limit = embedder.spec.max_tokens
            logger.info("%d of %d texts were longer than %d tokens and were cut", found["cut"], checked.texts, limit)
    print(f"{output / 'vectors.parquet'}: {checked.texts} vectors of {dimensions(output)} dimensions")


def dimensions(output: Path) -> int:
    import pyarrow.parquet as pq

    return int(pq.read_schema(output / "vectors.parquet").field("vector").type.list_size)


def vector_encoders(config: DictConfig) -> dict[str, Any]:
    """The embedders of a config. Raises `UserError` for a lexical baseline, which has no vectors."""
    encoders = build_group(config.embedder)
    for name, encoder in encoders.items():
        if not hasattr(encoder, "load"):
            raise UserError(f"embedder={name} compares texts without vectors: choose an encoder for texts= and study=")
    return encoders


def one_encoder(config: DictConfig) -> tuple[str, Any]:
    """The single embedder of a config, with its name. Raises `UserError` if there are several."""
    if len(config.embedder) != 1:
        raise UserError(f"texts= takes one embedder, got {', '.join(map(str, config.embedder))}")
    ((name, encoder),) = vector_encoders(config).items()
    return name, encoder


def evaluate(config: DictConfig) -> None:
    """Print one table of embedders x tasks, and write table.csv (long), table.md and scores.jsonl (the journal)."""
    from fmtbench.embed.candidates import check_candidates
    from fmtbench.embed.evaluation import evaluate
    from fmtbench.store.files import writable

    reranker = checked_reranker(config)
    embedders, backend = {**build_group(config.embedder), **trained(config)}, build_embed_backend(config)
    embedders, made = with_heads(config, embedders), embed_tasks(config)
    if reranker:
        check_candidates(made, config.candidates)
    output = writable(Path(config.output))
    journal, files, candidates = (output / name for name in ("scores.jsonl", "mteb", "candidates"))
    scores = evaluate(embedders, made, backend, journal, files, candidates if reranker else None)
    if reranker:
        from fmtbench.embed.reranking import rerank

        scores += rerank(scores, made, reranker, config.candidates, journal, candidates, files)
    write_table(scores, output)


def with_heads(config: DictConfig, embedders: dict[str, Any]) -> dict[str, Any]:
    """One embedder per row of heads=, in place of the encoders. Raises `UserError`, also if an encoder lacks a head."""
    from fmtbench.embed.head_rows import head_rows

    if config.heads is None:
        return embedders
    if not str(config.embed_backend._target_).endswith(".STEmbedBackend"):
        raise UserError("heads= needs the hidden states of every token: give embed_backend=st")
    index = Path(config.output) / "index"
    return head_rows(embedders, heads=list(config.heads), candidates=config.candidates, fusion=config.fusion, index=index)


def layers(config: DictConfig) -> None:
    """Write layers.csv and layers.md, layer x pooling for each embedder and task, and scores.jsonl (the journal)."""
    import pandas as pd

    from fmtbench.analysis.showing.markdown import to_markdown
    from fmtbench.embed.evaluation import evaluate
    from fmtbench.embed.layers import EveryLayer, layer_lines, variants
    from fmtbench.embed.st import STEmbedBackend
    from fmtbench.store.csv_text import csv_text
    from fmtbench.store.files import writable, write_text

    encoders, backend, lines = backbone_encoders(config), build_embed_backend(config), list[dict[str, Any]]()
    if not isinstance(backend, STEmbedBackend):
        raise UserError("study=layers needs embed_backend=st, which shows what each layer leaves")
    tasks, output = embed_tasks(config), writable(Path(config.output))
    for name, encoder in encoders.items():
        asked = variants(encoder, list(config.layers or []))
        named = {f"{name} {layer} {way}": one for (layer, way), one in asked.items()}
        found = evaluate(named, tasks, EveryLayer(encoder, list(asked.values()), backend), output / "scores.jsonl")
        lines += layer_lines(name, asked, found)
    table = pd.DataFrame(lines)
    write_text(output / "layers.csv", csv_text(table))
    shown = table.apply(lambda column: column.map("{:.1f}".format).replace("nan", "") if column.dtype == float else column)
    write_text(output / "layers.md", to_markdown(shown))
    print(to_markdown(shown), end="")


def backbone_encoders(config: DictConfig) -> dict[str, Any]:
    """The embedders of a config. Raises `UserError` for one that is not made here from a backbone."""
    encoders = vector_encoders(config)
    for name, encoder in encoders.items():
        if not hasattr(encoder, "layers"):
            raise UserError(f"embedder={name} is a saved folder: study=layers takes encoders of a backbone, such as mean")
    return encoders


def trained(config: DictConfig) -> dict[str, Any]:
    """The encoders under the folders of trained=, each by its folder's name, with its seed if there are several."""
    from fmtbench.embed.saved import SavedEncoder

    backbone, found = build(config.backbone, "backbone"), dict[str, Any]()
    for folder in map(Path, config.trained):
        places = sorted(path.parent for path in folder.glob("seed*/encoder")) or [folder]
        for place in places:
            name = "/".join(place.parts[-1 if place == folder else -2 :])
            found[str(place) if name in found else name] = SavedEncoder(path=str(place), backbone=backbone)
    return found


def drift(config: DictConfig) -> None:
    """Write drift.csv and drift.md, and drift.png if a gate was passed; print the table."""
    from fmtbench.analysis.rows.frame import load_rows
    from fmtbench.analysis.showing.drift_figure import drift_figure
    from fmtbench.analysis.showing.figures import save
    from fmtbench.analysis.showing.markdown import to_markdown
    from fmtbench.store.csv_text import csv_text
    from fmtbench.store.files import writable, write_text

    from .reporting.rationale_drift import CAPTION, drift_table, shown_drift

    if not config.results:
        raise UserError("study=drift needs results=FOLDER, the results folder of a run with sampling.samples of at least 2")
    rows, encoders, backend = load_rows(config.results), vector_encoders(config), build_embed_backend(config)
    output = writable(Path(config.output))
    table = drift_table(rows, encoders, backend.open, config.free, config.view)
    write_text(output / "drift.csv", csv_text(table))
    text = f"{to_markdown(shown_drift(table))}\n{CAPTION}"
    write_text(output / "drift.md", text)
    print(text, end="")
    try:
        save(drift_figure(table), output / "drift", {"runs": Path(config.results).name, "commit": ", ".join(encoders)})
    except UserError as error:  # a failed gate is a finding, and the table reports it
        logger.info("no figure: %s", error)
        for old in ("drift.pdf", "drift.png"):
            (output / old).unlink(missing_ok=True)


def compare_systems(config: DictConfig) -> None:
    """Write table.md, table.csv, pairs.md and pairs.csv for an experiment's systems, training those not trained yet."""
    from .embedding.systems import compare

    compare(config)


if __name__ == "__main__":
    start("embed", main)
