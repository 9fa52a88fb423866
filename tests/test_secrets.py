"""Shapes of secrets, through every way in: none is in a file, on a line of the log or in an error."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from fmtbench.backends.scripted import Scripted, ScriptedSession
from fmtbench.backends.server import Server
from fmtbench.errors import EngineFault
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
    "sk_live_abcdefghijklmnop1234",
    "pplx-abcdefghijklmnopqrstuvwx1234",
    "r8_abcdefghijklmnopqrstuvwx1234",
    "dapi0123456789abcdef0123456789abcdef",
    "dop_v1_0123456789abcdef0123456789abcdef",
    "SG.abcdefghijklmnop.abcdefghijklmnop",
    "ya29.abcdefghijklmnopqrstuv",
    "lin_api_abcdefghijklmnop1234",
]
FIRST = SHAPES[:2]
ALL = [pytest.param(shape, marks=() if shape in FIRST else pytest.mark.slow) for shape in SHAPES]
PLAIN = "correct horse battery"
"""No pattern knows it: only its name, or that it comes from the environment, gives it away."""
FEW = ("backend=scripted", "task=[addition]", "condition=[direct]", "limit=2", "name=x")


def nowhere(secret: str, done: Done, root: Path) -> None:
    assert secret not in done.out + done.err
    found = [str(path) for path in root.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()]
    assert not found


@pytest.mark.parametrize("secret", ALL)
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
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in (
                "+backend.extra_body.Authorization",
                "+backend.extra_body.password",
                "backend.auth_token",
                "+secret",
                "tracker.credentials",
            )
        ),
    ],
)
def test_a_setting_with_the_name_of_a_secret_is_turned_down_unseen(tmp_path: Path, name: str) -> None:
    done = command("run", *FEW, f"{name}='{PLAIN}'", f"results={tmp_path}")
    assert (done.code, "looks like a secret" in done.error, "FMTBENCH_API_KEY" in done.error) == (2, True, True)
    nowhere(PLAIN, done, tmp_path)


@pytest.mark.parametrize("secret", SHAPES)
def test_every_shape_is_known_in_the_middle_of_a_text(secret: str) -> None:
    assert redacted(f"401 for {secret}.") != f"401 for {secret}."
    assert secret not in redacted(f"https://host/{secret}/v1")
    assert list(secrets({"a": [f"x {secret}"]})) == ["a[0]"]


def hostile_echo(secret: str, where: str) -> Any:
    """A server that gives the key back: in a reply, an error, a header, or as the name of the model that answered."""

    def chat(body: Body) -> Answer:
        if "response_format" in body:
            return obedient(body)
        if where == "error":
            return Answer({"error": {"message": f"bad key {secret}"}}, 400)
        if where == "header":
            return Answer("", 429, {"retry-after": secret, "location": f"http://127.0.0.1:9/{secret}", "x-key": secret})
        if where == "model":
            return Answer(completion("The answer is 3.").content | {"model": secret})
        return completion(f"You sent {secret}.")

    return chat


@pytest.mark.parametrize("where", ["reply", "error", "header", "model"])
@pytest.mark.parametrize("secret", [pytest.param(shape, marks=pytest.mark.slow) for shape in SHAPES])
def test_every_shape_as_the_key_of_a_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, secret: str, where: str) -> None:
    monkeypatch.setenv("FMTBENCH_API_KEY", secret)
    with serving(hostile_echo(secret, where)) as seen:
        done = run(seen.url, tmp_path, "limit=2")
    nowhere(secret, done, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("secret", SHAPES)
def test_every_shape_in_a_header_of_ones_own_and_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, secret: str
) -> None:
    monkeypatch.setenv("OF_MINE", secret)
    for body in ({"headers": {"x-custom": secret}}, {"note": "${oc.env:OF_MINE}"}, {"deep": [{"a": f"Bearer {secret}"}]}):
        place = tmp_path / str(len(list(tmp_path.iterdir())))
        done = command("run", *own(place, {"extra_body": body}))
        assert done.code == 2
        assert secret not in done.out + done.err
        assert not (place / "r").exists()


@pytest.mark.slow
@pytest.mark.parametrize("secret", SHAPES)
def test_every_shape_in_what_an_engine_raises(tmp_path: Path, secret: str) -> None:
    """The text of an exception becomes the error of a record, which is stored and shown."""
    words = ("backend._target_=tests.test_secrets.Telling", f"+backend.told=hex{secret.encode().hex()}", "plugins=[tests]")
    done = command("run", *FEW, *words, f"results={tmp_path}")
    assert "the engine stopped" in done.err or "engine_error" in done.err
    nowhere(secret, done, tmp_path)


@dataclass(frozen=True, kw_only=True)
class Telling(Scripted):
    """Stops at every request with a secret in its message."""

    told: str

    def open(self, backbone: Any) -> Any:
        def stops(request: Any) -> str:
            raise EngineFault(
                f"401 for https://host/v1?key={bytes.fromhex(self.told.removeprefix('hex')).decode()}", [request.key]
            )

        return ScriptedSession(stops)


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
