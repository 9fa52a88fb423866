"""A packed study makes the same tables as the run it came from; a change of one byte in what is committed is found."""

import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from fmtbench.analysis.rows.frame import KEY, load_rows
from fmtbench.analysis.rows.packed import CELLS
from fmtbench.analysis.rows.study import load_study
from fmtbench.errors import DifferenceError, UserError
from fmtbench.interchange.packed import without_folders
from tests.commanding import called, command
from tests.conftest import ROOT
from tests.made_rows import made_rows
from tests.packed_study import Studies, small_study

FEW = ("draws=200", "table=[main,contrasts,lockin,replication]", "figure=[forest]")
WITHOUT_MODELS = """
import sys
from experiments.starting.start import launch
code = launch("tables", sys.argv[1:])
assert not {"torch", "transformers", "outlines", "vllm"} & set(sys.modules)
sys.exit(code)
"""


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory) -> Studies:
    return small_study(tmp_path_factory.mktemp("paper"))


@pytest.fixture(scope="module")
def written(studies: Studies, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("written")
    called("tables", f"results={studies.packed}", f"output={output}", *FEW)
    return output


@pytest.fixture
def paper(written: Path, tmp_path: Path) -> Path:
    """To be spoiled."""
    return shutil.copytree(written, tmp_path / "paper")


def check(studies: Studies, paper: Path) -> None:
    called("tables", f"results={studies.packed}", f"output={paper}", *FEW, "check=true")


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_packing_again_gives_the_same_bytes(studies: Studies, tmp_path: Path) -> None:
    called("export", f"results={studies.run}", "format=packed", f"output={tmp_path / 'again'}")
    called("export", f"results={studies.packed}", "format=packed", f"output={tmp_path / 'of_the_pack'}")
    assert files(tmp_path / "again") == files(tmp_path / "of_the_pack") == files(studies.packed)


def test_a_pack_holds_every_row_and_no_question_of_a_data_set(studies: Studies) -> None:
    ours, theirs = (load_rows(root).sort_values(KEY, ignore_index=True) for root in (studies.run, studies.packed))
    owned = ours["task"] == "gsm8k"
    assert owned.any()
    assert not owned.all()
    pd.testing.assert_frame_equal(ours.assign(question=ours["question"].mask(owned, "")), theirs)
    words = set(" ".join(ours.loc[owned, "question"]).split())
    assert len(words) > 10
    for path in studies.packed.rglob("*.parquet"):
        assert not [
            text for column in pq.read_table(path).to_pylist() for text in column.values() if text in set(ours.question[owned])
        ]


def test_questions_of_unknown_origin_are_left_out(tmp_path: Path) -> None:
    made_rows({"free_cot": [1, 0]}, mass=0.5).to_parquet(tmp_path / "rows.parquet")
    called("export", f"results={tmp_path / 'rows.parquet'}", "format=packed", f"output={tmp_path / 'data'}")
    rows = load_rows(tmp_path / "data")
    assert set(rows.question) == {""}
    assert set(rows.mass) == {0.5}, "what the rows hold beyond the usual columns stays"


def test_a_pack_knows_what_the_run_folders_told(studies: Studies) -> None:
    ours, theirs = (load_study([root]) for root in (studies.run, studies.packed))
    assert theirs.axes == ours.axes
    assert theirs.planned == ours.planned == [{"condition": "json_schema", "reference": "json_prompt"}]
    assert theirs.tasks["last_letter"]["words"] == 4
    assert theirs.origin["runs"].startswith("small (36 cells, rows sha256 ")
    assert theirs.origin["commit"] == ours.origin["commit"]


def test_a_pack_does_not_tell_whose_machine_made_it(studies: Studies) -> None:
    for path in studies.packed.rglob(CELLS):
        assert str(studies.run.parent).encode() not in path.read_bytes()
        assert "private" in pq.read_table(path)["config"][0].as_py()
        assert str(studies.packed.parent) not in "".join(pq.read_table(path)["config"].to_pylist())
    assert without_folders({"a": ["/home/me/x", "no/path", 3]}) == {"a": ["x", "no/path", 3]}


def test_the_tables_of_a_pack_are_those_of_the_run(studies: Studies, tmp_path: Path) -> None:
    made = []
    for name, root in zip(("run", "packed"), studies):
        called("tables", f"results={root}", f"output={tmp_path / name}", "draws=200", "figure=[]")
        made.append({path.name: pd.read_csv(path).drop(columns="runs") for path in sorted((tmp_path / name).rglob("*.csv"))})
    assert made[0].keys() == made[1].keys()
    assert {"main.csv", "contrasts.csv", "decomposition.csv", "dose.csv", "mixed.csv", "replication.csv"} <= made[0].keys()
    for name, table in made[0].items():
        pd.testing.assert_frame_equal(table, made[1][name])


def test_what_is_made_twice_is_the_same(studies: Studies, paper: Path, capsys: pytest.CaptureFixture[str]) -> None:
    check(studies, paper)
    said = capsys.readouterr()
    assert said.out.endswith("15 files are what these results make, to the byte\n")
    before = files(paper)
    check(studies, paper)
    assert before == files(paper), "checking writes nothing"


SPOILED = ("appendix/main.csv", "appendix/contrasts.md", "appendix/lockin.tex", "document.tex", "forest.png", "forest.pdf")


def test_a_change_of_one_byte_is_found(studies: Studies, paper: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In each kind of file, and in no other one."""
    for name in SPOILED:
        whole = (paper / name).read_bytes()
        middle = len(whole) // 2
        (paper / name).write_bytes(whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :])
    with pytest.raises(DifferenceError, match=f"{len(SPOILED)} files of "):
        check(studies, paper)
    said = capsys.readouterr().err
    assert [name for name in SPOILED if f"{paper / name} differs" not in said] == []


def test_a_file_too_few_or_too_many_is_found(studies: Studies, paper: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (paper / "appendix" / "main.md").rename(paper / "lockin.pdf")
    with pytest.raises(DifferenceError, match="2 files of "):
        check(studies, paper)
    said = capsys.readouterr().err
    assert f"{paper / 'appendix' / 'main.md'} is not there" in said
    assert f"{paper / 'lockin.pdf'} is not made from these results" in said


def test_a_figure_that_other_libraries_drew_is_not_compared(
    studies: Studies, paper: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (paper / "forest.png").write_bytes((paper / "forest.png").read_bytes().replace(b"(matplotlib ", b"(matplotlob "))
    check(studies, paper)
    assert f"{paper / 'forest.png'} is not compared: it was not drawn by matplotlib " in capsys.readouterr().err


def test_no_model_library_is_needed_and_the_exit_code_tells(studies: Studies, paper: Path) -> None:
    words = [sys.executable, "-c", WITHOUT_MODELS, f"results={studies.packed}", f"output={paper}", *FEW, "check=true"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (paper / "appendix" / "main.md").unlink()
    wrong = command("tables", f"results={studies.packed}", f"output={paper}", *FEW, "check=true")
    assert wrong.code == 1
    assert wrong.err.splitlines()[-2:] == [
        f"{paper / 'appendix' / 'main.md'} is not there",
        f"error: 1 files of {paper} are not what these results make now",
    ]


def test_a_damaged_pack_is_one_line(studies: Studies, tmp_path: Path) -> None:
    (folder,) = studies.packed.iterdir()
    for name in ("rows.parquet", CELLS):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    cells = pq.read_table(tmp_path / CELLS)
    pq.write_table(cells.slice(1), tmp_path / CELLS)
    with pytest.raises(UserError, match=r"cells\.parquet lacks the cell .*: pack the study again"):
        load_rows(tmp_path)
    (tmp_path / CELLS).write_bytes(b"PAR1")
    with pytest.raises(UserError, match=r"cells\.parquet cannot be read"):
        load_rows(tmp_path)
