"""task=file: from anybody's file to the table in one line, and one line for each thing that is wrong in it."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import json
import re
from pathlib import Path
from typing import Any, get_args

import pandas as pd
import pytest

import fmtbench
from experiments.reporting.own_items import too_long
from experiments.run import make_job
from experiments.starting.conf import every, options
from experiments.starting.roots import ROOTS
from fmtbench.answers.named import ANSWERS, KINDS
from fmtbench.errors import UserError
from fmtbench.running.read_again import read_again
from fmtbench.running.verdicts import located, verdicts
from fmtbench.tasks.base import check_items
from fmtbench.tasks.own_questions import Answer, OwnQuestions
from fmtbench.tasks.table_cells import options_in, unpacked
from fmtbench.types import Generation, Item
from tests.commanding import Done, command
from tests.conftest import composed, write_own_rows
from tests.readings import distinct

ROWS = [
    {"question": "What comes after 41?", "answer": "42", "subject": "counting", "note": "a; b, c"},
    {"question": 'Say "six, seven";\nthen add 1\tto 41.', "answer": "42.0", "subject": "adding", "note": "|"},
    {"question": "뭐, 7 − 3?", "answer": "4", "subject": "adding", "note": "="},
]
"""The scripted backend says 42 to everything: two of three are right, and it is known which."""


def run(tmp_path: Path, *words: str) -> Done:
    common = ("backend=scripted", "condition=[direct]", "name=own", f"results={tmp_path / 'results'}", "task=file")
    return command("run", *common, *words)


def table(**dialect: Any) -> str:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(ROWS[0]), **dialect)
    writer.writeheader()
    writer.writerows(ROWS)
    return text.getvalue()


DIALECTS = {
    "comma.csv": table().encode(),
    "semicolon_and_bom.csv": codecs.BOM_UTF8 + table(delimiter=";").encode(),
    "told_to_excel.csv": b"sep=|\r\n" + table(delimiter="|").encode(),
    "tab.csv": table(delimiter="\t", lineterminator="\n").encode(),
    "all_quoted.csv": table(delimiter=";", quoting=csv.QUOTE_ALL).encode(),
    "spreadsheet.tsv": table(dialect="excel-tab").encode(),
    "spaced.csv": table().replace("question,answer,subject,note", "question, answer, subject, note").encode(),
    "index_and_blanks.csv": "".join(
        f"{number or ''},{line},{'' if number < 1 else 'x'},\n"
        for number, line in enumerate(table(lineterminator="\0").rstrip("\0").split("\0"))
    ).encode(),
    "packed.csv.gz": gzip.compress(table().encode()),
    "lines.jsonl": "".join(json.dumps(row) + "\n" for row in ROWS).encode(),
    "document.json": json.dumps(ROWS).encode(),
}


def parquet(path: Path, rows: list[dict[str, Any]]) -> Path:
    pd.DataFrame(rows).to_parquet(path)
    return path


def check_scored(tmp_path: Path, path: Path, *words: str) -> None:
    done = run(tmp_path, f"task.file.path={path}", "task.file.answer=number", *words)
    assert done.code == 0, done.err
    (rows,) = map(pd.read_parquet, (tmp_path / "results").rglob("rows.parquet"))
    assert list(rows.question) == [row["question"] for row in ROWS]
    assert list(rows.gold) == [row["answer"] for row in ROWS]
    assert list(rows.stratum) == [row["subject"] for row in ROWS]
    assert list(rows.correct) == list(rows.latent_correct) == [True, True, False]
    assert " 67 [21, 94]" in done.out, "two of three"


@pytest.mark.parametrize("name", DIALECTS)
def test_from_a_file_to_the_table(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(DIALECTS[name])
    check_scored(tmp_path, path)


def test_a_given_delimiter_and_parquet(tmp_path: Path) -> None:
    path = tmp_path / "bars.txt"
    path.write_text(table(delimiter="|"), encoding="utf-8", newline="")
    check_scored(tmp_path, path, "task.file.format=csv", "task.file.delimiter='|'")
    (tmp_path / "own").mkdir()
    check_scored(tmp_path / "own", parquet(tmp_path / "table.parquet", ROWS))


SETS: dict[str, dict[str, Any]] = {
    "gsm8k": {"answer": "number"},
    "aqua": {"answer": "choice", "gold": "correct", "format": "jsonl"},
    "commonsenseqa": {"answer": "choice", "question": "question.stem", "choices": "question.choices"},
    "bbh_navigate": {"answer": "yes_no", "records": "examples"},
    "bbh_penguins_in_a_table": {"answer": "choice", "records": "examples"},
    "bbh_word_sorting": {"answer": "text", "records": "examples"},
    "math_500": {"answer": "math", "gold": "answer"},
}


@pytest.mark.parametrize("name", SETS)
def test_known_data_sets_give_the_items_of_their_own_tasks(tmp_path: Path, name: str) -> None:
    """Their YAMLs are written by hand, and these columns are found."""
    write_own_rows(tmp_path)
    known = fmtbench.task(name, data_root=tmp_path)
    task = own(path=str(tmp_path / known.source.file), **SETS[name])  # type: ignore[attr-defined]
    pairs = list(zip(task.items(), known.items(), strict=True))
    assert all(task.kind(item).canon(item.gold) == known.kind(other).canon(other.gold) for item, other in pairs)
    assert [(item.question, item.choices) for item, _ in pairs] == [(other.question, other.choices) for _, other in pairs]


def test_a_question_that_is_no_text_is_named_once(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^\S+qa.json, row 0: field 'question' must be a text, got \{'stem': 'q'\}"):
        items_of(tmp_path, [{"question": {"stem": "q"}, "answer": "A"}], "choice")


def test_rows_of_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder stands for the hub, and `datasets` itself reads it."""
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    (tmp_path / "hub").mkdir()
    (tmp_path / "hub" / "validation.jsonl").write_bytes(DIALECTS["lines.jsonl"])
    task = own(hub_id=str(tmp_path / "hub"), split="validation", answer="number")
    assert [item.id for item in task.items()] == [f"hub/validation-{row}" for row in range(3)]
    assert [item.question for item in task.items()] == [row["question"] for row in ROWS]


def test_what_was_taken_for_what_is_said_once_with_three_items_as_asked(tmp_path: Path) -> None:
    path = tmp_path / "qa.csv"
    rows = "".join(f"Q{n}?,{n},1,x{n}\n" for n in range(5))
    path.write_text("Frage,answer,n,id\n" + rows)
    words = ("task.file.question=Frage", "condition=[json_schema,direct]", "prompt=[plain,polite]")
    done = run(tmp_path, f"task.file.path={path}", "task.file.answer=number", *words)
    assert done.code == 0, done.err
    said = done.err.partition("cells, ")[0]
    assert done.err.count("task file: ") == 1
    for line in (f"task file: {path}, 5 items, answer: number", "  question: column 'Frage'", "  gold: column 'answer'"):
        assert f"{line}\n" in said
    assert "  id: column 'id'\n  not used: n\n" in said
    stored = next((tmp_path / "results").rglob("json_schema/plain-seed0")) / "requests.jsonl"
    for number, line in enumerate(stored.read_text().splitlines()[:3]):
        (asked,) = json.loads(line)["request"]["messages"]
        assert asked["content"] in said.replace("    | ", ""), "as asked, to the letter"
        assert f"    right: {number}\n" in said
    assert "Q3?" not in said


def test_own_and_other_tasks_in_one_run_with_relative_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "qa.jsonl").write_bytes(DIALECTS["lines.jsonl"])
    monkeypatch.chdir(tmp_path)
    done = run(tmp_path, "task=[addition,file]", "task.file.path=qa.jsonl", "task.file.answer=number", "limit=2")
    assert done.code == 0, done.err
    assert "qa.jsonl, 3 items, the first 2 asked (limit=null asks all), answer: number\n" in done.err
    rows = pd.concat(map(pd.read_parquet, (tmp_path / "results").rglob("rows.parquet")))
    assert rows.groupby("task").size().to_dict() == {"addition": 2, "file": 2}
    assert list(rows.item_id[rows.task == "file"]) == ["qa/row-0", "qa/row-1"]
    again = command("score", f"results={tmp_path / 'results' / 'own'}")
    assert again.code == 0, again.err


# -- what is wrong

Q = "question,answer\n"
CHOICE = "question,A,B,answer\n"
WRONG: list[tuple[str, str | bytes, list[str], str]] = [
    ("absent.csv", "", [], "absent.csv does not exist: check the path"),
    ("qa.csv", b"", [], "qa.csv holds no rows"),
    ("qa.csv", Q, [], "qa.csv holds no rows"),
    (
        "qa.csv",
        "a,b\nq,1\n",
        [],
        "no column is called question, prompt, input, problem or text: give question= one; the columns there are a, b",
    ),
    ("qa.csv", "question,b\nq,1\n", [], "no column is called gold, answer, target, label, solution or answerkey"),
    ("qa.csv", Q + "q,1\n", ["task.file.question=Frage"], "question=Frage is no column: the columns there are question, answer"),
    ("qa.csv", Q + "q,1\n", ["task.file.gold=question"], "question and gold are the same column, 'question'"),
    ("qa.csv", "question,answer,answer\nq,1,2\n", [], "two columns are called 'answer': each needs a name of its own"),
    (
        "qa.csv",
        "question,text,answer\nq,r,2\n",
        [],
        "'question' and 'text' may be the question: give question=question or another, or both: question=[question,text]",
    ),
    ("qa.jsonl", '{"question": "q", "answer": 1, "answer": 2}', [], "line 1: not JSON (the name 'answer' occurs twice"),
    ("qa.csv", Q + "q,1\n  ,2\n", [], "qa.csv, row 1: field 'question' must be a text, got '  '"),
    ("qa.csv", Q + "q,1\nq,\n", [], "qa.csv, row 1, field 'answer': the gold answer is ''"),
    ("qa.csv", Q + "q,1\nq,many\n", [], "qa.csv, row 1, field 'answer': the gold answer 'many' is no number"),
    ("qa.csv", Q + "q,maybe\n", ["task.file.answer=yes_no"], "row 0, field 'answer': the gold answer 'maybe' is no yes or no"),
    (
        "qa.csv",
        CHOICE + "q,red,blue,green\n",
        ["task.file.answer=choice"],
        "gold answer 'green' is none of the options ['red', 'blue']",
    ),
    ("qa.csv", CHOICE + "q,red,blue,C\n", ["task.file.answer=choice"], "gold answer 'C' is none of the options"),
    ("qa.csv", CHOICE + "q,red,,A\n", ["task.file.answer=choice"], "row 0, field 'choices': 1 options, allowed are 2 to 26"),
    ("qa.csv", "question,A,B,C,answer\nq,x,,z,A\n", ["task.file.answer=choice"], "row 0, field 'choices': option B is empty"),
    ("qa.csv", Q + "q,A\n", ["task.file.answer=choice"], "0 options, allowed are 2 to 26: give a list of options"),
    ("qa.csv", CHOICE + "q,red,blue,1\n", ["task.file.answer=choice"], "may count from 0 or from 1"),
    ("qa.csv", Q + "q,1\n", ["task.file.answer=choice", "task.file.choices=[X,Y]"], "choices=X is no column"),
    ("qa.csv", "id,question,answer\nx,q,1\nx,r,2\n", [], "row 1: item id 'x' occurs twice; ids must be unique"),
    ("qa.csv", "id,question,answer\n,q,1\n", [], "row 0: field 'id' must be a text"),
    ("qa.xlsx", "x", [], "'xlsx' is no format that can be read; allowed are jsonl, json, csv, tsv, parquet"),
    ("qa.csv", Q + "q\0r,1\n", [], "row 0: column 'question' holds '\\x00', which is no character of a text"),
    (
        "qa.csv",
        Q.encode() + "é,1\n".encode("latin-1"),
        [],
        "cannot be read as UTF-8 text (byte 0xe9): save it as UTF-8 (a spreadsheet calls that CSV UTF-8), or convert it",
    ),
    ("qa.csv", "question;answer\nq;3,5\n", [], "the gold answer '3,5' is no number: decimals have a point, as in 3.5"),
    ("qa.csv", "question,answer\nq,1\n".encode("utf-16"), [], "cannot be read as UTF-8 text"),
    ("qa.csv", Q + "q,1,2\n", [], "row 0: 3 columns, expected 2 (question, answer)"),
    ("qa.csv", Q + '"q"r,1\n', [], "line 2: not CSV"),
    ("qa.json", '{"data": []}', [], "expected a list of rows, got dict: give records=, one of data"),
    ("qa.json", '{"question": "q"}\n{"question": "r"}', [], ": a file of JSON lines has format=jsonl"),
    ("qa.parquet", "PAR1", [], "qa.parquet cannot be read as Parquet"),
    ("qa.csv", Q + "q,good\n", ["task.file.answer=label"], "all golds are 'good': give labels=[...], or another answer kind"),
    ("qa.csv", Q + "q,Good\nq,good\n", ["task.file.answer=label"], "the labels 'Good' and 'good' are read as the same"),
    (
        "qa.csv",
        Q + "q,x\n",
        ["task.file.answer=label", "task.file.labels=[a,b]"],
        "row 0, field 'answer': 'x' is no label of a, b",
    ),
    ("qa.csv", Q + "q,1\n", ["task.file.labels=[a,b]"], "labels=['a', 'b']: give two or more, and only with answer=label"),
    ("qa.csv", Q + "q,1\n", ["task.file.choices=answer"], "only answer=choice has them, got answer=number"),
    ("qa.csv", Q + "q,1\n", ["task.file.answer=prose"], "file.answer: Input should be 'number', 'choice'"),
    ("qa.csv", Q + "q,1\n", ["task.file.answer=null"], "answer is missing: give one of number, choice, yes_no"),
    ("qa.csv", Q + "q,1\n", ["task.file.hub_id=a/b"], "give either path, as in task.file.path=qa.csv, or hub_id"),
    ("qa.csv", Q + "q,1\n", ["task.file.delimiter=many"], "delimiter='many': give one character"),
]


@pytest.mark.parametrize(("name", "content", "words", "message"), WRONG, ids=[f"{case[0]}-{case[3]}"[:60] for case in WRONG])
def test_what_is_wrong_is_said_in_one_line(
    tmp_path: Path, name: str, content: str | bytes, words: list[str], message: str
) -> None:
    if name != "absent.csv":
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    done = run(tmp_path, f"task.file.path={tmp_path / name}", "task.file.answer=number", *words)
    assert done.code == 2
    assert message in done.error
    assert not (tmp_path / "results").exists(), "nothing has begun"


@pytest.mark.model
def test_texts_longer_than_the_context_are_named_before_weights_are_loaded(tmp_path: Path) -> None:
    rows = [{"question": "word " * 600, "answer": "1"}, {"question": "Short?", "answer": "2"}]
    (tmp_path / "qa.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    words = (f"task.file.path={tmp_path}/qa.jsonl", "task.file.answer=number", "backbone.context=512", "sampling.max_tokens=64")
    job = make_job(composed("task=file", *words, "condition=[direct]"))
    (line,) = too_long(job, job.cells[0], job.tasks["file"].items())
    assert re.search(
        r"1 texts are too long, .* item qa/row-0 has 6\d\d prompt tokens and 64 new ones exceed the context of 512", line
    )
    (tmp_path / "qa.jsonl").write_text(json.dumps(rows[0]), encoding="utf-8")
    done = command("run", "task=file", *words, "condition=[direct]", f"results={tmp_path}/results", "name=long")
    assert (done.code, "all 1 texts are too long: item qa/row-0 has " in done.error) == (2, True), done.err
    assert not (tmp_path / "results").exists()


def test_without_a_file_it_says_how_to_give_one(tmp_path: Path) -> None:
    assert "file: give either path, as in task.file.path=qa.csv, or hub_id" in run(tmp_path).error


def test_every_leaves_out_what_needs_a_file() -> None:
    assert set(options("task")) - set(every("task")) == {"file"}
    assert "run" in ROOTS


# -- cells


def own(**settings: Any) -> OwnQuestions:
    task = fmtbench.task("file", **settings)
    assert isinstance(task, OwnQuestions)
    return task


def items_of(tmp_path: Path, rows: list[dict[str, Any]], answer: str, **settings: Any) -> tuple[OwnQuestions, list[Item]]:
    (tmp_path / "qa.json").write_text(json.dumps(rows), encoding="utf-8")
    task = own(path=str(tmp_path / "qa.json"), answer=answer, **settings)
    check_items(task, task.items(), "file")
    return task, task.items()


COLOURS = ("red", "green", "blue")
OPTIONS: list[Any] = [
    ["red", "green", "blue"],
    '["red", "green", "blue"]',
    "['red', 'green', 'blue']",
    "red | green | blue",
    "red;green;blue",
    "red\ngreen\nblue",
    "A) red\nB) green\nC) blue",
    ["(A) red", "(B) green", "(C) blue"],
    {"C": "blue", "A": "red", "B": "green"},
    '{"A": "red", "B": "green", "C": "blue"}',
    {"text": ["red", "green", "blue"], "label": ["A", "B", "C"]},
    [{"label": "A", "text": "red"}, {"label": "B", "text": "green"}, {"label": "C", "text": "blue"}],
]


@pytest.mark.parametrize("cell", OPTIONS, ids=str)
@pytest.mark.parametrize("gold", ["B", "(B)", "b", "green", "B) green"])
def test_choices_in_all_forms(tmp_path: Path, cell: Any, gold: str) -> None:
    task, (item,) = items_of(tmp_path, [{"question": "Which?", "choices": cell, "answer": gold}], "choice")
    assert (item.gold, item.choices) == ("B", COLOURS)
    assert item.question == "Which?\n(A) red\n(B) green\n(C) blue"
    assert task.kind(item).same("the green one (B)", item.gold)


@pytest.mark.parametrize(
    "columns", [("A", "B", "C"), ("a", "b", "c"), ("option_a", "option_b", "option_c"), ("Choice A", "Choice B", "Choice C")]
)
def test_choices_in_columns(tmp_path: Path, columns: tuple[str, ...]) -> None:
    rows = [dict(zip(columns, COLOURS)) | {"question": "q", "answer": "C"}, dict(zip(columns, COLOURS)) | {columns[2]: ""}]
    _, items = items_of(tmp_path, [rows[0], rows[1] | {"question": "r", "answer": "green"}], "choice")
    assert [(item.gold, item.choices) for item in items] == [("C", COLOURS), ("B", COLOURS[:2])]


def test_choices_in_given_columns_and_in_the_question(tmp_path: Path) -> None:
    row = {"question": "q", "right": "red", "wrong": "blue", "answer": "red"}
    task, (item,) = items_of(tmp_path, [row], "choice", choices=("right", "wrong"))
    assert (item.gold, item.choices, task.roles["choices"]) == ("A", ("red", "blue"), "columns 'right', 'wrong'")
    text = "Which?\n(A) red\n(B) blue"
    task, (item,) = items_of(tmp_path, [{"question": text, "answer": "blue"}], "choice")
    assert (item.gold, item.question, task.roles["choices"]) == ("B", text, "in the question")


@pytest.mark.parametrize(("golds", "letters", "first"), [([0, 2], "AC", 0), ([1, 3], "AC", 1), (["0", "1"], "AB", 0)])
def test_numbers_of_options_count_from_where_the_rows_say(tmp_path: Path, golds: list[Any], letters: str, first: int) -> None:
    rows = [{"question": f"q{n}", "choices": list(COLOURS), "answer": gold} for n, gold in enumerate(golds)]
    task, items = items_of(tmp_path, rows, "choice")
    assert "".join(item.gold for item in items) == letters
    assert task.roles["gold"] == f"column 'answer', the option's number from {first}"


def test_a_key_of_the_options_is_no_number_of_them(tmp_path: Path) -> None:
    """ARC calls some options 1 to 4."""
    row = {"question": "q", "choices": {"text": list(COLOURS), "label": ["1", "2", "3"]}, "answer": "2"}
    assert items_of(tmp_path, [row], "choice")[1][0].gold == "B"


@pytest.mark.parametrize("choices", [["B", "A"], ["no", "C", "red"]])
def test_options_that_are_letters_of_others_are_refused(tmp_path: Path, choices: list[str]) -> None:
    """A reply of the gold letter would be read as another option."""
    with pytest.raises(UserError, match=r"row 0, field 'choices': .* are read as the letters of each other"):
        items_of(tmp_path, [{"question": "q", "choices": choices, "answer": "ABC"[len(choices) - 1]}], "choice")


def test_numbers_that_are_texts_of_options_are_texts(tmp_path: Path) -> None:
    row = {"question": "q", "choices": ["2", "1", "0"], "answer": 2}
    task, (item,) = items_of(tmp_path, [row], "choice")
    assert (item.gold, task.roles["gold"]) == ("A", "column 'answer'")


@pytest.mark.parametrize("cell", [["Kyiv", "Kiev"], '["Kyiv", "Kiev"]', "['Kyiv', 'Kiev']"])
def test_several_accepted_answers(tmp_path: Path, cell: Any) -> None:
    task, (item,) = items_of(tmp_path, [{"question": "q", "answer": cell}], "text")
    assert (item.gold, item.aliases) == ("Kyiv", ("Kiev",))
    assert [task.kind(item).same(said, item.gold) for said in ("kiev", "Kyiv", "Lviv")] == [True, True, False]


def test_several_accepted_answers_of_another_kind_are_right_in_rows_and_packs(tmp_path: Path) -> None:
    path = tmp_path / "qa.jsonl"
    rows = [{"question": "q", "answer": [7, 42]}, {"question": "r", "answer": [7, 8]}]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = run(tmp_path, f"task.file.path={path}", "task.file.answer=number")
    assert "right: 7, also accepted: 42\n" in done.err
    (rows_of,) = map(pd.read_parquet, (tmp_path / "results").rglob("rows.parquet"))
    assert list(rows_of.correct) == [True, False]
    task, direct = own(path=str(path), answer="number"), fmtbench.condition("direct")
    assert list(read_again(rows_of, task, direct).correct) == [True, False]
    with pytest.raises(UserError, match="rows do not keep the other accepted answers"):
        read_again(rows_of, own(path="absent.jsonl", answer="number"), direct)


@pytest.mark.parametrize(
    ("answer", "cell", "gold", "said"),
    [
        ("number", "3 + 4 = 7\n#### 7", "7", "seven"),
        ("number", 7.0, "7", "7"),
        ("yes_no", True, "True", "yes"),
        ("yes_no", "FALSE", "FALSE", "No."),
        ("math", "[0, 1]", "[0, 1]", "[0,1]"),
        ("math", "\\frac{1}{2}", "\\frac{1}{2}", "1/2"),
        ("set", ["pear", "apple"], "pear, apple", "Apple and pear"),
        ("set", "pear, apple", "pear, apple", "apple, pear"),
        ("text", "[sic]", "[sic]", "sic"),
    ],
)
def test_golds_of_each_kind(tmp_path: Path, answer: str, cell: Any, gold: str, said: str) -> None:
    task, (item,) = items_of(tmp_path, [{"question": "q", "answer": cell}], answer)
    assert (item.gold, item.aliases) == (gold, ())
    assert task.kind(item).same(said, item.gold)
    assert not task.kind(item).same("none of it at all 99", item.gold)


@pytest.mark.parametrize(
    ("answer", "row"),
    [
        ("number", {"answer": [1200, "0.5"]}),
        ("choice", {"answer": ["green", "C"], "choices": list(COLOURS)}),
        ("yes_no", {"answer": True}),
        ("text", {"answer": ["Kyiv", "Kiev"]}),
        ("label", {"answer": ["spam", "ham"]}),
        ("set", {"answer": ["pear", "apple"]}),
        ("math", {"answer": ["\\frac{1}{3}", "x^2"]}),
    ],
)
def test_every_accepted_answer_is_right_in_every_condition(
    tmp_path: Path, conditions: dict[str, Any], answer: str, row: dict[str, Any]
) -> None:
    """Written as each contract asks, it is found and right; what is not accepted is wrong. Conditions that write and read alike
    are tried once (see test_fairness.py)."""
    task, (item,) = items_of(tmp_path, [{"question": "q"} | row], answer)
    kind = task.kind(item)
    golds = [item.gold, *item.aliases]
    for condition in distinct(conditions.values()).values():
        for said in golds:
            text = condition.example(kind, "Let me see.", said)
            found = condition.read(Generation(key="", text=text), kind)
            read = verdicts(located(text, found, kind), kind, golds)
            assert (read.correct, read.latent_correct) == (True, True), text
            alone = verdicts(located(text, found, kind), kind, golds[:1])
            assert alone.correct == (said == golds[0] or answer == "text"), "it is right by the second answer, and only by that"


def test_an_item_of_a_set_that_would_fall_apart_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is no set: items hold no comma"):
        items_of(tmp_path, [{"question": "q", "answer": ["Paris, France", "Rome"]}], "set")


def test_labels_are_those_that_occur_or_are_given(tmp_path: Path) -> None:
    rows = [{"text": "t", "label": label} for label in ("spam", "ham", "spam")]
    task, items = items_of(tmp_path, rows, "label")
    assert task.kind(items[0]).hint() == "Answer with one of these labels: ham, spam."
    task, items = items_of(tmp_path, rows, "label", labels=("spam", "ham", "eggs"))
    assert task.kind(items[0]).hint() == "Answer with one of these labels: spam, ham, eggs."


def test_a_path_into_a_row_and_a_name_with_dots(tmp_path: Path) -> None:
    row = {"question": {"stem": "q?"}, "the.answer": "4", "level": "hard"}
    _, (item,) = items_of(tmp_path, [row], "number", question="question.stem", gold="the.answer", stratum="level")
    assert (item.question, item.gold, item.stratum) == ("q?", "4", "hard")


def test_columns_of_options_are_left_alone_where_nothing_is_chosen(tmp_path: Path) -> None:
    row = {"question": "q", "answer": 3, "choices": "x", "options": "y"}
    task, (item,) = items_of(tmp_path, [row], "number")
    assert (item.choices, task.roles["not used"]) == ((), "choices, options")
    with pytest.raises(UserError, match="'choices' and 'options' may be the choices: give choices=choices or another"):
        items_of(tmp_path, [row], "choice")


def test_several_columns_and_words_after_them_make_a_question(tmp_path: Path) -> None:
    row = {"context": "Ann has 3 pears.", "question": "How many?", "answer": 3}
    task, (item,) = items_of(tmp_path, [row], "number", question=("context", "question"), ask="Think!")
    assert (item.question, task.roles["question"]) == ("Ann has 3 pears.\nHow many?\n\nThink!", "columns 'context', 'question'")
    assert "not used" not in task.roles


def test_cells_that_hold_nothing_are_no_stratum_and_no_answer(tmp_path: Path) -> None:
    rows = [{"question": "q", "answer": 3, "subject": ""}, {"question": "r", "answer": 4.0, "subject": "x"}]
    assert [item.stratum for item in items_of(tmp_path, rows, "number")[1]] == ["", "x"]
    table = parquet(tmp_path / "t.parquet", [{"question": "q", "answer": 3.0}, {"question": "r", "answer": None}])
    with pytest.raises(UserError, match="row 1, field 'answer': the gold answer is None"):
        own(path=str(table), answer="number").items()


def test_a_file_without_a_header_is_shown_in_short(tmp_path: Path) -> None:
    (tmp_path / "qa.csv").write_text(f"{'How many? ' * 50},12\nq,1\n")
    with pytest.raises(UserError, match=r"the columns there are How many\? [^,]{0,40} \.\.\., 12$"):
        own(path=str(tmp_path / "qa.csv"), answer="number").items()


def test_every_kind_of_answer_can_be_named() -> None:
    assert set(get_args(Answer)) - {"record"} == set(ANSWERS) == {*KINDS, "choice", "label"}


@pytest.mark.parametrize("cell", ["red", 7, None, [], ["red"], {"1": "red", "2": "blue"}, [["red"], ["blue"]] * 14])
def test_what_is_no_list_of_options(cell: Any) -> None:
    with pytest.raises(ValueError, match="option"):
        options_in(cell)


@pytest.mark.parametrize("text", ["[sic] red", "{red}", "[" * 5000, "plain", '"a"', "[1, x]"])
def test_text_that_only_looks_like_a_list_stays_text(text: str) -> None:
    assert unpacked(text) == text
