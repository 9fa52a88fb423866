"""backend=server against a hosted API with the quirks of today: each is found by asking once, and recorded or refused."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from experiments.starting.build import build
from fmtbench.backends.fields import named
from fmtbench.backends.proof import PROBE_GRAMMAR
from fmtbench.backends.server import Server
from fmtbench.errors import ServerError, UserError
from fmtbench.store.folder import RunFolder
from tests.conftest import composed
from tests.hosted_api import HostedAPI
from tests.http_server import Answer, completion, serving
from tests.test_server import SERVED, asks, opened, run

STRICT = HostedAPI(limit="max_completion_tokens", logprobs=False, temperature="only 1", top_p=False)


def facts_after(api: HostedAPI, **request: Any) -> tuple[dict[str, Any], list[dict[str, Any]], int]:
    """What the session says of the fields, the requests that were sent, and how many asked."""
    with serving(api, quirks=True) as seen:
        session = opened(seen.url)
        requests = asks(3, **request)
        session.prepare(requests)
        facts = session.facts()
        assert {one.finish_reason for one in session.generate(requests)} == {"stop"}
        return facts, seen.bodies, len(seen.asks)


def test_a_server_that_takes_all_is_asked_once_and_sent_all() -> None:
    """The null: nothing is renamed or left out."""
    facts, bodies, asked = facts_after(HostedAPI())
    assert facts["fields"] == {"limit": "max_tokens", "dropped": [], "refused": {}}
    assert (asked, len(bodies)) == (1, 3)
    assert {"max_tokens", "temperature", "top_p", "logprobs"} <= bodies[0].keys()


@pytest.mark.parametrize("param", [True, False], ids=["as a field", "in words alone"])
def test_the_other_name_of_the_limit_is_found(param: bool) -> None:
    facts, bodies, asked = facts_after(HostedAPI(limit="max_completion_tokens", param=param), max_tokens=77)
    assert facts["fields"]["limit"] == "max_completion_tokens"
    assert facts["fields"]["refused"]["max_tokens"].startswith("400 Unsupported parameter: 'max_tokens' is not supported")
    assert [(body["max_completion_tokens"], "max_tokens" in body) for body in bodies] == [(77, False)] * 3
    assert asked == 2


def test_a_server_without_logprobs_is_sent_none_and_the_manifest_says_so() -> None:
    facts, bodies, _ = facts_after(HostedAPI(logprobs=False))
    assert facts["fields"]["dropped"] == ["logprobs"]
    assert facts["token_ends"] is False
    assert not any("logprobs" in body for body in bodies)
    with serving(HostedAPI(logprobs=False), quirks=True) as seen, pytest.raises(UserError, match="needs log-probabilities"):
        opened(seen.url).prepare(asks(1, logprobs=True))


def test_top_p_is_left_out_only_where_that_changes_nothing() -> None:
    facts, bodies, _ = facts_after(HostedAPI(top_p=False))
    assert facts["fields"]["dropped"] == ["top_p"]
    assert not any("top_p" in body for body in bodies)
    with serving(HostedAPI(top_p=False), quirks=True) as seen:
        with pytest.raises(UserError, match=r"does not take top_p=0\.9 .*: set sampling\.top_p=1"):
            opened(seen.url).prepare(asks(1, top_p=0.9))
        assert not seen.bodies


def test_a_temperature_that_cannot_be_is_refused_before_anything_is_asked() -> None:
    with serving(HostedAPI(temperature="only 1"), quirks=True) as seen:
        with pytest.raises(UserError, match=r"not take temperature=0 \(400 Unsupported value: .*\): set sampling.temperature=1"):
            opened(seen.url).prepare(asks(1))
        with pytest.raises(UserError, match="not take temperature=0"):
            list(opened(seen.url).generate(asks(1)))
        assert not seen.bodies
    _, bodies, _ = facts_after(HostedAPI(temperature="only 1"), temperature=1.0, seed=1)
    assert {body["temperature"] for body in bodies} == {1.0}


def test_a_model_without_a_temperature_needs_a_word_that_is_in_the_key() -> None:
    with serving(HostedAPI(temperature="none"), quirks=True) as seen:
        with pytest.raises(UserError, match=r"not take temperature=1 .*: backend\.drop_params=\[temperature\] sends none"):
            opened(seen.url).prepare(asks(1, temperature=1.0))
        with pytest.raises(UserError, match=r"sampling\.temperature=0 is asked: set sampling\.temperature=1"):
            opened(seen.url, drop_params=["temperature"]).prepare(asks(1))
        session = opened(seen.url, drop_params=["temperature"])
        assert [one.finish_reason for one in session.generate(asks(1, temperature=1.0))] == ["stop"]
        assert "temperature" not in seen.bodies[-1]
        plain, dropped = (Server(url=seen.url, drop_params=names) for names in ((), ("temperature",)))
        assert json.loads(dropped.identity(SERVED, None)) == {
            **json.loads(plain.identity(SERVED, None)),
            "drop_params": ["temperature"],
        }


def test_a_seed_is_left_out_on_demand_alone() -> None:
    with serving(HostedAPI(seed=False), quirks=True) as seen:
        with pytest.raises(UserError, match=r"does not take seed .*: backend\.drop_params=\[seed\] sends none"):
            opened(seen.url).prepare(asks(1, temperature=1.0, seed=7))
        list(opened(seen.url, drop_params=["seed"]).generate(asks(1, temperature=1.0, seed=7)))
        assert "seed" not in seen.bodies[-1]


def test_an_unknown_field_is_named_with_the_place_it_comes_from() -> None:
    with serving(HostedAPI(), quirks=True) as seen:
        with pytest.raises(UserError, match=r"does not take top_k \(400 .*\): take top_k out of backend\.extra_body"):
            opened(seen.url, extra_body={"top_k": 3}).prepare(asks(1))
        list(opened(seen.url, extra_body={"reasoning_effort": "low"}).generate(asks(1)))
        assert seen.bodies[-1]["reasoning_effort"] == "low"


def test_a_limit_that_the_user_names_is_not_guessed_anew() -> None:
    with serving(HostedAPI(limit="max_completion_tokens"), quirks=True) as seen:
        opened(seen.url, max_tokens_field="max_completion_tokens").prepare(asks(1))
        assert len(seen.asks) == 1
        with pytest.raises(UserError, match=r"set backend\.max_tokens_field=max_completion_tokens"):
            opened(seen.url, max_tokens_field="max_tokens").prepare(asks(1))


def test_a_limit_that_is_too_large_says_so_and_is_no_other_name() -> None:
    def small(body: dict[str, Any]) -> Answer:
        name = next(name for name in ("max_tokens", "max_completion_tokens") if name in body)
        words = f"{name} is too large: {body[name]}. This model supports at most 4096 completion tokens"
        return Answer({"error": {"message": words, "param": name}}, 400) if body[name] > 4096 else completion("Hi.")

    with serving(small, quirks=True) as seen, pytest.raises(UserError, match=r"at most 4096 .* or another sampling\.max_tokens"):
        opened(seen.url).prepare(asks(1, max_tokens=10_000))


def test_another_model_is_found_by_the_first_question() -> None:
    dated = completion("Hello.")
    dated.content["model"] = "m-2026-08-07"
    with serving(lambda _: dated, quirks=True) as seen:
        with pytest.raises(UserError, match=r"answers with m-2026-08-07: if they are the same, set backend\.answers_as"):
            opened(seen.url).prepare(asks(1))
        assert (len(seen.asks), len(seen.bodies)) == (1, 0)


def test_a_closed_list_of_models_is_no_obstacle_where_the_model_is_named() -> None:
    """Anthropic's wants headers of its own. A key that is wrong shows in the first request, in one line."""
    closed = Answer({"type": "error", "error": {"message": "x-api-key header is required"}}, 401)
    with serving(HostedAPI(), models=lambda: closed, quirks=True) as seen:
        assert {one.finish_reason for one in opened(seen.url, model="m").generate(asks(1))} == {"stop"}
        with pytest.raises(UserError, match=r"does not accept the key \(401 x-api-key header is required"):
            opened(seen.url)
    wrong = Answer({"error": {"message": "no such key"}}, 401)
    with serving(lambda _: wrong, models=lambda: closed, quirks=True) as seen:
        with pytest.raises(UserError, match=r"does not accept the key \(401 no such key"):
            list(opened(seen.url, model="m").generate(asks(1)))
        keys = [json.loads(Server(url=seen.url, model="m").identity(SERVED, None))[name] for name in ("model", "owned_by")]
        assert keys == ["m", None]
    with serving(models=lambda: Answer({}, 500)) as seen, pytest.raises(ServerError, match="500"):
        opened(seen.url, model="m")


def test_an_error_in_a_list_is_read() -> None:
    """As Gemini sends them."""
    message = 'Invalid JSON payload received. Unknown name "seed": Cannot find field.'
    listed = Answer([{"error": {"code": 400, "message": message, "status": "INVALID_ARGUMENT"}}], 400)
    with (
        serving(lambda body: listed if "seed" in body else completion("Hi."), quirks=True) as seen,
        pytest.raises(UserError, match=rf"does not take seed \(400 {message}\): backend\.drop_params=\[seed\]"),
    ):
        opened(seen.url).prepare(asks(1, temperature=1.0, seed=7))


def test_a_complaint_about_no_field_is_left_to_the_requests() -> None:
    verify = Answer({"error": {"message": "Your organization must be verified to use this", "param": None}}, 400)
    with serving(lambda _: verify, quirks=True) as seen:
        (one,) = opened(seen.url).generate(asks(1))
        assert (one.finish_reason, one.transient, one.error.endswith("verified to use this")) == ("error", True, True)


def test_the_probe_of_constraints_has_the_settings_of_the_requests() -> None:
    requests = asks(2, constraint=PROBE_GRAMMAR, temperature=1.0, seed=5, max_tokens=300)
    with serving(STRICT, quirks=True) as seen:
        assert {one.finish_reason for one in opened(seen.url).generate(requests)} == {"stop"}
        probe = seen.bodies[0]
        assert probe["messages"][0]["content"] == "Say hello."
        assert (probe["temperature"], probe["max_completion_tokens"]) == (1.0, 300)


def test_other_dialects_are_not_asked() -> None:
    with serving(quirks=True) as seen:
        session = opened(seen.url, dialect="sglang")
        list(session.generate(asks(1)))
        assert not seen.asks
        assert "fields" not in session.facts()


@pytest.mark.parametrize(
    ("complaint", "param", "found"),
    [
        ("400 Unsupported parameter: 'max_tokens'", "max_tokens", "max_tokens"),
        ("422 extra inputs are not permitted", "logprobs", "logprobs"),
        ("400 You are not allowed to request logprobs from this model.", "", "logprobs"),
        ('400 Invalid JSON payload received. Unknown name "seed": Cannot find field.', "", "seed"),
        ("400 Use 'top_p' or 'temperature'", "", "top_p"),
        ("400 the model is asleep; messages wait", "model", ""),
        ("400 max_tokens_total is wrong", "", ""),
        ("400 something else", "tools", ""),
    ],
)
def test_the_field_that_a_refusal_is_about(complaint: str, param: str, found: str) -> None:
    body = dict.fromkeys(("model", "messages", "temperature", "top_p", "max_tokens", "logprobs", "seed"))
    assert named(complaint, param, body) == found


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("++backend.extra_body={temperature: 0}", r"temperature is not for it to say: set sampling\.temperature"),
        ("++backend.extra_body={stream: true}", "replies are read whole"),
        ("backend.max_tokens_field=tokens", "max_completion_tokens"),
        ("backend.drop_params=[model]", "temperature"),
    ],
)
def test_settings_that_are_refused(override: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        build(composed("backend=server", override).backend, "backend")


def test_the_command_against_all_quirks_at_once(tmp_path: Path) -> None:
    """`extra_body` as one mapping, every quirk, and what the manifest and the keys say afterwards."""
    with serving(STRICT, quirks=True) as seen:
        words = [f"backend.url={seen.url}", "backend.dialect=openai", "limit=2", "name=x", f"results={tmp_path}"]
        words += ["condition=[free_cot,json_schema]", "backend.extra_body={reasoning_effort: low}"]
        done = run(*words)
        assert done.code == 2
        assert done.err.splitlines()[-1].startswith("error: the server does not take temperature=0 (400 Unsupported value")
        assert "set sampling.temperature=1" in done.err
        assert not seen.bodies
        done = run(*words, "sampling.temperature=1")
    assert done.code == 0, done.err
    assert "does not take max_tokens (400 Unsupported parameter" in done.err
    assert {body["reasoning_effort"] for body in seen.bodies} == {"low"}
    for path in tmp_path.rglob("manifest.json"):
        fields = RunFolder(path.parent).manifest()["engine"]["fields"]
        assert (fields["limit"], fields["dropped"]) == ("max_completion_tokens", ["logprobs", "top_p"])
    assert len(pd.concat([pd.read_parquet(path) for path in tmp_path.rglob("rows.parquet")])) == 4
