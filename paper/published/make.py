"""Read the published replies and pack what the studies keep of them; `make paper` makes the tables from the packs.

    python paper/published/make.py REPLIES [STUDY ...]

REPLIES holds zeroeval_gsm/, concise_cot/ and drift_prime/ (README.md says where they are from). Each study is one call of
experiments.rescore, printed before it runs; the same call reads replies that were kept back.
"""

import gzip
import json
import os
import shlex
import sys
from collections import defaultdict
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from experiments.starting.start import launch
from fmtbench.analysis.rows.packed import CELLS
from fmtbench.interchange.packed import rewrite, without_folders

HERE = Path(__file__).resolve().parent
BUILD = HERE.parent.parent / "build" / "published"
STUDIES = {
    "json_asked": [
        "transcripts=zeroeval_gsm/[!q]*.jsonl.gz",
        "answer=number",
        "backbone=path:{backbone}.jsonl",
        "task=gsm8k",
        "condition=json_prompt",
        "prompt=zeroeval",
        "conditions.json_prompt={asked: json}",
    ],
    "concise": [
        "transcripts=concise_cot/gpt-*/*/*.jsonl.gz",
        "answer=label",
        "labels=[A,B,C,D,E]",
        "backbone=path:{backbone}/{condition}/{task}-100.jsonl",
        "prompt=renze",
        "sample=field:sample",
        "item=field:item",
        "conditions.baseline={reasoning: none, order: answer_only}",
        "conditions.concise={reasoning: budget, words: 50}",
        "conditions.chain_of_thought={reasoning: free}",
        r'contract.mark=Answer\(\s*"?\(?(?P<answer>[A-E])',
    ],
    "key_order": [
        "transcripts=drift_split/*/*.jsonl",
        "answer=yes_no",
        "backbone=path:{backbone}/{condition}.jsonl",
        "task=primes",
        "prompt=llmdrift",
        "stratum=field:gold",
        r"contract.mark=\[(?P<answer>Yes|No)\]",
    ],
}
MONTHS = {"0314": "march", "0301": "march", "0613": "june"}


def main(replies: Path, names: list[str]) -> None:
    BUILD.mkdir(parents=True, exist_ok=True)
    for name in ("zeroeval_gsm", "concise_cot"):
        (BUILD / name).unlink(missing_ok=True)
        (BUILD / name).symlink_to((replies / name).resolve())
    split(replies / "drift_prime" / "replies.jsonl.gz", BUILD / "drift_split")
    os.chdir(BUILD)  # so that a pack names no folder of the machine that made it
    for name in names or STUDIES:
        arguments = [*STUDIES[name], f"output=rows/{name}"]
        print(shlex.join(["python", "-m", "experiments.rescore", *arguments]), flush=True)
        if code := launch("rescore", arguments):
            sys.exit(code)
        pack(BUILD / "rows" / name, HERE / name / "data", texts=name == "key_order")


def split(source: Path, folder: Path) -> None:
    """One file a model and month, of the one file that names both in a field."""
    replies = defaultdict(list)
    with gzip.open(source, "rt", encoding="utf-8") as lines:
        for line in lines:
            reply = json.loads(line)
            model, _, version = reply["model"].rpartition("-")
            replies[folder / model / f"{MONTHS[version]}.jsonl"].append({**reply, "gold": reply["gold"].capitalize()})
    for path, own in replies.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(json.dumps(reply) + "\n" for reply in own), encoding="utf-8")


def pack(rows: Path, folder: Path, texts: bool) -> None:
    """A copy that compresses well, without the questions of others, and without texts but for a few where these repeat them."""
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(pq.read_table(rows / "rows.parquet"), folder / "rows.parquet")
    cells = pq.read_table(rows / CELLS).to_pylist()
    for cell in cells:
        cell["config"] = json.dumps(without_folders(json.loads(cell["config"])))
    pq.write_table(pa.Table.from_pylist(cells), folder / CELLS)
    rewrite(folder, lambda cell: cell.rows if texts else quoted(cell.rows))


def quoted(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(text="")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
