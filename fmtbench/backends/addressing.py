"""Where a server is, what it offers there, and in which version."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

from fmtbench.backends.endpoint import Closed, Endpoint
from fmtbench.errors import UserError
from fmtbench.secret import VALUE

MOST_NAMES, MOST_CHARACTERS = 20, 100


def checked_address(url: str) -> str:
    """Raises `ValueError` for something that is not an address, or holds a secret."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("give the address of an OpenAI-compatible API, such as http://localhost:8000/v1")
    if parts.username or parts.password or parts.query or parts.fragment or VALUE.search(url):
        raise ValueError("an address must hold no key or password: put it into the environment variable of key_variable")
    return url.rstrip("/")


def checked_variable(name: str) -> str:
    """Raises `ValueError` for something that cannot name an environment variable, such as a key."""
    if not re.fullmatch(r"[A-Z][A-Z0-9_]*", name):
        raise ValueError("give the NAME of an environment variable in capitals, never the key itself")
    return name


TOLD = ("root", "owned_by")
"""What a server says about a model that is the same after a restart."""


def served_models(endpoint: Endpoint, named: str | None = None) -> dict[str, dict[str, Any]]:
    """What the server says about each model it offers, by name.

    If its list is closed, as Anthropic's is to an OpenAI client's key, the model that the user named is taken on trust: a wrong
    key or address shows in the first request. Raises `UserError` if there is neither.
    """
    try:
        listed = endpoint.get(f"{endpoint.url}/models")
    except Closed:
        if named is None:
            raise
        return {named: dict.fromkeys(TOLD)}
    entries = listed.get("data") if isinstance(listed, Mapping) else None
    entries = entries if isinstance(entries, list) else []
    cards = [card for card in entries if isinstance(card, Mapping) and "id" in card]
    if not cards:
        raise UserError(f"{endpoint.url}/models lists no model: backend.url must be that of an OpenAI-compatible API")
    return {str(card["id"]): {name: card.get(name) for name in TOLD} for card in cards}


def server_version(endpoint: Endpoint, page: str, field: str) -> str | None:
    """The version, from a page beside `/v1`; None if there is no such page."""
    try:
        return str(endpoint.get(f"{endpoint.url.removesuffix('/v1')}/{page}")[field])
    except (UserError, KeyError, TypeError):
        return None


def some_names(names: Iterable[str]) -> str:
    """The first names, and how many more there are."""
    known = sorted(names)
    more = f" and {len(known) - MOST_NAMES} more" if len(known) > MOST_NAMES else ""
    return ", ".join(name[:MOST_CHARACTERS] for name in known[:MOST_NAMES]) + more
