"""What vLLM is told before it starts."""

from importlib.metadata import entry_points
from importlib.util import find_spec
from inspect import signature

import pytest

from fmtbench.backends.vllm import internals
from fmtbench.backends.vllm.internals import keep_off_amx
from fmtbench.backends.vllm.setup import in_every_process
from tests.promises import as_last_seen


def test_every_process_of_vllm_loads_the_plugin() -> None:
    (ours,) = [one for one in entry_points(group="vllm.general_plugins") if one.name == "fmtbench"]
    assert ours.load() is in_every_process


@pytest.mark.skipif(find_spec("vllm") is None, reason="vLLM is not installed")
def test_attention_is_never_given_to_amx(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch
    from vllm.platforms import current_platform
    from vllm.v1.attention.backends import cpu_attn

    if not current_platform.is_cpu():
        pytest.skip("attention on a GPU")
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: True)
    keep_off_amx()
    keep_off_amx()
    assert cpu_attn._get_attn_isa(torch.bfloat16, 128, 64) == "vec"


@pytest.mark.skipif(find_spec("vllm") is None, reason="vLLM is not installed")
def test_what_vllm_does_not_promise_is_there() -> None:
    with as_last_seen(internals):
        from vllm.v1.attention.backends import cpu_attn
        from vllm.v1.engine.async_llm import AsyncLLM
        from vllm.v1.engine.llm_engine import LLMEngine
        from vllm.v1.structured_output import backend_outlines as theirs
        from vllm.v1.structured_output.utils import OutlinesVocabulary

        assert callable(cpu_attn._get_attn_isa)
        assert callable(AsyncLLM.from_engine_args)
        assert {"add_request", "step"} <= vars(LLMEngine).keys()
        assert callable(theirs.get_outlines_cache)
        assert list(signature(OutlinesVocabulary.__init__).parameters) == ["self", "vocabulary"]
        grammar, backend = vars(theirs.OutlinesGrammar), vars(theirs.OutlinesBackend)
        assert list(signature(backend["compile_grammar"]).parameters)[1:] == ["request_type", "grammar_spec", "stop_token_ids"]
        assert list(signature(backend["__post_init__"]).parameters) == ["self"]
        assert list(signature(grammar["fill_bitmask"]).parameters) == ["self", "bitmask", "idx"]
        assert "guide" in grammar["__annotations__"]
