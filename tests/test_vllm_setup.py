"""What vLLM is told before it starts."""

from importlib.metadata import entry_points
from importlib.util import find_spec

import pytest

from fmtbench.backends.vllm.setup import in_every_process, keep_off_amx


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
