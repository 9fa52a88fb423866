"""What probes found, a row a token: `mass.parquet` and `spelling.parquet` of a run folder, both derived.

The first is made of the probe's journals, the second of the replies; neither needs a model to be made anew, but both need the
tokenizer, to say what kind of token the most likely one was and how the tokenizer would have spelt a reply.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fmtbench.store.files import replacing

if TYPE_CHECKING:
    import pyarrow as pa

MASS, SPELLING = "mass.parquet", "spelling.parquet"
VERSION_KEY, VERSION = b"fmtbench.probed", b"1"
NAMES = {
    MASS: ("request_key", "against", "decoder", "dtype", "part", "first"),
    SPELLING: ("request_key", "part"),
}
"""Text that repeats itself: kept once, and as numbers."""
COLUMNS: dict[str, dict[str, str]] = {
    MASS: {
        "request_key": "string",
        "against": "string",  # own, string, schema (see probes/mass.py)
        "decoder": "string",
        "dtype": "string",
        "temperature": "float32",
        "top_p": "float32",
        "position": "int32",
        "token": "int32",
        "end": "int32",  # where in the text the token ends
        "part": "string",
        "bridge": "bool",
        "left": "float64",  # ln Z at temperature 1
        "left_own": "float64",  # ln Z at the request's; null for a greedy one
        "logprob": "float64",
        "override": "bool",
        "allowed": "int32",
        "top": "int32",
        "first": "string",  # what the most likely token is: line_break, space, word, mark, special
        "breaks": "float32",
        "closing": "bool",  # the token that closes the rationale's string
        "words": "int32",  # of the rationale up to the closing token; null elsewhere
    },
    SPELLING: {
        "request_key": "string",
        "position": "int32",
        "token": "int32",
        "end": "int32",
        "part": "string",
        "bridge": "bool",
        "respelt": "bool",
    },
}
"""Of each file, its columns with their types."""


def write_probed(folder: Path, name: str, rows: Iterable[Mapping[str, Any]], problems: Mapping[str, int]) -> None:
    """One of the two files. `problems`: how many replies had no figures, by the reason, which the file keeps in its metadata."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.Table.from_pylist(list(rows), schema=_schema(name, problems))
    with replacing(folder / name) as part:
        pq.write_table(table, part, compression="zstd", use_dictionary=list(NAMES[name]))


def _schema(name: str, problems: Mapping[str, int]) -> pa.Schema:
    import json

    import pyarrow as pa

    told = {VERSION_KEY: VERSION, PROBLEMS_KEY: json.dumps(dict(sorted(problems.items()))).encode()}
    return pa.schema([(column, pa.type_for_alias(kind)) for column, kind in COLUMNS[name].items()], metadata=told)


PROBLEMS_KEY = b"fmtbench.problems"
