"""`experiments.train` as a user meets it: killed and resumed, judged, taken by `experiments.embed`; mistakes in one line."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from experiments.embed import main as embed_main
from experiments.embedding.parts import load_data
from experiments.starting.build import build
from experiments.train import main
from fmtbench.errors import UserError
from tests.commanding import command, process
from tests.conftest import ROOT, composed, options
from tests.tiny_backbone import sentences, write_backbone

STEPS = 40


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny backbone, a file of triples, and a task of pairs."""
    root = tmp_path_factory.mktemp("train")
    write_backbone(root / "tiny")
    rows = [{"query": a, "positive": b, "negative": c} for a, b, c in sentences()]
    (root / "t.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (root / "stsb_en").mkdir()
    pairs = [f"{a},{b},{5 * i / len(rows):.2f}" for i, (a, b, _) in enumerate(sentences())]
    (root / "stsb_en" / "stsb-en-dev.csv").write_text("\n".join(pairs))
    return root


def arguments(place: Path, *more: str) -> list[str]:
    """The tiny backbone, and our triples where no other data are named."""
    backbone = ["backbone=local", "backbone.name=tiny", f"backbone.path={place / 'tiny'}", "backbone.context=128"]
    data = ["train_data=jsonl", f"train_data.jsonl.source.file={place / 't.jsonl'}"]
    return [*backbone, *([] if any(word.startswith("train_data=") for word in more) else data), "max_tokens=100", *more]


@pytest.mark.parametrize("name", options("recipe"))
def test_every_recipe_builds_and_says_its_source(name: str) -> None:
    made = build(composed(f"recipe={name}", "output=x", root="train").recipe, "recipe")
    assert made.encoder.max_tokens == 64
    assert made.stages
    assert re.search(r"arXiv \d{4}\.\d{5}", (ROOT / "conf" / "recipe" / f"{name}.yaml").read_text())


def test_what_a_recipe_does_is_in_its_keys_and_how_is_not(place: Path) -> None:
    def keys(*more: str, seed: int = 0) -> dict[str, str]:
        config = composed(*arguments(place, "recipe=llm2vec", "output=x", *more), root="train")
        return build(config.recipe, "recipe").keys(load_data(config), seed)

    before, changed = keys(), keys("recipe.stages.simcse.temperature=0.1")
    same = [name for name, key in before.items() if changed[name] == key]
    assert same == ["mntp", "merge_mntp"], "what comes before stays"
    assert keys("recipe.stages.contrastive.save_every=7", "recipe.stages.contrastive.mini_batch=4") == before
    assert not set(keys(seed=1).values()) & set(before.values())
    assert not set(keys("train_data.jsonl.instruction=Other.").values()) & set(before.values())
    assert not set(keys("max_tokens=25").values()) & set(before.values())


@pytest.mark.slow
def test_a_killed_training_goes_on_and_ends_as_if_it_had_not_been(place: Path, tmp_path: Path) -> None:
    """In the middle of SimCSE, whose dropout needs the random states; the stage before it is finished and not run again."""
    short = [f"recipe.stages.{name}.{setting}" for name in ("mntp", "contrastive") for setting in ("steps=3", "batch_size=8")]
    simcse = [f"recipe.stages.simcse.{setting}" for setting in (f"steps={STEPS}", "batch_size=8", "save_every=6")]
    words = arguments(place, "recipe=llm2vec", *short, *simcse)
    line = [sys.executable, "-m", "experiments.train", *words, f"output={tmp_path / 'killed'}"]
    environment = os.environ | {"HF_HUB_OFFLINE": "1"}
    running = subprocess.Popen(line, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while running.poll() is None and _steps(tmp_path / "killed") < 15:
        time.sleep(0.002)
    running.kill()
    assert running.wait() == -signal.SIGKILL, "it ended before it could be killed"
    assert 15 <= _steps(tmp_path / "killed") < STEPS
    assert not (tmp_path / "killed" / "encoder").exists()

    resumed = command("train", *words, f"output={tmp_path / 'killed'}")
    assert resumed.code == 0, resumed.err[-2000:]
    assert re.search(r"1-mntp-\w+: already done", resumed.err)
    assert re.search(r"3-simcse-\w+: continuing from step (12|18|24|30|36)\b", resumed.err)
    whole = command("train", *words, f"output={tmp_path / 'whole'}")
    assert whole.code == 0, whole.err[-2000:]
    curves = [
        np.genfromtxt(tmp_path / name / "loss.csv", delimiter=",", names=True, dtype=None, encoding="utf-8")
        for name in ("killed", "whole")
    ]
    assert [list(curve["step"]) for curve in curves] == [[1, 2, 3, *range(1, STEPS + 1), 1, 2, 3]] * 2
    assert curves[0]["loss"] == pytest.approx(curves[1]["loss"], rel=1e-4)
    weights = [(tmp_path / name / "encoder" / "model.safetensors") for name in ("killed", "whole")]
    from safetensors.numpy import load_file

    one, other = map(load_file, weights)
    assert all(np.allclose(one[name], other[name], atol=1e-5) for name in one)

    stamp = weights[1].stat().st_mtime_ns
    main(composed(*words, f"output={tmp_path / 'whole'}", root="train"))
    assert weights[1].stat().st_mtime_ns == stamp, "already trained"
    with pytest.raises(UserError, match=r"an encoder that was trained differently \(.*\): give another output, or delete it"):
        main(composed(*words, f"output={tmp_path / 'whole'}", "recipe.stages.simcse.dropout=0.1", root="train"))


def _steps(output: Path) -> int:
    return sum(path.read_text().count("\n") for path in output.glob("stages/3-simcse-*/loss.jsonl"))


def test_seeds_are_judged_before_and_after_and_stand_in_the_table_of_embed(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fit = [f"recipe.stages.contrastive.{setting}" for setting in ("steps=3", "batch_size=8")]
    judged = ["embed_task=[stsb]", f"data_root={place}"]
    words = arguments(place, "recipe=prompteol", "seeds=[3,4]", *fit, *judged, f"output={tmp_path / 'out'}")
    main(composed(*words, root="train"))
    said = capsys.readouterr().out
    gain = r"stsb: [+-]\d+\.\d \([+-]\d+\.\d to [+-]\d+\.\d\) over untrained, 2 seeds"
    for line in (r"\| untrained ", r"\| seed 3 ", r"\| seed 4 ", gain):
        assert re.search(line, said), said
    asked = ["embedder=[tfidf]", f"trained=[{tmp_path / 'out'},{tmp_path / 'out' / 'seed4'}]"]
    embed_main(composed(*arguments(place)[:4], *asked, *judged, f"output={tmp_path / 'table'}", root="embed"))
    lines = [[cell.strip() for cell in line.split("|")] for line in capsys.readouterr().out.splitlines()[2:]]
    shown = {line[1]: line[2] for line in lines}
    assert list(shown) == ["tfidf", "out/seed3", "out/seed4", "seed4"]
    assert shown["out/seed4"] == shown["seed4"]


MISTAKES = [
    (["train_data=[]"], r"no training data"),
    (["embed_task=[stsb]", "data_root=/no/such"], r"stsb-en-dev\.csv does not exist"),
    (["seeds=[]"], r"seeds=\[\]: give at least one seed"),
    (["judge_dtype=int8"], r"judge_dtype=int8: allowed are null, auto, bfloat16"),
    (["seeds=[1,1]"], r"seeds=\[1, 1\]: .* each once"),
    (["recipe.stages.contrastive.batch_size=500"], r"contrastive: batch_size=500 is larger than the data \(84 examples\)"),
    (["recipe.stages.contrastive.temperature=0"], r"contrastive\.temperature|temperature: Input should be greater than 0"),
    (["recipe.stages.contrastive.lora.rank=0"], r"rank"),
    (["train_data=stsb", "data_root=/no/such"], r"/no/such/stsb_en/stsb-en-train\.csv\.gz does not exist"),
    (["recipe.stages.contrastive.matryoshka=[64]"], r"matryoshka=\[64\]: the vectors have 32 dimensions"),
    (["backbone.path=/no/such/model"], r"/no/such/model does not exist"),
]


@pytest.mark.parametrize(("more", "message"), MISTAKES, ids=[case[1][:30] for case in MISTAKES])
def test_mistakes(place: Path, tmp_path: Path, more: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        main(composed(*arguments(place, "recipe=e5_mistral", f"output={tmp_path / 'out'}", *more), root="train"))
    assert not (tmp_path / "out" / "encoder").exists()


def test_a_training_set_with_one_column_ends_in_one_line(place: Path, tmp_path: Path) -> None:
    (tmp_path / "one.jsonl").write_text('{"query": "a"}\n')
    file = f"train_data.jsonl.source.file={tmp_path / 'one.jsonl'}"
    done = command("train", *arguments(place, f"output={tmp_path / 'out'}", file))
    assert done.code == 2
    expected = r"error: \S*one\.jsonl, row 0: needs query \(or anchor\) and positive, has no positive: got \['query'\]"
    assert re.fullmatch(expected, done.error)


def test_help_reads_like_a_page() -> None:
    done = process("train", "--help")
    assert done.code == 0
    assert all(word in done.out for word in ("recipe=e5_mistral", "llm2vec", "korsts", "seeds=[0,1,2]"))
