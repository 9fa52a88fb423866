"""backend=server against a real `vllm serve`: a run and its resume, and which fields of a request it heeds."""

import json
from pathlib import Path

import pandas as pd
import pytest

from fmtbench.backends.proof import PROBE_GRAMMAR
from fmtbench.errors import DecoderError
from tests.test_server import asks, opened, run

pytestmark = pytest.mark.model


def test_a_run_on_a_real_server_and_its_resume(served: str, tmp_path: Path) -> None:
    command = (
        f"backend.url={served}",
        "backbone.name=smol",
        "task=[addition]",
        "condition=[free_cot,json_prompt,json_schema,sham]",
        "limit=2",
        "sampling.max_tokens=48",
        "name=few",
        f"results={tmp_path}",
    )
    first = run(*command)
    assert first.code == 0, first.err
    rows = pd.concat([pd.read_parquet(path) for path in tmp_path.rglob("rows.parquet")])
    assert len(rows) == 8
    assert not (rows.status == "engine_error").any()
    assert (rows.completion_tokens > 0).all()
    assert rows[rows.reasoning_words > 0].reasoning_tokens.gt(0).all()
    assert (rows.reasoning_tokens < rows.completion_tokens).all()
    free, sham = (rows[rows.condition == name].set_index("item_id").text.sort_index() for name in ("free_cot", "sham"))
    assert (free == sham).all(), "the sham shows no effect"

    manifest = json.loads(next(tmp_path.rglob("json_schema/*/manifest.json")).read_text())
    assert manifest["decoder"] == ["server (structured_outputs.regex)"]
    assert manifest["engine"]["version"].startswith("0.")
    again = run(*command)
    assert again.code == 0, again.err
    assert "0 to generate" in again.err


def test_a_real_server_that_drops_our_field_is_refused(served: str) -> None:
    """vLLM knows no field `regex`, and says nothing."""
    with pytest.raises(DecoderError, match="schema not enforced"):
        list(opened(served, dialect="sglang").generate(asks(1, constraint=PROBE_GRAMMAR, max_tokens=24)))


def test_response_format_on_a_real_server(served: str) -> None:
    server = opened(served, dialect="openai")
    (one,) = server.generate(asks(1, constraint=PROBE_GRAMMAR, max_tokens=24))
    assert one.text.replace(" ", "") in ('{"a":"qx"}', '{"a":"zj"}')
    assert one.decoder == "server (response_format)"
    assert one.token_ids == ()
    assert one.completion_tokens == len(one.token_ends)
