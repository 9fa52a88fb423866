"""The fastest engine that is there: vLLM where a GPU and vLLM are present, else transformers."""

from __future__ import annotations

import logging
from importlib.util import find_spec
from typing import Literal

from fmtbench.backends.base import Backend
from fmtbench.backends.hf import HF
from fmtbench.backends.vllm import VLLM

logger = logging.getLogger(__name__)


def auto(decoder: Literal["outlines"] = "outlines") -> Backend:
    """Choose, and say which; both are built with their defaults."""
    if find_spec("vllm") is None:
        logger.info("backend=auto: hf, since vLLM is not installed")
        return HF(decoder=decoder)
    import torch

    if not torch.cuda.is_available():
        logger.info("backend=auto: hf, since there is no GPU")
        return HF(decoder=decoder)
    logger.info("backend=auto: vllm on %s", torch.cuda.get_device_name())
    return VLLM(decoder=decoder)
