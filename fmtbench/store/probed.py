"""What probes found, in files of a run folder that are all derived: `mass.parquet` and `spelling.parquet`, a row a token, and
`commitment.parquet`, a row a cut.

They are made from the probes' journals, and the second from the replies. A reply without figures has one row that says why in
`problem`, without a token or cut.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fmtbench.store.files import replacing

if TYPE_CHECKING:
    import pyarrow as pa

MASS, SPELLING, COMMITMENT = "mass.parquet", "spelling.parquet", "commitment.parquet"
VERSION_KEY, VERSION = b"fmtbench.probed", b"1"
TOKEN = {
    "request_key": "string",
    "problem": "string",  # see probes/replies.py; null for a token
    "position": "int32",  # in the reply, from 0
    "token": "int32",
    "end": "int32",  # where in the text the token ends
    "part": "string",  # see formats/parts.py
    "bridge": "bool",  # it writes into two parts
}
COLUMNS: dict[str, dict[str, str]] = {
    MASS: TOKEN
    | {
        "against": "string",  # own, string, schema (see probes/mass.py)
        "decoder": "string",
        "dtype": "string",
        "temperature": "float32",
        "top_p": "float32",
        "left": "float64",  # ln Z at temperature 1
        "left_own": "float64",  # ln Z at the request's temperature; null for a greedy one
        "logprob": "float64",  # ln p of the token, at temperature 1 and without the mask
        "override": "bool",  # the most likely token is forbidden
        "allowed": "int32",  # tokens
        "top": "int32",  # the most likely token
        "first": "string",  # what that is: line_break, space, word, mark, special
        "breaks": "float32",  # mass of the tokens that write a line break, without the mask
        "closing": "bool",  # it closes the rationale's string
        "words": "int32",  # of the rationale, where it does; null elsewhere
    },
    SPELLING: TOKEN | {"respelt": "bool"},
    COMMITMENT: {
        "request_key": "string",
        "problem": "string",  # null for a cut
        "readout": "string",  # own, turn (see probes/commitment.py)
        "dtype": "string",
        "fraction": "float64",  # of the words of the rationale
        "tokens": "int32",  # of the rationale up to the cut
        "candidates": "int32",
        "held": "float64",  # probability of all candidates together
        "p_gold": "float64",  # of the right ones among them
        "entropy": "float64",  # over the candidates, in nats
        "first": "string",  # the likeliest candidate
        "first_right": "bool",
        "final": "string",  # what the reply answers in the end, by the latent reading; null where it states none
        "fixed": "bool",  # the first is the final one; null where that is no candidate
    },
}
"""The columns of each file, with their types."""
REPEATED = ("request_key", "problem", "against", "decoder", "dtype", "part", "first", "readout", "final")
"""Text columns that are dictionary-encoded."""


def write_probed(folder: Path, name: str, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write one of the files, as a whole or not at all."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.Table.from_pylist(list(rows), schema=_schema(name))
    with replacing(folder / name) as part:
        pq.write_table(table, part, compression="zstd", use_dictionary=[one for one in REPEATED if one in COLUMNS[name]])


def _schema(name: str) -> pa.Schema:
    import pyarrow as pa

    return pa.schema(
        [(column, pa.type_for_alias(kind)) for column, kind in COLUMNS[name].items()], metadata={VERSION_KEY: VERSION}
    )
