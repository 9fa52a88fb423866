"""Short messages to a bank, each with one of a few intents, modelled on Banking77 (Casanueva et al. 2020) but in words of our
own: no data set, no download, no wrong labels.

{"id": "bank_messages/8/...", "question": "Message: Hello. I left my card in a taxi ... Which label ...?", "gold": "card_lost"}
"""

from __future__ import annotations

import hashlib
import random

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from fmtbench.answers import AnswerKind, Label
from fmtbench.tasks.generated import GeneratedTask
from fmtbench.types import Item

INTENTS: dict[str, tuple[str, ...]] = {
    "card_lost": (
        "I left my card in {place} and cannot find it.",
        "My wallet was stolen in {place}, with your card in it.",
        "Since {day} my card has been missing.",
    ),
    "card_not_arrived": (
        "You said my new card would be here on {day}, and the letter box is empty.",
        "The card that I ordered {days} days ago has not come.",
        "Is my first card still in the post? It was sent {days} days ago.",
    ),
    "payment_declined": (
        "In {place} the till refused my card, although there is money in the account.",
        "My payment of {amount} euros was turned down on {day}.",
        "Why was I not able to pay {amount} euros with my card in {place}?",
    ),
    "cash_fee": (
        "I was charged extra for taking {amount} euros out of a machine.",
        "Why does it cost something to draw cash in {place}?",
        "There is a fee next to the {amount} euros that I drew in cash on {day}.",
    ),
    "exchange_rate": (
        "The rate at which you changed my {amount} euros into dollars is worse than in the papers.",
        "Which rate do you use when I pay in pounds in {place}?",
        "On {day} you took the wrong rate for my yen.",
    ),
    "transfer_late": (
        "I sent {amount} euros to a friend {days} days ago, and nothing has reached her.",
        "How long does a transfer take? Mine has been pending since {day}.",
        "My landlord still waits for the {amount} euros that I transferred on {day}.",
    ),
    "refund_missing": (
        "A shop in {place} took my purchase back on {day}, and the money is not in my account.",
        "The seller says that the {amount} euros were refunded {days} days ago. I do not see them.",
        "I cancelled an order of {amount} euros. When do I get my money back?",
    ),
    "pin_forgotten": (
        "I cannot remember the four digits of my card.",
        "In {place} I typed the wrong number three times, since I have forgotten the right one.",
        "Since {day} I have been trying to recall my PIN.",
    ),
    "account_closing": (
        "I want to leave your bank by {day}.",
        "Please cancel my account and send the last {amount} euros to my other bank.",
        "How do I end my contract with you? I moved to another bank {days} days ago.",
    ),
    "address_change": (
        "I have moved, so please write to my new flat.",
        "From {day} on my letters must go to another street.",
        "You still have the house in which I lived until {days} days ago on file.",
    ),
}
"""What a message may want, and three ways of saying it. A larger `labels` adds intents from further down the list."""
PLACES = ("a taxi", "the supermarket", "a hotel in Rome", "the station", "a café", "the pharmacy")
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
OPENINGS = ("", "Hello. ", "Good morning. ", "I need your help. ", "Dear team, a question. ")


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class BankMessages(GeneratedTask[tuple[str, str]]):
    """A message with one of the first `labels` intents."""

    labels: int = Field(default=8, ge=2, le=len(INTENTS))

    @property
    def stream(self) -> tuple[str | int, ...]:
        return "bank_messages", self.labels

    def draw(self, rng: random.Random) -> tuple[str, str]:
        return _message(rng, self._labels)

    def item(self, drawn: tuple[str, str], index: int) -> Item:
        message, label = drawn
        digest = hashlib.sha256(message.encode()).hexdigest()[:10]
        return Item(id=f"bank_messages/{self.labels}/{digest}", question=_question(message), gold=label)

    @property
    def _labels(self) -> tuple[str, ...]:
        return tuple(INTENTS)[: self.labels]

    def kind(self, item: Item) -> AnswerKind:
        return Label(labels=self._labels)


def _question(message: str) -> str:
    return f"Message to a bank: {message}\nWhich label says what the customer wants?"


def _message(rng: random.Random, labels: tuple[str, ...]) -> tuple[str, str]:
    label = rng.choice(labels)
    said = rng.choice(INTENTS[label]).format(
        place=rng.choice(PLACES), day=rng.choice(DAYS), days=rng.randint(2, 20), amount=rng.randint(2, 90) * 5
    )
    return rng.choice(OPENINGS) + said, label
