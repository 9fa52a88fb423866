"""The prompt group: enough paraphrases, all different, each saying everything that a condition leaves to it."""

import re
from typing import Any

from tests.conftest import options


def test_there_are_at_least_six_paraphrases_and_a_korean_prompt(prompts: dict[str, Any]) -> None:
    assert len(set(options("prompt")) - {"korean"}) >= 6
    assert all(re.search("[가-힣]", text) for text in vars(prompts["korean"]).values() if isinstance(text, str))


def test_every_prompt_names_the_budget_and_the_stages(prompts: dict[str, Any]) -> None:
    for name, prompt in prompts.items():
        assert "25" in prompt.instruction("budget", 25, ()), name
        assert "first, second" in prompt.instruction("staged", None, ("first", "second")), name
        for reasoning in ("none", "free"):
            assert not re.search(r"[{}]", prompt.instruction(reasoning, None, ())), name


def test_no_two_prompts_share_a_wording(prompts: dict[str, Any]) -> None:
    for field in ("role", "task", "none", "free", "budget", "staged"):
        assert len({getattr(prompt, field) for prompt in prompts.values()}) == len(prompts), field
