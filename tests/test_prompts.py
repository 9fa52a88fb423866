"""The prompt group: enough paraphrases, all different, each saying everything that a condition leaves to it."""

import re
from typing import Any

from tests.conftest import options


def test_there_are_at_least_six_paraphrases_and_a_korean_prompt(prompts: dict[str, Any]) -> None:
    assert len({name for name in options("prompt") if "_format" not in name} - {"korean"}) >= 6
    korean = {name: text for name, text in vars(prompts["korean"]).items() if name in FIELDS}
    assert all(re.search("[가-힣]", text) for text in korean.values())


def test_every_prompt_names_the_budget_and_the_stages(prompts: dict[str, Any]) -> None:
    for name, prompt in prompts.items():
        assert "25" in prompt.instruction("budget", 25, ()), name
        assert "first, second" in prompt.instruction("staged", None, ("first", "second")), name
        assert prompt.convert, name
        assert prompt.reconsider, name
        assert "{error}" in prompt.retry, name
        for reasoning in ("none", "free", "draft"):
            assert not re.search(r"[{}]", prompt.instruction(reasoning, None, ())), name


FIELDS = ("role", "task", "none", "free", "budget", "staged", "draft", "convert", "reconsider", "retry")


def test_no_two_paraphrases_share_a_wording(prompts: dict[str, Any]) -> None:
    paraphrases = [prompt for name, prompt in prompts.items() if not re.fullmatch(r"task[23]_format.|task1_format[23]", name)]
    for field in FIELDS[1:]:
        assert len({getattr(prompt, field) for prompt in paraphrases}) == len(paraphrases), field


def test_the_three_by_three_design_is_crossed(prompts: dict[str, Any]) -> None:
    """Nine prompts of three task wordings and three format wordings, and nothing else differs."""
    grid = {(i, j): prompts[f"task{i}_format{j}"] for i in (1, 2, 3) for j in (1, 2, 3)}
    for field in FIELDS[1:]:
        wordings = {i: {getattr(grid[i, j], field) for j in (1, 2, 3)} for i in (1, 2, 3)}
        assert all(len(texts) == 1 for texts in wordings.values()), field
        assert len(set.union(*wordings.values())) == 3, field
    formats = [{grid[i, j].format for i in (1, 2, 3)} for j in (1, 2, 3)]
    assert [len(texts) for texts in formats] == [1, 1, 1]
    assert len(set.union(*formats)) == 3
