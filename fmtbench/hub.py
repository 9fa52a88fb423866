"""Whether the Hugging Face hub can be reached: asked once and briefly, before libraries that try again for half a minute.

Where it cannot, they are told to work offline, so that what is cached is found at once and what is not fails at once.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from functools import cache
from pathlib import Path

logger = logging.getLogger(__name__)

SECONDS = 2.0
"""The longest wait for any answer, name resolution included."""
DEFAULT = "https://huggingface.co"


def address() -> str:
    return (os.environ.get("HF_ENDPOINT") or DEFAULT).rstrip("/")


def out_of_reach() -> str:
    """Why the hub cannot be reached, in a few words; empty if it can."""
    if (os.environ.get("HF_HUB_OFFLINE") or "").upper() in ("1", "ON", "YES", "TRUE"):
        return _asked_offline.get(address(), "HF_HUB_OFFLINE is set")
    if why := _tried(address()):
        _asked_offline[address()] = why
        _go_offline()
    return why


_asked_offline: dict[str, str] = {}
"""By address, the reason for which we set HF_HUB_OFFLINE ourselves."""


@cache
def _tried(url: str) -> str:
    """In a thread of its own, because name resolution takes no timeout."""
    found: list[str] = []
    thread = threading.Thread(target=lambda: found.append(_asked(url)), daemon=True)
    thread.start()
    thread.join(SECONDS)
    return found[0] if found else f"{url} does not answer within {SECONDS:g} s"


def _asked(url: str) -> str:
    import httpx2  # heavy, and needed only for the hub

    try:
        httpx2.head(url, timeout=2 * SECONDS)  # so that the wait for the thread ends first
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
        return f"{url} does not answer: {str(error) or type(error).__name__}"
    return ""


def _go_offline() -> None:
    os.environ["HF_HUB_OFFLINE"] = "1"
    for name in ("huggingface_hub.constants", "datasets.config"):
        if name in sys.modules:
            sys.modules[name].HF_HUB_OFFLINE = True  # type: ignore[attr-defined]


def may_be_cached(data_set: str) -> bool:
    """Whether this machine's caches have a folder for a data set, without importing the libraries that read them."""
    home = Path(os.environ.get("HF_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache", "huggingface")).expanduser()
    made = Path(os.environ.get("HF_DATASETS_CACHE") or home / "datasets")
    loaded = Path(os.environ.get("HF_HUB_CACHE") or home / "hub")
    return (made / data_set.replace("/", "___")).is_dir() or (loaded / f"datasets--{data_set.replace('/', '--')}").is_dir()
