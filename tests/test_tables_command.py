"""`python -m experiments.tables`: everything that can be made is written, the rest says why, and twice is the same bytes."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from experiments.reporting.presets import condition_presets
from experiments.tables import DRAWN, SHOWN, described
from fmtbench.analysis.showing.latex import escape, latex
from fmtbench.analysis.showing.text import shown
from fmtbench.analysis.tables.decomposition import COMPONENTS
from tests.commanding import Done, command
from tests.conftest import CONF, composed, options
from tests.made_rows import coins, made_rows

NEEDED = {
    *("backbone", "task", "condition", "reference", "n", "accuracy", "reference_accuracy", "difference", "low", "high"),
    *("p_mcnemar", "p_adjusted", "planned", "mde", "equivalent"),
}


def one_of(folder: Path, name: str) -> Path:
    """The file of this name, on top or in the appendix."""
    (path,) = folder.rglob(name)
    return path


def tables(results: Path, *arguments: object) -> Done:
    return command("tables", f"results={results}", *arguments)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rows alone for two conditions; for a third with its config and manifest."""
    root = tmp_path_factory.mktemp("results") / "mine"
    for i, name in enumerate(("free_cot", "restricted_cot_25", "json_schema")):
        folder = root / name
        folder.mkdir(parents=True)
        made_rows({name: coins(i, 40)}).to_parquet(folder / "rows.parquet")
    (root / "json_schema" / "manifest.json").write_text(json.dumps({"code": {"commit": "f" * 40, "dirty": False}}))
    settings = {"condition": {"json_schema": condition_presets()["json_schema"]}, "planned": ["json_schema"]}
    (root / "json_schema" / "config.yaml").write_text(json.dumps(settings))
    return root


def test_rows_alone_are_enough(results: Path, tmp_path: Path) -> None:
    before = sorted(results.rglob("*"))
    done = tables(results, f"output={tmp_path}", "draws=200")
    assert done.code == 0, done.err
    early = "contrasts, cost, decomposition, dose, equal_tokens, failures"
    probe = "run python -m experiments.lockin results=FOLDER probe=mass, which reads the replies once more"
    assert done.err.splitlines() == [
        "table contrasts: one prompt: nothing is known of other prompts",
        "table length_control: the ratio of lengths does not vary, or there are too few items",
        "table lockin: floor and excess need two free samples of an item (+samples_of.free_cot=2, temperature above 0)",
        "table lockin: locked needs 7 replies of an item",
        "table lockin: retention above 100%: a gain, not a loss",
        "table planned: one prompt: nothing is known of other prompts",
        f"not made: aligned, along, closing, decoders, mass: no folder holds mass.parquet: {probe}",
        "not made: commitment: no folder holds commitment.parquet: run python -m experiments.lockin results=FOLDER "
        "probe=commitment",
        "not made: fields: no row is of a record: ask a task whose answers are records, such as task=file with schema.path=FILE",
        "not made: ladder: it needs texts that were read by the ladder, and these rows have none: python -m "
        "experiments.rescore reads transcripts so",
        "not made: meta: it combines what several backbones or tasks show of a contrast, and each is here with one: "
        "run another task",
        "not made: order, order_contrasts: it needs rows whose realised order was read, and these have none: "
        "score the folder again (python -m experiments.score), or run the same rescore command",
        "not made: pilot: it chooses the tasks of a study, from a pilot: ask for it, table=[pilot]",
        "not made: reconsidered: no reply was reconsidered: run condition=[free_cot,free_cot_reconsidered,json_schema,"
        "json_schema_reconsidered]",
        "not made: remedies: no condition has a remedy: run condition=[free_cot,json_prompt,json_prompt_retry]",
        "not made: replication: no published number matches a task and condition of these rows: published are tasks "
        "bbh_tracking_shuffled_objects_five_objects, ddxplus, gpqa_diamond, gsm8k, last_letter, last_letter_4_names, math_500, "
        "shuffled_objects, shuffled_objects_bigbench_3, shuffled_objects_bigbench_5, shuffled_objects_bigbench_7, zebralogic",
        "not made: samples: every item has one sample: run with sampling.samples=8 and sampling.temperature above 0",
        "not made: schema_shape: no two tasks differ in the shape of their schema: run experiment=schema_shape dose=[fields]",
        "not made: strata: no item has a stratum: say in the task's source which field it is in, fields: {stratum: subject}",
        f"not made: strip: no masked reply has a row for each of its tokens: {probe}",
        "not made: swap: nothing was swapped: run python -m experiments.lockin results=FOLDER probe=swap",
        f"not made: tokens: no folder holds spelling.parquet: {probe}",
        f"made: {early}, length_control, lockin, main, mixed, overview, parts, planned",
        "not drawn: along, commitment, ladder, mass, meta, schema_shape, strip, swap: what they show was not made",
    ]
    contrasts = pd.read_csv(tmp_path / "appendix" / "contrasts.csv")
    assert set(contrasts.columns) >= NEEDED
    assert dict(zip(contrasts.condition, contrasts.planned)) == {"json_schema": True, "restricted_cot_25": False}
    decomposition = pd.read_csv(tmp_path / "appendix" / "decomposition.csv")
    wide = decomposition.pivot(index="condition", columns="component", values="value")
    assert (wide[list(COMPONENTS[:-1])].sum(axis=1) - wide.total).abs().max() < 1e-8
    assert "missing" not in wide.columns
    assert decomposition.set_index(["condition", "component"]).note["json_schema", "residual"].startswith("asking + masking")
    probed = {"aligned", "along", "closing", "commitment", "decoders", "mass", "strip", "tokens"}
    others = {
        "fields",
        "ladder",
        "meta",
        "order",
        "order_contrasts",
        "pilot",
        "reconsidered",
        "remedies",
        "replication",
        "samples",
        "schema_shape",
        "strata",
        "swap",
    }
    for name in set(options("table")) - probed - others:
        for ending in ("csv", "md", "tex"):
            text = one_of(tmp_path, f"{name}.{ending}").read_text()
            assert "mine (3 files, rows sha256 " in text
            assert "f" * 12 in text
    for name in set(options("figure")) - {"along", "commitment", "ladder", "mass", "meta", "schema_shape", "strip", "swap"}:
        assert one_of(tmp_path, f"{name}.pdf").read_bytes().startswith(b"%PDF")
        assert one_of(tmp_path, f"{name}.png").read_bytes().startswith(b"\x89PNG")
    first = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert tables(results, f"output={tmp_path}", "draws=200").code == 0
    assert first == {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert before == sorted(results.rglob("*")), "output= says where, and only there"


def test_without_the_reference_what_is_left_is_written(results: Path, tmp_path: Path) -> None:
    done = tables(results / "json_schema", f"output={tmp_path}", "figure=[forest,statuses]")
    assert done.code == 0
    assert re.search(r"not made: contrasts[,:].* no condition shares an item with free_cot: the rows hold json_schema", done.err)
    assert re.search(r"^made: cost, ", done.err, re.M)
    assert "not drawn: forest: what they show was not made" in done.err
    assert {"main.csv", "cost.csv", "failures.csv", "statuses.png"} <= {path.name for path in tmp_path.rglob("*")}


def test_a_damaged_file_is_left_out_and_named(results: Path, tmp_path: Path) -> None:
    made_rows({"free_cot": coins(0, 9)}).to_parquet(tmp_path / "rows.parquet")
    (tmp_path / "torn").mkdir()
    (tmp_path / "torn" / "rows.parquet").write_bytes(b"PAR1")
    done = tables(tmp_path, "table=[main]", "figure=[]")
    assert done.code == 0
    assert done.err.count("\n") == 1
    assert done.err.startswith("left out: ")
    assert (tmp_path / "tables" / "appendix" / "main.csv").is_file()


def test_keys_that_occur_twice_are_left_out_and_named(results: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        made_rows({"free_cot": coins(0, 9)}).to_parquet(tmp_path / name / "rows.parquet")
    done = tables(tmp_path, "table=[main]", "figure=[]")
    assert (done.code, done.err.count("\n")) == (0, 1)
    assert re.search(r"left out: .*two/rows\.parquet holds 9 rows whose keys occur before", done.err)
    assert pd.read_csv(tmp_path / "tables" / "appendix" / "main.csv").n.tolist() == [9]
    twice = pd.concat([made_rows({"free_cot": coins(0, 9)})] * 2)
    (tmp_path / "alone").mkdir()
    twice.to_parquet(tmp_path / "alone" / "rows.parquet")
    done = tables(tmp_path / "alone", "table=[main]", "figure=[]")
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert "holds 9 rows whose keys occur before in the same file" in done.err
    assert "duplicates=first" in done.err
    done = tables(tmp_path / "alone", "table=[main]", "figure=[]", "duplicates=first")
    assert (done.code, done.err) == (0, "")
    assert pd.read_csv(tmp_path / "alone" / "tables" / "appendix" / "main.csv").n.tolist() == [9]
    made_rows({"direct": coins(0, 9)}).to_parquet(tmp_path / "one" / "direct.parquet")
    done = tables(tmp_path, "table=[main]", "figure=[]")
    assert done.code == 2, "a file that repeats itself is not silently left out, whatever else there is"
    assert "alone" in done.error
    assert tables(tmp_path, "table=[main]", "figure=[]", "duplicates=last").error.startswith("error: duplicates=last: give first")


def test_of_repeated_measurements_the_first_counts(tmp_path: Path) -> None:
    """The first says that all are right, the second that none is; one file or two, the accuracy is 100%."""
    right, wrong = (made_rows({"free_cot": np.full(20, value)}) for value in (True, False))
    (tmp_path / "a").mkdir()
    pd.concat([right, wrong]).to_parquet(tmp_path / "a" / "rows.parquet")
    (tmp_path / "b").mkdir()
    wrong.to_parquet(tmp_path / "b" / "rows.parquet")
    assert tables(tmp_path, "table=[main]", "figure=[]", "duplicates=first").code == 0
    assert pd.read_csv(tmp_path / "tables" / "appendix" / "main.csv").strict.tolist() == [1.0]


def test_other_white_space_of_one_condition_is_said(tmp_path: Path) -> None:
    for backbone, kinds in (("mine", ["none", "one space"]), ("other", ["free", "none"])):
        folder = tmp_path / backbone
        folder.mkdir()
        made_rows({"json_schema": coins(0, 9)}, backbone=backbone).to_parquet(folder / "rows.parquet")
        (folder / "manifest.json").write_text(json.dumps({"whitespace": kinds}))
    done = tables(tmp_path, "table=[main]", "figure=[]", "reference=json_schema", "draws=200")
    assert done.code == 0, done.err
    assert "json_schema: white space between JSON's tokens is free in" in done.err


def test_an_item_of_two_strata_is_one_line(tmp_path: Path) -> None:
    rows = made_rows({"free_cot": coins(0, 9), "direct": coins(1, 9)})
    rows.assign(stratum=["a"] * 17 + ["b"]).to_parquet(tmp_path / "rows.parquet")
    done = tables(tmp_path, "table=[main]", "figure=[]")
    assert done.code == 2
    assert "item 8 of t is in several strata (a, b)" in done.error


def test_conditions_without_a_shared_item_have_their_own_tables_all_the_same(tmp_path: Path) -> None:
    apart = made_rows({"direct": coins(1, 40)})
    rows = pd.concat([made_rows({"free_cot": coins(0, 40)}), apart.assign(item_id="x" + apart.item_id)])
    rows.to_parquet(tmp_path / "rows.parquet")
    done = tables(tmp_path, "draws=200")
    assert done.code == 0
    for name in ("contrasts", "decomposition", "lockin", "mixed"):
        (line,) = [line for line in done.err.splitlines() if re.match(rf"not made: (\w+, )*{name}[:,]", line)]
        assert "shares an item with free_cot" in line
    assert "\nmade: cost, dose, equal_tokens, failures, main, overview\n" in done.err
    assert pd.read_csv(tmp_path / "tables" / "appendix" / "main.csv").strict_diff.isna().all()


def test_another_reference(results: Path, tmp_path: Path) -> None:
    assert tables(results, f"output={tmp_path}", "draws=200", "reference=json_schema", "table=[contrasts]", "figure=[]").code == 0
    assert set(pd.read_csv(tmp_path / "appendix" / "contrasts.csv").reference) == {"json_schema"}


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda rows: rows.drop(columns="seconds"), r"lack the columns \['seconds'\]"),
        (lambda rows: rows.assign(correct="yes"), "correct holds values other than true and false"),
        (lambda rows: rows.assign(sample="first"), "sample holds values of kind 'string', allowed is 'integer'"),
        (lambda rows: rows.assign(completion_tokens=-1), "completion_tokens holds -1, allowed are numbers of at least 0"),
        (lambda rows: rows.assign(item_id=None), r"empty values in \['item_id'\]"),
    ],
)
def test_rows_of_another_version_are_one_line(tmp_path: Path, spoil: Any, message: str) -> None:
    spoil(made_rows({"free_cot": coins(0, 9)})).to_parquet(tmp_path / "rows.parquet")
    done = tables(tmp_path, "table=[main]", "figure=[]")
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert re.search(message, done.err)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["results=nowhere"], r"nowhere holds no rows\.parquet"),
        ([], r"results= is missing: give a results folder"),
        (["results=[]"], r"results=\[\] names no folder"),
        (["results/x"], r"results/x: arguments are key=value: python -m experiments\.tables results=results/x"),
        (["results=x", "outptu=y"], r"outptu is no key of this config: did you mean output\?"),
        (["results=x", "table=[contrast]"], r"table=contrast is no option of conf/table: did you mean contrasts\? allowed are "),
        (["results=x", "draws=many"], r"draws.*many"),
        (["results=x", "draws=3"], r"draws=3: give a whole number of at least 100"),
        (["results=x", "mixed=maybe"], r"mixed.*maybe"),
        (["results=x", "format=pdf"], r"format=pdf: give html for one page"),
        (["results=x", "format=html", "figure=[]", "check=true"], r"leave out figure=, check="),
    ],
)
def test_mistakes_are_one_line(arguments: list[str], message: str) -> None:
    done = command("tables", *arguments)
    assert done.code == 2
    assert re.search(message, done.error)


def test_every_yaml_builds_and_says_how_it_is_shown() -> None:
    config = composed("results=x", root="tables")
    assert (list(config.table), list(config.figure)) == (options("table"), options("figure"))
    for name, node in config.table.items():
        _, show = described(node, name, *SHOWN)
        assert "caption" in show
        assert len({"columns", "wide"} & set(show)) == 1
    for name, node in config.figure.items():
        _, show = described(node, name, *DRAWN)
        assert (CONF / "table" / f"{show['table']}.yaml").is_file()


def test_latex_shows_every_character() -> None:
    assert escape(r"50% of a_b & {c} <d> \e ~^") == (
        r"50\% of a\_b \& \{c\} \textless{}d\textgreater{} \textbackslash{}e \textasciitilde{}\textasciicircum{}"
    )
    table = pd.DataFrame({"task": ["a_b"], "difference": [-0.25], "low": [-0.5], "high": [0.0], "n": [3]})
    text = latex(shown(table, ["task", "n", "difference"], ["difference"]), "x", "100% & more", "From a_b.")
    assert r"a\_b & 3 & -25.0 [-50.0, 0.0] \\" in text
    assert text.count("{") == text.count("}")
    assert [line for line in text.splitlines() if line.startswith("%")] == ["% From a_b."]
