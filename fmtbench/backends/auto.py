"""The fastest engine at hand: vLLM if it is installed and there is a GPU, else transformers."""

from __future__ import annotations

import logging
from importlib.util import find_spec
from typing import Any

from fmtbench.backends.base import Backend
from fmtbench.backends.hf import HF
from fmtbench.backends.vllm.backend import VLLM
from fmtbench.decoding.decoders import DecoderName
from fmtbench.decoding.sandbox import Limits

logger = logging.getLogger(__name__)


def auto(decoder: DecoderName = "outlines", limits: Limits | None = None) -> Backend:
    """Choose one and log which; either is built with its defaults."""
    settings: dict[str, Any] = {"decoder": decoder, "limits": limits or Limits()}
    if find_spec("vllm") is None:
        logger.info("backend=auto: hf, since vLLM is not installed")
        return HF(**settings)
    import torch

    if not torch.cuda.is_available():
        logger.info("backend=auto: hf, since there is no GPU")
        return HF(**settings)
    logger.info("backend=auto: vllm on %s", torch.cuda.get_device_name())
    return VLLM(**settings)
