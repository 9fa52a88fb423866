"""How a reply fails is named apart from whether it is right."""

from typing import Any

import pytest

from fmtbench.answers import Number
from fmtbench.types import Generation

CASES = [
    ("free_cot", "So 18. The answer is 18.", "stop", "ok"),
    ("free_cot", "So it is 18.", "stop", "no_mark"),
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
    ("json_prompt", 'Sure! {"reasoning": "9 * 2", "answer": 18}', "stop", "another_mark"),
    ("json_prompt", '{"reasoning": "9 * 2", "answer": 18', "length", "truncated"),
    ("json_prompt", '{"answer": 18, "reasoning": "9 * 2"}', "stop", "schema_violation"),
    ("json_prompt", '{"reasoning": "9 * 2", "answer": 18, "answer": 19}', "stop", "schema_violation"),
    ("json_prompt", '{"reasoning": "9 * 2", "answer": {"value": 18}}', "stop", "schema_violation"),
    ("json_prompt", '{"reasoning": ["9 * 2"], "answer": 18}', "stop", "schema_violation"),
    ("json_prompt", '{"reasoning": "9 * 2", "answer": NaN}', "stop", "no_mark"),
    ("json_prompt", '{"reasoning": "9 * 2", "answer": null}', "stop", "no_answer"),
    ("json_prompt", '{"reasoning": "9 * 2", "answer": " "}', "stop", "no_answer"),
    ("json_prompt", "[" * 100_000, "stop", "no_mark"),
    ("json_schema", '{"reasoning": "1' + ".1" * 60, "length", "loop"),
    ("json_schema", '{"reasoning":' + " " * 60, "length", "loop"),
    ("json_schema_unasked", '{"reasoning": "9 * 2", "answer": 18}', "stop", "ok"),
    ("json_schema_answer_first", '{"answer": 18, "reasoning": "9 * 2"}', "stop", "ok"),
    ("staged", "Phenomenon: eggs.\nObservation: 9 * 2.\nConclusion: 18.\nThe answer is 18.", "stop", "ok"),
    ("yaml_prompt", "reasoning: |\n  9 * 2: 18\nanswer: 18\n", "stop", "ok"),
    ("yaml_prompt", "reasoning: nine times two\nanswer: $18.00 # per day", "stop", "ok"),
    ("yaml_prompt", "```yaml\nreasoning: |\n  9 * 2\nanswer: 18\n```", "stop", "ok"),
    ("yaml_prompt", "Here it is.\n\nreasoning: |\n  9 * 2\nanswer: 18", "stop", "another_mark"),
    ("yaml_prompt", "reasoning: Step 1: 9 * 2\nanswer: 18", "stop", "another_mark"),
    ("yaml_prompt", "reasoning: r\nanswer: **18**", "stop", "another_mark"),
    ("yaml_prompt", "reasoning: r\nanswer: 18\n---\nanswer: 19", "stop", "another_mark"),
    ("yaml_prompt", "answer: 18\nreasoning: r", "stop", "schema_violation"),
    ("yaml_prompt", "reasoning: r\nanswer: 18\nanswer: 19", "stop", "schema_violation"),
    ("yaml_prompt", "reasoning: r\nanswer:\n  - 18", "stop", "schema_violation"),
    ("yaml_prompt", "reasoning: r\nanswer: !!python/object/apply:os.system [ls]", "stop", "schema_violation"),
    ("yaml_prompt", "reasoning: r\nanswer:", "stop", "no_answer"),
    ("yaml_prompt", "reasoning: r\nanswer: null", "stop", "no_answer"),
    ("csv_prompt", 'reasoning,answer\n"9, and ""9""",18.0', "stop", "ok"),
    ("csv_prompt", "```csv\nreasoning,answer\n9 * 2,18\n```", "stop", "ok"),
    ("csv_prompt", "reasoning,answer\n9 * 2,18\nso,19", "stop", "another_mark"),
    ("csv_prompt", "reasoning,answer\n9, and 9,18", "stop", "no_mark"),
    ("csv_prompt", 'reasoning,answer\n"9 * 2,18', "stop", "no_mark"),
    ("csv_prompt", 'reasoning,answer\n"9 * 2"!,18', "stop", "no_mark"),
    ("csv_prompt", "answer,reasoning\n18,9 * 2", "stop", "schema_violation"),
    ("csv_prompt", "reasoning,answer\n9 * 2,", "stop", "no_answer"),
    ("toml_prompt", 'reasoning = "9 * 2"\nanswer = 18.0', "stop", "ok"),
    ("toml_prompt", "reasoning = '''\n9 * 2\n'''\nanswer = 18", "stop", "ok"),
    ("toml_prompt", 'reasoning = "9 * 2"\nanswer = 18\nanswer = 19', "stop", "another_mark"),
    ("toml_prompt", "reasoning = 9 * 2\nanswer = 18", "stop", "another_mark"),
    ("toml_prompt", '[reply]\nreasoning = "9 * 2"\nanswer = 18', "stop", "another_mark"),
    ("toml_prompt", 'answer = 18\nreasoning = "9 * 2"', "stop", "schema_violation"),
    ("toml_prompt", 'reasoning = "9 * 2"\nanswer = ""', "stop", "no_answer"),
    ("yaml_prompt", "reasoning: |\n  9 *", "length", "truncated"),
    ("yaml_prompt", '"\\UFFFFFFFF"', "stop", "no_mark"),
    ("xml_prompt", "<reasoning>9 < 18 & 9 * 2 = 18</reasoning>\n<answer>18</answer>", "stop", "ok"),
    ("xml_prompt", "```xml\n<reasoning>r</reasoning><answer>18</answer>\n```", "stop", "ok"),
    ("xml_prompt", '<?xml version="1.0"?><r>\n<reasoning>r</reasoning><answer unit="$">18</answer></r>', "stop", "ok"),
    ("xml_prompt", "<reasoning>r</reasoning><answer><![CDATA[18]]></answer>", "stop", "ok"),
    ("xml_prompt", "Sure! <reasoning>r</reasoning><answer>18</answer>", "stop", "another_mark"),
    ("xml_prompt", "<reasoning>r</reasoning><answer>18", "stop", "another_mark"),
    ("xml_prompt", '<!DOCTYPE a [<!ENTITY b "18">]><reasoning>r</reasoning><answer>&b;</answer>', "stop", "no_mark"),
    ("xml_prompt", "<answer>18</answer><reasoning>r</reasoning>", "stop", "schema_violation"),
    ("xml_prompt", "<reasoning>r</reasoning><answer>17</answer><answer>18</answer>", "stop", "schema_violation"),
    ("xml_prompt", "<reasoning>r</reasoning><answer><number>18</number></answer>", "stop", "schema_violation"),
    ("xml_prompt", "<reasoning>r</reasoning><answer> </answer>", "stop", "no_answer"),
    ("xml_prompt", "<reasoning>9 *", "length", "truncated"),
    ("xml_prompt", "<reasoning>r</reasoning><answer>18</answer>", "length", "ok"),
    ("markdown_prompt", "## Reasoning\n\n### Step 1\n9 * 2\n\n**So 18**\n\n## Answer\n\n**18**", "stop", "ok"),
    ("markdown_prompt", "# REASONING:\nr\n# **Answer**\n18\n", "stop", "ok"),
    ("markdown_prompt", "Sure!\n## Reasoning\nr\n## Answer\n18", "stop", "another_mark"),
    ("markdown_prompt", "**Reasoning**\nr\n**Answer**\n18", "stop", "another_mark"),
    ("markdown_prompt", "## Answer\n18\n## Reasoning\nr", "stop", "schema_violation"),
    ("markdown_prompt", "## Reasoning\nr\n## Answer\n18\n\nI hope this helps!", "stop", "schema_violation"),
    ("markdown_prompt", "## Reasoning\nr\n## Answer\n", "stop", "no_answer"),
    ("markdown_prompt", "## Reasoning\n9 *", "length", "truncated"),
]


@pytest.mark.parametrize(("name", "text", "finish", "status"), CASES, ids=[f"{c[0]}-{c[3]}-{i}" for i, c in enumerate(CASES)])
def test_status(conditions: dict[str, Any], name: str, text: str, finish: Any, status: str) -> None:
    found = conditions[name].read(Generation(key="", text=text, finish_reason=finish), Number())
    assert found.status == status
    assert (found.answer is not None) == (status == "ok")
    if found.span is not None:
        assert found.answer in text[slice(*found.span)]
