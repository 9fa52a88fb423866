"""One YAML mapping with fixed keys in a fixed order:

    reasoning: |
      9 * 2 = 18
    answer: 18

The reader asks for the structure alone, as in `json_object.py`. Values are never resolved to YAML's types: `true`, `017`,
`12:30`, `1_000` and `2024-01-01` stay the text the model wrote, and the answer kind judges that. JSON is YAML as well, so a
JSON object keeps this contract.
"""

from __future__ import annotations

import yaml

from fmtbench.answers import AnswerKind
from fmtbench.formats.base import Contract, Layout
from fmtbench.formats.fence import unfenced
from fmtbench.types import Extraction, Status

NULL = "tag:yaml.org,2002:null"

Members = list[tuple[yaml.Node, yaml.Node]]


class YamlContract(Contract):
    """A flat YAML mapping."""

    def ask(self, layout: Layout, kind: AnswerKind) -> str:
        order = ", with the keys in this order" if len(layout.fields) > 1 else ""
        form = (f"{name}: {kind.placeholder()}" if name == layout.answer else f"{name}: |\n  <text>" for name in layout.fields)
        return f"Reply with only YAML of this form{order}:\n" + "\n".join(form)

    def read(self, text: str, layout: Layout, kind: AnswerKind) -> Extraction:
        offset, body = unfenced(text, "yaml", "yml")
        members = parse_mapping(body)
        if members is None:
            return Extraction(status="invalid_format" if text.strip() else "no_answer")
        nodes = {str(key.value): value for key, value in members}
        reasoning = tuple(_span(nodes[stage], body, offset) for stage in layout.stages if stage in nodes)
        if (status := _status(members, layout)) != "ok":
            return Extraction(status=status, reasoning=reasoning)
        answer = nodes[layout.answer]
        return Extraction(status="ok", answer=answer.value, span=_span(answer, body, offset), reasoning=reasoning)

    def example(self, layout: Layout, kind: AnswerKind, reasoning: str, answer: str) -> str:
        return "\n".join(
            f"{name}: {_written(answer, answer) if name == layout.answer else _written(reasoning, _block(reasoning))}"
            for name in layout.fields
        )


def parse_mapping(text: str) -> Members | None:
    """Keys and values of a text that is one YAML mapping and nothing else, in order, duplicates kept; None otherwise.

    The text is composed to nodes and never constructed: no tag makes an object, no alias is copied out.
    """
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError, ValueError, OverflowError):  # the last two: `"\\UFFFFFFFF"` is no character
        return None
    return node.value if isinstance(node, yaml.MappingNode) else None


def _status(members: Members, layout: Layout) -> Status:
    if tuple(key.value for key, _ in members) != layout.fields:
        return "schema_violation"
    if not all(isinstance(value, yaml.ScalarNode) for _, value in members):
        return "schema_violation"
    answer = next(value for key, value in members if key.value == layout.answer)
    return "no_answer" if answer.tag == NULL or not answer.value.strip() else "ok"


def _span(node: yaml.Node, body: str, offset: int) -> tuple[int, int]:
    """Where a value stands, without the header (`|`) of a block."""
    start, end = node.start_mark.index, node.end_mark.index
    if isinstance(node, yaml.ScalarNode) and node.style in ("|", ">"):
        start = min(body.index("\n", start) + 1, end)
    written = body[start:end].rstrip()
    return start + offset, start + len(written) + offset


def _block(text: str) -> str:
    return "|\n" + "\n".join("  " + line if line else "" for line in text.split("\n"))


def _written(value: str, shown: str) -> str:
    """A value as shown, where YAML reads it back as the same text; in double quotes otherwise."""
    members = parse_mapping(f"key: {shown}\nnext: key")
    if members and len(members) == 2 and isinstance(members[0][1], yaml.ScalarNode) and members[0][1].tag != NULL:
        read = members[0][1].value
        if value == (read.removesuffix("\n") if shown.startswith("|\n") else read) and _loads(shown):
            return shown
    return yaml.dump(value, Dumper=yaml.SafeDumper, default_style='"', allow_unicode=True, width=2**31).rstrip("\n")


def _loads(shown: str) -> bool:
    """Whether a common parser takes the value, too: it stops at `=`, `0x_` and `2024-99-99`."""
    try:
        yaml.safe_load(shown)
    except (yaml.YAMLError, ValueError, OverflowError):
        return False
    return True
