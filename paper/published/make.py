"""Read the published replies and pack what the studies keep of them; `make paper` makes the tables from the packs.

    python paper/published/make.py REPLIES [STUDY ...]

REPLIES holds zeroeval_gsm/, concise_cot/ and drift_prime/ (README.md says where they are from). Each study is one call of
experiments.rescore, printed before it runs. `check.py` reads replies that were kept back by the same call.
"""

import gzip
import json
import os
import shlex
import sys
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from rules import first_number

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
ALIASES = {
    "deepseek-v2-coder-0724": "DeepSeek-Coder-V2-0724",
    "deepseek-v2-chat-0628": "deepseek-chat",
    "deepseek-v2-coder-0614": "deepseek-coder",
    "gemma-2-27b-it": "gemma-2-27b-it_at_together",
    "Llama-3.1-405B-Inst-fp8@together": "Llama-3.1-405B-Instruct-Turbo",
}
"""Names in ZeroEval's summary, and those of their files where these differ."""
MONTHS = {"0314": "march", "0301": "march", "0613": "june"}


def main(replies: Path, names: list[str]) -> None:
    BUILD.mkdir(parents=True, exist_ok=True)
    for name in ("zeroeval_gsm", "concise_cot"):
        (BUILD / name).unlink(missing_ok=True)
        (BUILD / name).symlink_to((replies / name).resolve())
    split(replies / "drift_prime" / "replies.jsonl.gz", BUILD / "drift_split")
    write_published(replies / "zeroeval_gsm" / "published_summary.json", HERE / "json_asked" / "published.csv")
    os.chdir(BUILD)  # so that a pack names no folder of the machine that made it
    for name in names or STUDIES:
        arguments = [*STUDIES[name], f"output=rows/{name}"]
        print(shlex.join(["python", "-m", "experiments.rescore", *arguments]), flush=True)
        if code := launch("rescore", arguments):
            sys.exit(code)
    for name in names or STUDIES:  # after all are read, so that each was read by a checkout without changes
        pack(BUILD / "rows" / name, HERE / name / "data", KEPT[name])


def write_published(summary: Path, path: Path) -> None:
    """The accuracies that the authors published, by the names of our rows."""
    path.parent.mkdir(exist_ok=True)
    published_of(json.loads(summary.read_text(encoding="utf-8"))).to_csv(path, index=False)


def published_of(summary: list[dict[str, Any]]) -> pd.DataFrame:
    names = [ALIASES.get(one["Model"], one["Model"].replace("@", "_at_")) for one in summary]
    accuracies = [round(float(one["Acc"]) / 100, 4) for one in summary]
    return pd.DataFrame({"backbone": names, "published_as": [one["Model"] for one in summary], "accuracy": accuracies})


def split(source: Path, folder: Path) -> None:
    """One file a model and month, of the one file that names both in a field."""
    replies = defaultdict(list)
    with gzip.open(source, "rt", encoding="utf-8") as lines:
        for line in lines:
            reply = json.loads(line)
            model, _, version = reply["model"].rpartition("-")
            replies[folder / model / f"{MONTHS.get(version, version)}.jsonl"].append(
                {**reply, "gold": reply["gold"].capitalize()}
            )
    for path, own in replies.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(json.dumps(reply) + "\n" for reply in own), encoding="utf-8")


def pack(rows: Path, folder: Path, kept: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
    """A copy that compresses well, with the texts that the study keeps."""
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(pq.read_table(rows / "rows.parquet"), folder / "rows.parquet")
    cells = pq.read_table(rows / CELLS).to_pylist()
    for cell in cells:
        cell["config"] = json.dumps(without_folders(json.loads(cell["config"])))
    pq.write_table(pa.Table.from_pylist(cells), folder / CELLS)
    rewrite(folder, lambda cell: kept(cell.rows))


def json_asked(rows: pd.DataFrame) -> pd.DataFrame:
    """With the verdicts of ZeroEval's rule, and the texts of the replies on which it and the latent reader differ."""
    rule = [first_number(text, gold).right for text, gold in zip(rows["text"], rows["gold"])]
    return rows.assign(
        published_rule=rule, text=rows["text"].where(pd.Series(rule, index=rows.index) != rows["latent_correct"], "")
    )


def without_texts(rows: pd.DataFrame) -> pd.DataFrame:
    """Replies to exams repeat their questions, which are not ours to keep."""
    return rows.assign(text="", latent_answer=rows["latent_answer"].where(rows["latent_answer"].str.len() < 40))


KEPT = {"json_asked": json_asked, "concise": without_texts, "key_order": lambda rows: rows}


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
