"""Keep what the study of interventions is shown from: the derived files of its run folders, small enough to commit.

    python paper/interventions/make.py RESULTS [OUTPUT]

RESULTS is the folder in which `interventions` lies, after its run and its probes (docs/guides/interventions.md), with its swaps
beside it; OUTPUT is paper/interventions/data unless given. Of each cell the rows, what the probes found, the config and what the
tables read of the manifest are kept; questions are left out, and absolute paths cut to their last part. `make paper` makes the
tables from that. The same results give the same bytes.
"""

import json
import shutil
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import yaml

from fmtbench.interchange.packed import LEVEL, without_folders
from fmtbench.probes.swap import FACTS, SUFFIX
from fmtbench.store.probed import COMMITMENT, MASS, SPELLING
from fmtbench.store.stored import read_config

HERE = Path(__file__).resolve().parent
NAMES = ("interventions", "interventions_addition")
MANIFEST = ("status", "barred", "refused", "sampling", "items_sha256", "seed", "decoder", "whitespace", "code", FACTS)
"""What tables read of a manifest."""
UNUSED = ("token", "top", "logprob")
"""Columns of mass.parquet that no table reads: they are kept empty."""
ROUNDED = ("left", "left_own", "held", "p_gold", "entropy")
DECIMALS = 5


def main(results: Path, output: Path) -> None:
    roots = [root for name in NAMES for root in sorted(results.glob(f"{name}*")) if root.name == name or SUFFIX in root.name]
    if not roots:
        raise SystemExit(f"{results} holds none of {', '.join(NAMES)}: give the folder that the study ran in")
    shutil.rmtree(output, ignore_errors=True)
    paths = [path.parent for root in roots for path in sorted(root.rglob("rows.parquet"))]
    for path in paths:
        keep(path, output / path.relative_to(results))
    size = sum(path.stat().st_size for path in output.rglob("*") if path.is_file())
    print(f"{output}: {len(paths)} cells, {size / 1e6:.1f} MB")


def keep(cell: Path, place: Path) -> None:
    place.mkdir(parents=True)
    for name in ("rows.parquet", MASS, SPELLING, COMMITMENT):
        if (cell / name).is_file():
            pq.write_table(slim(pq.read_table(cell / name)), place / name, compression="zstd", compression_level=LEVEL)
    manifest = json.loads((cell / "manifest.json").read_bytes())
    kept = without_folders({name: manifest[name] for name in MANIFEST if name in manifest})
    (place / "manifest.json").write_text(json.dumps(kept, ensure_ascii=False) + "\n", encoding="utf-8")
    config = without_folders(read_config(cell / "config.yaml"))
    (place / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False, allow_unicode=True), encoding="utf-8")


def slim(table: pa.Table) -> pa.Table:
    for place, name in enumerate(table.column_names):
        if name in UNUSED:
            table = table.set_column(place, table.schema.field(name), pa.nulls(len(table), table.schema.field(name).type))
        elif name in ROUNDED:
            table = table.set_column(place, table.schema.field(name), pc.round(table[name], DECIMALS))
        elif name == "question":
            table = table.set_column(place, table.schema.field(name), pa.array([""] * len(table), table[name].type))
    return table


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else HERE / "data")
