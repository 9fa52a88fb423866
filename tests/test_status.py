"""How a reply fails is named apart from whether it is right."""

from typing import Any

import pytest

from fmtbench.answers import Number
from fmtbench.types import Generation

CASES = [
    ("free_cot", "So 18. The answer is 18.", "stop", "ok"),
    ("free_cot", "So it is 18.", "stop", "invalid_format"),
    ("free_cot", "", "stop", "no_answer"),
    ("free_cot", "The answer is", "stop", "no_answer"),
    ("free_cot", "Let me see. The answer is 1", "length", "truncated"),
    ("free_cot", "The answer is 18. And then she goes on and", "length", "ok"),
    ("free_cot", "Let me see. " + "I add one. " * 20, "length", "loop"),
    ("free_cot", "I'm sorry, but I can't help with that.", "stop", "refused"),
    ("free_cot", "", "error", "engine_error"),
    ("direct", "The answer is 18.", "stop", "ok"),
    ("json_prompt", '{"reasoning": "9 * 2", "answer": 18}', "stop", "ok"),
    ("json_prompt", '```json\n{"reasoning": "9 * 2", "answer": 18}\n```', "stop", "ok"),
    ("json_prompt", 'Sure! {"reasoning": "9 * 2", "answer": 18}', "stop", "invalid_format"),
    ("json_prompt", '{"reasoning": "9 * 2", "answer": 18', "length", "truncated"),
    ("json_prompt", '{"answer": 18, "reasoning": "9 * 2"}', "stop", "schema_violation"),
    ("json_prompt", '{"reasoning": "9 * 2", "answer": 18, "answer": 19}', "stop", "schema_violation"),
    ("json_prompt", '{"reasoning": "9 * 2", "answer": {"value": 18}}', "stop", "schema_violation"),
    ("json_prompt", '{"reasoning": ["9 * 2"], "answer": 18}', "stop", "schema_violation"),
    ("json_prompt", '{"reasoning": "9 * 2", "answer": NaN}', "stop", "invalid_format"),
    ("json_prompt", '{"reasoning": "9 * 2", "answer": null}', "stop", "no_answer"),
    ("json_prompt", '{"reasoning": "9 * 2", "answer": " "}', "stop", "no_answer"),
    ("json_prompt", "[" * 100_000, "stop", "invalid_format"),
    ("json_schema", '{"reasoning": "1' + ".1" * 60, "length", "loop"),
    ("json_schema", '{"reasoning":' + " " * 60, "length", "loop"),
    ("json_schema_unasked", '{"reasoning": "9 * 2", "answer": 18}', "stop", "ok"),
    ("json_schema_answer_first", '{"answer": 18, "reasoning": "9 * 2"}', "stop", "ok"),
    ("staged", "Phenomenon: eggs.\nObservation: 9 * 2.\nConclusion: 18.\nThe answer is 18.", "stop", "ok"),
]


@pytest.mark.parametrize(("name", "text", "finish", "status"), CASES, ids=[f"{c[0]}-{c[3]}-{i}" for i, c in enumerate(CASES)])
def test_status(conditions: dict[str, Any], name: str, text: str, finish: Any, status: str) -> None:
    found = conditions[name].read(Generation(key="", text=text, finish_reason=finish), Number())
    assert found.status == status
    assert (found.answer is not None) == (status == "ok")
    if found.span is not None:
        assert found.answer in text[slice(*found.span)]
