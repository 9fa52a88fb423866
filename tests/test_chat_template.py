"""A base model without a chat template: said before conversion, with the file's name and the option that helps."""

import json
from pathlib import Path

import pytest

from fmtbench import backbone as backbone_module
from fmtbench.backbone import Backbone, load_tokenizer
from fmtbench.backends.hf import HF
from fmtbench.backends.server import Server
from fmtbench.backends.tokens import prompt
from fmtbench.chat_template import PLAIN, gguf_has_template
from fmtbench.errors import UserError
from fmtbench.types import Message, Request
from tests.commanding import command
from tests.http_server import serving
from tests.tiny_backbone import write_backbone, write_gguf

CHAT = (Message(role="system", content="Be brief."), Message(role="user", content="What is 2 + 2?"))


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose tokenizer has no chat template."""
    folder = tmp_path_factory.mktemp("base")
    write_backbone(folder)
    (folder / "chat_template.jinja").unlink(missing_ok=True)
    path = folder / "tokenizer_config.json"
    told = json.loads(path.read_text())
    told.pop("chat_template", None)
    path.write_text(json.dumps(told))
    return folder


@pytest.fixture(scope="module")
def ggufs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A GGUF with a template, and the same without."""
    folder = tmp_path_factory.mktemp("gguf")
    whole, bare = folder / "chat.gguf", folder / "base.gguf"
    write_gguf(whole)
    write_gguf(bare, template=False)
    return whole, bare


@pytest.mark.model
def test_a_gguf_is_asked_before_it_is_converted(
    ggufs: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    converted: list[Path] = []
    monkeypatch.setattr(backbone_module, "_convert", lambda gguf, folder: converted.append(gguf))
    monkeypatch.setenv("FMTBENCH_CACHE", str(tmp_path))
    assert [gguf_has_template(path) for path in ggufs] == [True, False]
    with pytest.raises(UserError, match=rf"{ggufs[1]} has no chat template, .*backbone\.chat_template=plain, or =FILE"):
        load_tokenizer(Backbone(name="b", path=str(ggufs[1])).resolve())
    assert not converted


@pytest.mark.model
def test_a_gguf_without_a_template_is_converted_where_one_is_given(
    ggufs: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("FMTBENCH_CACHE", str(tmp_path))
    tokenizer = load_tokenizer(Backbone(name="b", path=str(ggufs[1]), chat_template="plain").resolve())
    assert tokenizer.chat_template == PLAIN


@pytest.mark.parametrize("content", [b"", b"GGUF", b"GGUF\x03\x00\x00\x00" + b"\xff" * 16, b"\x00" * 100])
def test_a_file_that_is_no_gguf_is_left_to_who_loads_it(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.gguf").write_bytes(content)
    assert gguf_has_template(tmp_path / "x.gguf")


def test_the_plain_template_names_the_roles(base: Path) -> None:
    with pytest.raises(UserError, match=rf"{base} has no chat template, .*backbone\.chat_template=plain"):
        load_tokenizer(Backbone(name="b", path=str(base)).resolve())
    tokenizer = load_tokenizer(Backbone(name="b", path=str(base), chat_template="plain").resolve())
    shown = tokenizer.decode(prompt(tokenizer, Request(messages=CHAT)).ids)
    assert shown == "System: Be brief.\n\nUser: What is 2 + 2?\n\nAssistant:"


def test_a_template_of_ones_own_is_in_the_key_by_its_text(base: Path, tmp_path: Path) -> None:
    file = tmp_path / "mine.jinja"
    file.write_text("{% for m in messages %}[{{ m.content }}]{% endfor %}")
    mine = Backbone(name="b", path=str(base), chat_template=str(file))
    tokenizer = load_tokenizer(mine.resolve())
    assert tokenizer.decode(prompt(tokenizer, Request(messages=CHAT)).ids) == "[Be brief.][What is 2 + 2?]"
    identities = [
        HF().identity(Backbone(name="b", path=str(base), chat_template=name), None) for name in (None, "plain", str(file))
    ]
    file.write_text("{% for m in messages %}<{{ m.content }}>{% endfor %}")
    identities.append(HF().identity(mine, None))
    assert len(set(identities)) == 4
    other = tmp_path / "other.jinja"
    other.write_text(file.read_text())
    moved = Backbone(name="b", path=str(base), chat_template=str(other))
    assert HF().identity(moved, None) == identities[-1], "where the file lies is no matter"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"No such file or directory: give plain, or a file that holds a Jinja template"),
        ("  \n", "the file is empty"),
        (b"\xff\xfe\x00", "it is no text"),
        ("{% for m in messages %}", "cannot be filled in: .*endfor"),
        ("{{ messages[7].content.upper() }}", "cannot be filled in"),
        ("Hello.", "leaves out the user's message"),
    ],
)
def test_what_is_no_template_is_refused_in_one_line(
    base: Path, tmp_path: Path, content: str | bytes | None, message: str
) -> None:
    file = tmp_path / "bad.jinja"
    if content is not None:
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UserError, match=rf"backbone\.chat_template={file}.*{message}") as caught:
        load_tokenizer(Backbone(name="b", path=str(base), chat_template=str(file)).resolve())
    assert "\n" not in str(caught.value)


def test_a_server_has_its_own() -> None:
    with serving() as seen, pytest.raises(UserError, match=r"backbone\.chat_template is for weights on this machine"):
        Server(url=seen.url).identity(Backbone(name="b", chat_template="plain"), None)


def test_the_command_says_it_in_one_line_and_the_option_helps(base: Path, tmp_path: Path) -> None:
    words = ("backbone=local", f"backbone.path={base}", "backbone.name=base", "backbone.context=600", "limit=1", "name=x")
    words += ("task=[addition]", "condition=[free_cot]", "sampling.max_tokens=4", f"results={tmp_path}")
    done = command("run", *words)
    assert done.code == 2
    assert [line for line in done.err.splitlines() if line.startswith("error: ")] == [
        f"error: {base} has no chat template, as base models have none: use the instruct version of the model, or set "
        "backbone.chat_template=plain, or =FILE for a Jinja template of your own"
    ]
    done = command("run", *words, "backbone.chat_template=plain")
    assert done.code == 0, done.err
