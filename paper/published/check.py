"""Read further replies of a study, such as models or exams that were kept back, and set our accuracies beside the published ones.

    python paper/published/check.py json_asked FOLDER
    python paper/published/check.py concise FOLDER [PUBLISHED]
    python paper/published/check.py key_order FILE

FOLDER holds files as REPLIES does (see make.py): MODEL.jsonl.gz, or MODEL/ARM/EXAM-100.jsonl.gz. PUBLISHED is what the authors
published of these: ZeroEval's summary, a folder of Renze and Guven's results/*.csv, or a CSV of backbone, condition, task and
accuracy; without it STUDY/published.csv.

The table has, by model and arm: `published`; `rule`, the authors' way of reading and counting, applied again; `latent`, ours,
counted likewise; `difference`, latent minus published, the sum of `explained` (latent minus rule) and `left` (rule minus
published). The replies on which our reading and the rule differ make up `explained`; they are in
build/published/check/STUDY/replies.csv, with their texts. Where samples vote, a tie counts for its share; `rule_low` and
`rule_high` are what the rule comes to if every tie (ties.csv), and every question that the logs lack, is lost or won.
"""

from __future__ import annotations

import json
import math
import os
import re
import resource
import shlex
import shutil
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
from make import BUILD, HERE, STUDIES, published_of, split
from rules import RULES, VOTED, Verdict, shared_vote

from experiments.starting.start import launch
from fmtbench.analysis.showing.text import shown
from fmtbench.answers import Label

KEYS = ["backbone", "condition", "task"]
ACCURACIES = ["published", "rule", "latent", "difference", "explained", "left"]
RANGE = ("rule_low", "rule_high")
MOST = 0.005
"""A difference that needs no explanation."""
DEPTH = {"json_asked": 1, "concise": 3}
"""How many parts of a path say whose replies a file holds."""
RESULTS = {"Model": "backbone", "Prompt": "condition", "Exam": "task", "Accuracy": "accuracy", "Questions": "questions"}
"""Columns of Renze and Guven's results."""
LETTERS = Label(labels=tuple("ABCDE"))


def main(study: str, logs: Path, published: Path | None = None) -> None:
    if study not in STUDIES or not logs.exists():
        sys.exit(f"error: {study} {logs}: give one of {', '.join(STUDIES)}, and a folder or file that is there")
    place = BUILD / "check" / study
    shutil.rmtree(place, ignore_errors=True)
    gather(study, logs, place / "logs")
    settings = [word for word in STUDIES[study] if not word.startswith("transcripts=")]
    arguments = [f"transcripts={place}/logs/**/*.jsonl*", *settings, f"output={place / 'rows'}"]
    print(shlex.join(["python", "-m", "experiments.rescore", *arguments]), flush=True)
    started = time.perf_counter(), time.process_time()
    if code := launch("rescore", arguments):
        sys.exit(code)
    rows = pd.read_parquet(place / "rows" / "rows.parquet")
    spent = time.perf_counter() - started[0], time.process_time() - started[1]
    report(study, rows, published_table(study, published), place)
    memory = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(
        f"{len(rows):,} replies in {spent[0]:.0f} s, {spent[1]:.0f} s of processor time; {memory / 1e6:.0f} MB of memory at most"
    )


def gather(study: str, logs: Path, folder: Path) -> None:
    """The files of replies under the names by which the study's patterns know them."""
    if study == "key_order":
        return split(logs if logs.is_file() else next(logs.glob("*.jsonl.gz")), folder)
    found = sorted(logs.rglob("*.jsonl*")) if logs.is_dir() else [logs]
    for path in found:
        if "questions" not in (path.parent.name, path.name.partition(".")[0]):
            link = folder.joinpath(*path.absolute().parts[-DEPTH[study] :])
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(path.resolve())


def published_table(study: str, said: Path | None) -> pd.DataFrame:
    """Columns of `KEYS`, as far as there are any, and `accuracy`."""
    if said is None:
        return pd.read_csv(HERE / study / "published.csv")
    if said.suffix == ".json":
        return published_of(json.loads(said.read_text(encoding="utf-8")))
    if said.is_dir():
        tables = pd.concat([pd.read_csv(path) for path in sorted(said.glob("*.csv"))])
        tables = tables.rename(columns=RESULTS)
        return tables.assign(task=tables["task"].str.removesuffix("-100"))
    return pd.read_csv(said)


def report(study: str, rows: pd.DataFrame, published: pd.DataFrame, place: Path) -> None:
    rows = judged(study, rows)
    table = pd.DataFrame(lines(study, rows, published)).sort_values("difference", key=abs, ascending=False, ignore_index=True)
    differing = rows[rows["rule_right"] != rows["latent_correct"]]
    columns = [*KEYS, "item_id", "sample", "gold", "rule_read", "rule_right", "latent_answer", "latent_correct", "text"]
    if study not in VOTED:
        table = table.drop(columns=list(RANGE))
    table.to_csv(place / "agreement.csv", index=False)
    differing[columns].to_csv(place / "replies.csv", index=False)
    print(shown(table, [name for name in table.columns if name not in RANGE], ACCURACIES).to_string(index=False))
    off = table[(table["difference"].abs() > MOST) | table["published"].isna()]
    print(f"{len(off)} of {len(table)} differ by more than {100 * MOST} points, or were not published.")
    print(f"Table: {place / 'agreement.csv'}")
    print(f"{len(differing)} replies that explain it: {place / 'replies.csv'}")
    if study in VOTED:
        tied = pd.DataFrame(ties(rows))
        tied.to_csv(place / "ties.csv", index=False)
        print(f"{len(tied)} questions whose vote by the rule is a tie with the right answer in it: {place / 'ties.csv'}")


def ties(rows: pd.DataFrame) -> Iterator[dict[str, Any]]:
    for key, own in rows.groupby([*KEYS, "item_id", "gold"], sort=True):
        votes = Counter(own["rule_read"].fillna("none"))
        first = [one for one, count in votes.items() if count == max(votes.values())]
        if len(first) > 1 and key[-1] in first:
            yield {
                **dict(zip([*KEYS, "item_id", "gold"], key)),
                "votes": ", ".join(f"{one} {votes[one]}" for one in sorted(votes)),
            }


def judged(study: str, rows: pd.DataFrame) -> pd.DataFrame:
    """With what the authors' rule reads, and whether it counts."""
    rule = RULES[study]
    verdicts: list[Verdict] = [rule(text, gold) for text, gold in zip(rows["text"], rows["gold"])]
    return rows.assign(rule_read=[one.read for one in verdicts], rule_right=[one.right for one in verdicts])


def lines(study: str, rows: pd.DataFrame, published: pd.DataFrame) -> Iterator[dict[str, object]]:
    known = {tuple(map(plain, key)): line for key, line in _known(published)}
    for key, own in rows.groupby(KEYS, sort=True):
        names = tuple(map(plain, key))
        line = known.get(names, known.get(names[:1], {}))
        there, questions = line.get("accuracy", math.nan), line.get("questions", own["item_id"].nunique())
        rule, latent = accuracies(study, own, "rule", questions), accuracies(study, own, "latent", questions)
        alone = own["latent_correct"].astype(int) - own["rule_right"].astype(int)
        yield {
            **dict(zip(KEYS, key)),
            "replies": len(own),
            "items": own["item_id"].nunique(),
            "published": there,
            "rule": rule[0],
            "rule_low": rule[1],
            "rule_high": rule[2],
            "latent": latent[0],
            "difference": latent[0] - there,
            "explained": latent[0] - rule[0],
            "left": rule[0] - there,
            "latent_alone": int((alone > 0).sum()),
            "rule_alone": int((alone < 0).sum()),
        }


def accuracies(study: str, own: pd.DataFrame, reading: str, questions: int) -> tuple[float, float, float]:
    """Counted as the authors count, and between what and what that lies as ties are broken and as the questions turn out that
    they counted and the logs lack."""
    if study not in VOTED:
        right = float(own[{"rule": "rule_right", "latent": "latent_correct"}[reading]].mean())
        return right, right, right
    read = own["rule_read"] if reading == "rule" else own["latent_answer"].map(_letter, na_action="ignore")
    answers = own.assign(read=[None if pd.isna(one) else one for one in read]).groupby("item_id")
    shares = pd.Series([shared_vote(list(one["read"]), one["gold"].iloc[0]) for _, one in answers])
    lacking = questions - len(shares)
    return float(shares.mean()), float((shares == 1).sum() / questions), float(((shares > 0).sum() + lacking) / questions)


def _letter(answer: str) -> str | None:
    return LETTERS.canon(answer)


def _known(published: pd.DataFrame) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    names = [name for name in KEYS if name in published.columns]
    for line in published.to_dict("records"):
        yield tuple(str(line[name]) for name in names), line
        if "published_as" in line:
            yield (str(line["published_as"]),), line


def plain(name: object) -> str:
    """A name as it is compared: without what file systems and hosts add."""
    return re.sub(r"_at_", "@", str(name)).lower()


if __name__ == "__main__":
    os.environ.setdefault("COLUMNS", "200")
    main(sys.argv[1], *map(Path, sys.argv[2:4])) if len(sys.argv) in (3, 4) else sys.exit(__doc__)
