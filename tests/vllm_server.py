"""A real `vllm serve` of the embedded model on this machine, for as long as the tests run."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

from fmtbench.backbone import prepare

UP_SECONDS = 400
OPTIONS = (
    "--served-model-name=smol",
    "--host=127.0.0.1",
    "--dtype=float32",
    "--max-model-len=2048",
    "--max-num-seqs=1",  # one at a time, so that greedy texts cannot depend on which requests happen to arrive together
    "--enforce-eager",
    "--generation-config=vllm",
    '--structured-outputs-config={"backend": "outlines"}',
)
QUIET = {
    "HF_HUB_OFFLINE": "1",
    "DO_NOT_TRACK": "1",
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_CPU_NUM_OF_RESERVED_CPU": "0",
    "VLLM_REGEX_COMPILATION_TIMEOUT_S": "120",
}


@contextmanager
def vllm_serving(backbone: Any, log: Path) -> Iterator[str]:
    """Its address. `vllm serve` by its module, since vLLM's CPU build lacks the metadata that the command asks for."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    weights = prepare(backbone.resolve())
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", f"--model={weights}", f"--port={port}", *OPTIONS]
    with open(log, "wb") as sink:
        process = subprocess.Popen(command, stdout=sink, stderr=sink, env=os.environ | QUIET, start_new_session=True)
    try:
        _wait(process, f"http://127.0.0.1:{port}/health", log)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _wait(process: subprocess.Popen[bytes], health: str, log: Path) -> None:
    for _ in range(UP_SECONDS):
        if process.poll() is not None:
            break
        try:
            with urlopen(health, timeout=5):
                return
        except (URLError, OSError):
            time.sleep(1)
    raise RuntimeError(f"vllm serve is not up:\n{log.read_text(errors='replace')[-3000:]}")
