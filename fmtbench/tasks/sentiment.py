"""Short templated reviews that are plainly positive or negative: the classification task for tiny models.

{"id": "sentiment/...", "question": "Review: The soup was delicious and the staff were friendly. ...", "gold": "positive"}
"""

from __future__ import annotations

import hashlib
import random

from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

from fmtbench.answers import AnswerKind, Label
from fmtbench.tasks.generated import GeneratedTask
from fmtbench.types import Item, Shot

LABELS = ("positive", "negative")
OPENINGS = ("", "Last week we went there for the first time. ", "I had read a lot about it before. ", "My sister came along. ")
SUBJECTS = {
    "restaurant": (
        ("soup", "bread", "fish", "dessert", "coffee"),
        ("delicious", "fresh", "perfect"),
        ("cold", "stale", "inedible"),
    ),
    "hotel": (
        ("room", "bed", "bathroom", "pool", "breakfast"),
        ("spotless", "lovely", "excellent"),
        ("dirty", "awful", "disgusting"),
    ),
    "film": (
        ("plot", "acting", "music", "ending", "dialogue"),
        ("brilliant", "moving", "wonderful"),
        ("boring", "terrible", "dreadful"),
    ),
    "phone": (
        ("screen", "battery", "camera", "speaker", "keyboard"),
        ("superb", "great", "reliable"),
        ("useless", "faulty", "poor"),
    ),
}
VERDICTS = {
    "positive": ("I would come back at once.", "I recommend it to everybody.", "It was worth every cent.", "We loved it."),
    "negative": ("I want my money back.", "I would not wish it on anybody.", "It was a waste of time.", "We regret it."),
}


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class Sentiment(GeneratedTask[tuple[str, str]]):
    """Two details and a verdict, all of one sentiment; about half of the items are positive."""

    @property
    def stream(self) -> tuple[str | int, ...]:
        return ("sentiment",)

    def draw(self, rng: random.Random) -> tuple[str, str]:
        return _review(rng)

    def item(self, drawn: tuple[str, str], index: int) -> Item:
        review, label = drawn
        digest = hashlib.sha256(review.encode()).hexdigest()[:10]
        return Item(id=f"sentiment/{digest}", question=_question(review), gold=label)

    def kind(self, item: Item) -> AnswerKind:
        return Label(labels=LABELS)

    def worked(self) -> list[Shot]:
        """Reviews of another seed."""
        return [Shot(question=_question(review), reasoning=_reason(review), answer=label) for review, label in self.other_draws()]


def _reason(review: str) -> str:
    """What the last sentence, the verdict, says."""
    return f"The writer ends with: {review[:-1].rpartition('. ')[2]}."


def _question(review: str) -> str:
    return f"Review: {review}\nIs the sentiment of this review positive or negative?"


def _review(rng: random.Random) -> tuple[str, str]:
    label = rng.choice(LABELS)
    subject = rng.choice(sorted(SUBJECTS))
    details, good, bad = SUBJECTS[subject]
    first, second = rng.sample(details, 2)
    words = rng.sample(good if label == "positive" else bad, 2)
    sentence = f"The {first} of this {subject} was {words[0]} and the {second} was {words[1]}."
    return f"{rng.choice(OPENINGS)}{sentence} {rng.choice(VERDICTS[label])}", label
