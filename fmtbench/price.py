"""What tokens cost: an amount, a currency and the number of tokens it buys, all three given explicitly.

Prices.read("2.50 USD/1M", "10 USD/1M").of(1000, 200)      0.0045 USD
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fmtbench.errors import UserError

WRITTEN = re.compile(r"\s*(?P<number>[0-9]{1,9}(?:\.[0-9]{1,9})?)\s*(?P<currency>[A-Z]{3})\s*/\s*1?(?P<tokens>[MK])\s*")
TOKENS = {"M": 1_000_000, "K": 1000}
ALLOWED = "give a number that is at least 0, a currency and a number of tokens, such as '2.50 USD/1M' for a million or /1K"


@dataclass(frozen=True, kw_only=True)
class Prices:
    """Prices per token, in one currency."""

    prompt: float
    reply: float
    currency: str

    @classmethod
    def read(cls, price_in: Any, price_out: Any) -> Prices | None:
        """Prices from two texts; None if neither is given. Raises `UserError` if only one is, or one is not a price."""
        if price_in is None and price_out is None:
            return None
        if price_in is None or price_out is None:
            lacking, there = ("price_in", "price_out") if price_in is None else ("price_out", "price_in")
            raise UserError(f"{there} is given and {lacking} is not: give both, the prices of prompts and of replies")
        (prompt, currency), (reply, other) = (_read(*one) for one in (("price_in", price_in), ("price_out", price_out)))
        if currency != other:
            raise UserError(f"price_in is in {currency} and price_out in {other}: give both in one currency")
        return cls(prompt=prompt, reply=reply, currency=currency)

    def of(self, prompt_tokens: Any, reply_tokens: Any) -> Any:
        """The cost of these token counts: numbers, or arrays of one shape."""
        return self.prompt * prompt_tokens + self.reply * reply_tokens

    def said(self) -> str:
        return f"{1e6 * self.prompt:g} {self.currency} a million prompt tokens, {1e6 * self.reply:g} of replies"


def amount(value: float, currency: str) -> str:
    """Money in words: to the cent, or to three digits if it is less than one."""
    return f"{value:,.2f} {currency}" if value >= 1 or not value else f"{value:.3g} {currency}"


def prices_of(config: Mapping[str, Any]) -> Prices | None:
    """The prices that a cell's config gives for its engine."""
    backend = config.get("backend")
    given = backend if isinstance(backend, Mapping) else {}
    return Prices.read(given.get("price_in"), given.get("price_out"))


def _read(name: str, written: Any) -> tuple[float, str]:
    found = WRITTEN.fullmatch(written) if isinstance(written, str) else None
    if found is None:
        raise UserError(f"{name}={written}: {ALLOWED}")
    return float(found["number"]) / TOKENS[found["tokens"]], found["currency"]
