"""A task of your own: items with gold answers, and the kind of each answer.

As an option of `fmtbench run`, it is a YAML with `_target_: own_task.Doubles` (see the guide on tasks).
"""

from dataclasses import dataclass

import fmtbench


@dataclass(frozen=True, kw_only=True)
class Doubles(fmtbench.Task):
    size: int = 5

    def items(self) -> list[fmtbench.Item]:
        return [fmtbench.Item(id=str(i), question=f"What is twice {i}?", gold=str(2 * i)) for i in range(self.size)]

    def kind(self, item: fmtbench.Item) -> fmtbench.Number:
        return fmtbench.Number()


if __name__ == "__main__":
    task = Doubles(size=3)
    for item in task.items():
        print(item.question, "->", item.gold, task.kind(item).same("$1,000", "1000"))
