"""The two steps. Each makes its requests one by one, and judges the replies in the order of their numbers.

Request i depends only on the recipe, the seed and i (in the second step also on the tasks). So a killed run plans the same
requests again, and a larger run begins with those of a smaller one.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from fmtbench.backbone import Backbone
from fmtbench.backends.base import Backend
from fmtbench.running.asking import request_seed
from fmtbench.store.folder import Planned
from fmtbench.synthesis.checks import REASONS, bad_text, bad_triple, parsed, written_in
from fmtbench.synthesis.recipe import FIELDS, StepPrompt, SynthesisRecipe, fill
from fmtbench.synthesis.similarity import Seen, contained, jaccard, normal, shingles
from fmtbench.tasks.base import item_rng
from fmtbench.types import Constraint, Generation, Item, Message, Request


@dataclass(frozen=True, kw_only=True)
class SearchTask:
    """One line of `tasks.jsonl`."""

    id: str
    task: str
    attributes: dict[str, str]
    key: str
    """The key of the request that it came from."""


@dataclass(frozen=True, kw_only=True)
class Triple:
    """One line of `triples.jsonl`."""

    id: str
    query: str
    positive: str
    negative: str
    task: str
    attributes: dict[str, str]
    key: str
    """The key of the request that it came from."""


@dataclass(frozen=True, kw_only=True)
class Rejected:
    """One line of `rejected.jsonl`, with the text as the model wrote it."""

    id: str
    reason: str
    text: str
    key: str


@dataclass(kw_only=True)
class Step(ABC):
    """What both steps share: numbers, seeds and counts."""

    recipe: SynthesisRecipe
    seed: int
    backend: Backend
    backbone: Backbone
    wanted: int
    kept: list[Any] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    asked: int = 0
    surplus: int = 0
    """Good texts beyond those wanted."""

    @property
    @abstractmethod
    def part(self) -> StepPrompt:
        """This step's part of the recipe."""

    @property
    @abstractmethod
    def constraint(self) -> Constraint: ...

    @abstractmethod
    def plan(self, number: int) -> Planned:
        """The request with this number."""

    @abstractmethod
    def judge(self, planned: Planned, generation: Generation) -> None:
        """Keep or reject the contents of a reply. Called in the order of the numbers."""

    @property
    def per_reply(self) -> int:
        return 1

    def requests_for(self, lacking: int) -> int:
        """How many requests should yield what is lacking, given the share kept so far; at most ten times as many."""
        judged = len(self.kept) + self.surplus + len(self.rejected)
        share = max(0.1, (len(self.kept) + self.surplus) / judged) if judged else 1.0
        return math.ceil(lacking / (share * self.per_reply))

    def counts(self) -> dict[str, int]:
        """Counts of all reasons, including zeros. Kept, not needed and rejected add up to written."""
        reasons = Counter(one.reason for one in self.rejected)
        written = len(self.kept) + self.surplus + len(self.rejected)
        head = {"requests": self.asked, "written": written, "kept": len(self.kept), "not_needed": self.surplus}
        return head | {reason: reasons[reason] for reason in REASONS}

    def request(self, item_id: str, prompt: str) -> Request:
        return Request(
            messages=(Message(role="user", content=prompt),),
            constraint=self.constraint,
            temperature=self.recipe.temperature,
            top_p=self.recipe.top_p,
            max_tokens=self.part.max_tokens,
            seed=request_seed(self.seed, item_id, 0),
            identity=self.backend.identity_of(self.backbone, self.constraint, self.recipe.temperature),
            chat_template_kwargs=self.backbone.chat_template_kwargs,
        )

    def keep(self, one: Any) -> None:
        if len(self.kept) < self.wanted:
            self.kept.append(one)
        else:
            self.surplus += 1


@dataclass(kw_only=True)
class BrainstormStep(Step):
    """Each reply is a list of tasks. The examples in the prompt count as seen."""

    def __post_init__(self) -> None:
        self._seen = Seen(self.recipe.similarity)
        for example in self.recipe.brainstorm.examples:
            self._seen.add(example)

    @property
    def part(self) -> StepPrompt:
        return self.recipe.brainstorm

    @property
    def constraint(self) -> Constraint:
        return self.recipe.brainstorm.constraint

    @property
    def per_reply(self) -> int:
        return self.recipe.brainstorm.count

    def plan(self, number: int) -> Planned:
        item_id = f"brainstorm/{number:06d}"
        return self._planned(item_id, self.part.draw(self.seed, item_id))

    def largest(self) -> Request:
        """The request with the longest prompt."""
        return self._planned("brainstorm/largest", self.part.longest()).request

    def _planned(self, item_id: str, attributes: dict[str, str]) -> Planned:
        examples = "\n".join(f"- {example}" for example in self.recipe.brainstorm.examples)
        prompt = fill(self.part.prompt, attributes | {"count": str(self.per_reply), "examples": examples})
        item = Item(id=item_id, question=prompt, gold="")
        return Planned(item=item, sample=0, request=self.request(item_id, prompt))

    def judge(self, planned: Planned, generation: Generation) -> None:
        reason, value = parsed(generation, self.constraint)
        if reason:
            self.rejected.append(Rejected(id=planned.item.id, reason=reason, text=generation.text, key=generation.key))
            return
        for place, written in enumerate(value["tasks"]):
            self._judge(f"{planned.item.id}/{place}", written, planned)

    def _judge(self, task_id: str, written: str, planned: Planned) -> None:
        text = " ".join(written.split())
        if reason := bad_text(text, self.recipe.brainstorm.chars) or self._seen.repeats(text):
            self.rejected.append(Rejected(id=task_id, reason=reason, text=written, key=planned.request.key))
            return
        self._seen.add(text)
        attributes = self.part.draw(self.seed, planned.item.id)
        self.keep(SearchTask(id=task_id, task=text, attributes=attributes, key=planned.request.key))


@dataclass(kw_only=True)
class TripleStep(Step):
    """Each reply is one triple; the tasks take turns.

    Queries are compared with queries and positives with positives, since either one repeated in a batch is a false negative.
    """

    tasks: Sequence[SearchTask]

    def __post_init__(self) -> None:
        self._seen = {name: Seen(self.recipe.similarity) for name in ("query", "positive")}

    @property
    def part(self) -> StepPrompt:
        return self.recipe.triple

    @property
    def constraint(self) -> Constraint:
        return self.recipe.triple.constraint

    def plan(self, number: int) -> Planned:
        item_id = f"triple/{number:06d}"
        task = self.tasks[number % len(self.tasks)]
        return self._planned(item_id, task.task, self._attributes(item_id), after=task.key)

    def largest(self) -> Request:
        """The request with the longest prompt, leaving its task aside."""
        attributes = self.part.longest() | {"language": max(self.recipe.languages, key=len)}
        return self._planned("triple/largest", "", attributes, after="").request

    def _attributes(self, item_id: str) -> dict[str, str]:
        language = item_rng(self.seed, item_id, "language").choice(self.recipe.languages)
        return self.part.draw(self.seed, item_id) | {"language": language}

    def _planned(self, item_id: str, task: str, attributes: dict[str, str], after: str) -> Planned:
        prompt = fill(self.part.prompt, attributes | {"task": task})
        item = Item(id=item_id, question=task, gold="")
        return Planned(item=item, sample=0, request=self.request(item_id, prompt), after=after)

    def judge(self, planned: Planned, generation: Generation) -> None:
        reason, value = parsed(generation, self.constraint)
        texts = {name: value[name].strip() for name in FIELDS} if not reason else {}
        if reason := reason or self._bad(texts, planned):
            self.rejected.append(Rejected(id=planned.item.id, reason=reason, text=generation.text, key=generation.key))
            return
        for name, seen in self._seen.items():
            seen.add(texts[name])
        attributes = self._attributes(planned.item.id)
        self.keep(Triple(id=planned.item.id, **texts, task=planned.item.question, attributes=attributes, key=generation.key))

    def _bad(self, texts: dict[str, str], planned: Planned) -> str:
        """The first reason that applies, in the order of `REASONS`; empty if there is none."""
        language = self.recipe.known[self._attributes(planned.item.id)["language"]]
        found = {bad_text(texts[name], bounds) for name, bounds in self.recipe.triple.chars.items()}
        found.add(bad_triple(texts, self.recipe.similarity))
        if self._copies(texts, planned):
            found.add("copies_prompt")
        if not all(written_in(text, language) for text in texts.values()):
            found.add("language")
        found |= {seen.repeats(texts[name]) for name, seen in self._seen.items()}
        return min(found - {""}, key=REASONS.index, default="")

    def _copies(self, texts: dict[str, str], planned: Planned) -> bool:
        """Whether a passage copies the prompt, or the query repeats the task."""
        prompt, most = planned.request.messages[0].content, self.recipe.similarity
        same = jaccard(shingles(normal(texts["query"])), shingles(normal(planned.item.question))) >= most
        return same or any(contained(texts[name], prompt) >= most for name in ("positive", "negative"))
