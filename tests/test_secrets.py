"""Shapes of secrets, through every way in: none is in a file, on a line of the log or in an error."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from fmtbench.backends.server import Server
from fmtbench.secret import is_secret_name, redacted, secrets
from tests.commanding import Done, command
from tests.http_server import Answer, Body, completion, obedient, serving
from tests.test_dead_server import run

SHAPES = [
    "sk-proj-4711abcdefghijkl",
    "sk-ant-api03-abcdefgh1234",
    "hf_abcdefghijklmnopqrst",
    "ghp_abcdefghijklmnopqrst1234",
    "github_pat_11ABCDEFG0123456789",
    "AKIAIOSFODNN7EXAMPLE",
    "AIzaSyA1234567890abcdefghijklmnopqrstuv",
    "xoxb-1234567890-abcdef",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIx.x",
    "nvapi-abcdefghijklmnop1234",
    "glpat-abcdefghij1234567890",
    "gsk_abcdefghijklmnop1234",
]
PLAIN = "correct horse battery"
"""No pattern knows it: only its name, or that it comes from the environment, gives it away."""
FEW = ("backend=scripted", "task=[addition]", "condition=[direct]", "limit=2", "name=x")


def nowhere(secret: str, done: Done, root: Path) -> None:
    assert secret not in done.out + done.err
    found = [str(path) for path in root.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()]
    assert not found


@pytest.mark.parametrize("secret", SHAPES)
def test_a_value_of_a_known_shape_is_turned_down_unseen(tmp_path: Path, secret: str) -> None:
    for word in (f"+foo={secret}", f"backend.url=https://host/{secret}/v1", f"sampling.max_tokens={secret}"):
        done = command("run", *FEW, word, f"results={tmp_path}")
        assert done.code == 2
        assert f"{word.partition('=')[0]}= looks like a secret" in done.error
        nowhere(secret, done, tmp_path)
    assert redacted(f"401 for {secret}.") != f"401 for {secret}."


@pytest.mark.parametrize(
    "name",
    [
        "+api_key",
        "+backend.extra_body.api_key",
        "+backend.extra_body.Authorization",
        "+backend.extra_body.password",
        "backend.auth_token",
        "+secret",
        "tracker.credentials",
    ],
)
def test_a_setting_with_the_name_of_a_secret_is_turned_down_unseen(tmp_path: Path, name: str) -> None:
    done = command("run", *FEW, f"{name}='{PLAIN}'", f"results={tmp_path}")
    assert (done.code, "looks like a secret" in done.error, "FMTBENCH_API_KEY" in done.error) == (2, True, True)
    nowhere(PLAIN, done, tmp_path)


def test_names_that_are_no_secrets() -> None:
    for name in ("max_tokens", "key_variable", "token_ends", "mask_token", "batch_tokens", "keys", "monkey", "append_eos"):
        assert not is_secret_name(name), name
    assert not list(secrets({"max_tokens": 3, "a": ["b", {"c": None}], "api_key": None, "token": False}))
    assert list(secrets({"a": [{"api_key": "x"}], "b": SHAPES[0]})) == ["a[0].api_key", "b"]
    assert (
        redacted("risk-averse-2 task-4711-abcdefgh disk-1234567890abc") == "risk-averse-2 task-4711-abcdefgh disk-1234567890abc"
    )


def own(tmp_path: Path, settings: dict[str, Any]) -> tuple[str, ...]:
    folder = tmp_path / "conf" / "backend"
    folder.mkdir(parents=True)
    node = {"_target_": "fmtbench.backends.server.Server", "url": "http://127.0.0.1:9/v1", "decoder": "server"} | settings
    (folder / "mine.yaml").write_text(yaml.safe_dump(node))
    words = (*FEW[1:], "backend=mine", "backbone=served", "--config-dir", str(tmp_path / "conf"))
    return (*words, f"results={tmp_path / 'r'}")


@pytest.mark.parametrize(
    "body", [{"api_key": PLAIN}, {"headers": {"x-api-key": PLAIN}}, {"user": SHAPES[0]}, {"user": "${oc.env:OF_MINE}"}]
)
def test_a_secret_in_a_file_or_from_the_environment(tmp_path: Path, monkeypatch: Any, body: dict[str, Any]) -> None:
    monkeypatch.setenv("OF_MINE", PLAIN)
    done = command("run", *own(tmp_path, {"extra_body": body}))
    assert (done.code, "FMTBENCH_API_KEY" in done.error) == (2, True)
    assert PLAIN not in done.out + done.err
    assert SHAPES[0] not in done.out + done.err
    assert not (tmp_path / "r").exists()


def test_what_names_the_environment_is_stored_with_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OF_MINE", PLAIN)
    words = ("data_root=${oc.env:OF_MINE}", "+task.addition.seed=3", f"results={tmp_path}")
    done = command("run", *FEW[:-1], "name=x", "task=[gsm8k]", *words)
    assert done.code == 2, "there is no such folder, but the config is what this is about"
    done = command("run", *FEW, "data_root='${oc.env:OF_MINE}'", f"results={tmp_path}")
    assert done.code == 0, done.err
    (config,) = tmp_path.rglob("config.yaml")
    assert "data_root: ${oc.env:OF_MINE}" in config.read_text()
    nowhere(PLAIN, done, tmp_path)
    assert command("score", f"results={tmp_path / 'x'}").code == 0


def test_a_number_from_the_environment_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OF_MINE", "2")
    done = command("run", *FEW, "limit='${oc.env:OF_MINE}'", f"results={tmp_path}")
    assert done.code == 2
    assert "Traceback" not in done.err


@pytest.mark.parametrize("where", ["reply", "error", "models"])
def test_a_server_that_echoes_the_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    key = "opaque/key+of=mine"
    monkeypatch.setenv("FMTBENCH_API_KEY", key)

    def chat(body: Body) -> Answer:
        if "response_format" in body:
            return obedient(body)
        return completion(f"You sent {key}.") if where == "reply" else Answer({"error": {"message": f"bad key {key}"}}, 400)

    listed = {"data": [{"id": "m", "owned_by": key if where == "models" else "me"}]}
    with serving(chat, lambda: Answer(listed)) as seen:
        done = run(seen.url, tmp_path, "limit=3")
    nowhere(key, done, tmp_path)


@pytest.mark.parametrize("url", ["https://u:p@h/v1", "https://h/v1?key=x", "https://h/v1#x", f"https://h/{SHAPES[0]}/v1"])
def test_an_address_with_a_secret(url: str) -> None:
    with pytest.raises(ValueError, match="an address must hold no key"):
        Server(url=url)
