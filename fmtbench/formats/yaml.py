"""One YAML mapping with fixed keys in a fixed order:

    reasoning: |
      9 * 2 = 18
    answer: 18

Values are never resolved to YAML's types: `true`, `017`, `12:30`, `1_000` and `2024-01-01` stay the text the model wrote, and
the answer kind judges that. JSON is YAML as well, so a JSON object keeps this contract.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import yaml

from fmtbench.answers import AnswerKind, Record
from fmtbench.decoding.patterns import literal
from fmtbench.formats.base import Field, Layout, Syntax
from fmtbench.formats.blanks import FILLER, removed, undone
from fmtbench.formats.flat import ValuePatterns, in_lines
from fmtbench.formats.names import NAMES, NOTHING
from fmtbench.formats.records import filled, merged, shape
from fmtbench.formats.statements import some
from fmtbench.formats.structured import Part, StructuredFormat
from fmtbench.types import Constraint

NULL = "tag:yaml.org,2002:null"
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml's, if PyYAML has it: fifty times as fast, and without a recursion that a thousand brackets would exhaust."""
DEEPEST = 20
MOST_KEYS = 1000
"""A reply with more lines that look like keys is a loop, which would take long to compose."""
TOP_KEY = re.compile(r"^[^\s:]{1,60}:(?=\s|$)", re.M)
KEY = re.compile(r"^[ \t]*[a-z][a-z_ -]{1,30}:(?=\s)", re.M)
FIELD = re.compile(
    rf"^([ \t]{{0,40}})({NAMES}):[ \t]*+(?:[|>][+-]?[ \t]*+\n((?:\1[ \t]+\S.*(?:\n"
    rf"|$))+)|\n((?:\1[ \t]*-[ \t]+\S.*(?:\n|$))+)|(\S.*)$|$)",
    re.I | re.M,
)
LABEL = r"[*_]{0,2}[A-Za-z][\w-]*+[*_]{0,2}[ \t]{0,9}:[*_]{0,2}(?:[ \t]{0,9}[|>][+-]?)?(?=\s|$)"
SCALAR = re.compile(r'^([ \t]{0,40}[\w-]{1,40}:[ \t]{1,9})"((?:[^"\\\n]|\\.)*+)("?[ \t]*)$', re.M)
"""A key with a value in double quotes."""

Members = list[tuple[yaml.Node, yaml.Node]]


class YamlFormat(StructuredFormat):
    """A flat YAML mapping."""

    name = "yaml"
    precedence = 30
    languages = ("yaml", "yml")
    like_prose = True
    enforceable = True
    syntax = Syntax(
        answer=re.compile(rf"^[ \t>*_-]{{0,9}}{NAMES}[*_]{{0,3}}[ \t]{{0,9}}:.*$", re.I | re.M),
        # Markdown's bullets and its bold labels are taken off here too, since they come before and around the same key.
        heads=re.compile(rf"^(?:[-*+>][ \t]{{1,9}}(?:{LABEL})?|{LABEL})", re.M),
    )

    def form(self, layout: Layout, kind: AnswerKind) -> str:
        if isinstance(kind, Record):
            return f"YAML of this form{layout.in_order('keys')}:\n{self.dump(shape(layout, kind))}"
        form = (f"{name}: {kind.placeholder()}" if name == layout.answer else f"{name}: |\n  <text>" for name in layout.fields)
        return f"YAML of this form{layout.in_order('keys')}:\n" + "\n".join(form)

    def write(self, layout: Layout, kind: AnswerKind, reasoning: str, answer: str) -> str:
        if isinstance(kind, Record):
            return self.dump(filled(layout, kind, reasoning, answer))
        shown = {name: _written(reasoning, _block(reasoning)) for name in layout.stages}
        shown[layout.answer] = _written(answer, answer)
        return "\n".join(f"{name}: {shown[name]}" for name in layout.fields)

    def grammar(self, layout: Layout, kind: AnswerKind, fields: Constraint) -> Constraint:
        return in_lines(SPELLING, layout, fields)

    def dump(self, tree: Mapping[str, Any]) -> str:
        return "\n".join(_lines(tree))

    def load(self, body: str, layout: Layout, kind: Record) -> dict[str, Any] | None:
        members = parse_mapping(body)
        found = None if members is None else _tree(yaml.MappingNode("", members), [MOST_KEYS], 0)
        return found if isinstance(found, dict) else None

    def parse(self, body: str, fields: Sequence[str] | None) -> list[Part] | None:
        members = parse_mapping(body)
        return None if members is None else [_part(key, value, body) for key, value in members]

    def opening(self, name: str) -> str:
        return rf"^(?P<key>{re.escape(name)}):(?:[ \t]+[|>][+-]?[ \t]*$|(?=\s|$))"

    def unpack(self, text: str, answers: bool) -> str | None:
        """Where values stand in double quotes: these without quotes and escapes."""
        return SCALAR.sub(_unquoted, text) if SCALAR.search(text) else None

    def find(self, text: str) -> Iterator[Field]:
        """A key counts where there is another one: in prose, "Answer:" is a mark among others."""
        if len(KEY.findall(text)) < 2:
            return
        for match in some(list(FIELD.finditer(text))):
            group = match.lastindex if (match.lastindex or 0) > 2 else 0
            held = match[group].strip().strip("\"'") if group else ""
            yield Field(
                match[2], "" if NOTHING.fullmatch(held) else held, match.span(group) if group else (match.end(), match.end())
            )


def parse_mapping(text: str) -> Members | None:
    """Keys and values of a text that is nothing but one YAML mapping, in order, duplicates kept; None otherwise.

    The text is composed to nodes and never constructed: no tag makes an object, no alias is copied out.
    """
    if not any(sign in text for sign in ":{?") or len(TOP_KEY.findall(text)) > MOST_KEYS:
        return None
    try:
        node = yaml.compose(text, Loader=LOADER)
    except (yaml.YAMLError, RecursionError, ValueError, OverflowError):  # the last two: `"\\UFFFFFFFF"` is no character
        return None
    return node.value if isinstance(node, yaml.MappingNode) else None


def _lines(tree: Any) -> Iterator[str]:
    """A block of YAML, line by line; lists of scalars and of mappings with a dash."""
    for name, one in tree.items():
        key = _written(name, name)
        if isinstance(one, Mapping) and one:
            yield f"{key}:"
            yield from (f"  {line}" for line in _lines(one))
        elif isinstance(one, list) and one:
            yield f"{key}:"
            for each in one:
                lines = list(_lines(each)) if isinstance(each, Mapping) else _text(each).split("\n")
                yield from (f"  {'- ' if not place else '  '}{line}" for place, line in enumerate(lines))
        else:
            yield from f"{key}: {_text(one)}".split("\n")


def _text(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, Mapping | list):
        return "[]" if isinstance(value, list) else "{}"
    return _written(value, _block(value) if "\n" in value else value)


def _tree(node: yaml.Node, budget: list[int], level: int) -> Any:
    """A composed text as a tree; an alias is followed, within the budget of nodes that all of them share."""
    budget[0] -= 1
    if budget[0] < 0 or level > DEEPEST:
        return None
    if isinstance(node, yaml.MappingNode):
        return merged([(str(key.value), _tree(value, budget, level + 1)) for key, value in node.value])
    if isinstance(node, yaml.SequenceNode):
        return [_tree(one, budget, level + 1) for one in node.value]
    return None if node.tag == NULL else str(node.value)


def _part(key: yaml.Node, value: yaml.Node, body: str) -> Part:
    if not isinstance(value, yaml.ScalarNode):
        return Part(str(key.value), None, _span(value, body), prose=False)
    return Part(str(key.value), "" if value.tag == NULL else str(value.value), _span(value, body))


def _unquoted(match: re.Match[str]) -> str:
    return match[1] + FILLER + undone(match[2]) + removed(match[3])


def _span(node: yaml.Node, body: str) -> tuple[int, int]:
    """The place of a value, without the header (`|`) of a block."""
    start, end = node.start_mark.index, node.end_mark.index
    if isinstance(node, yaml.ScalarNode) and node.style in ("|", ">"):
        start = min(body.index("\n", start) + 1, end)
    return start, start + len(body[start:end].rstrip())


def _block(text: str) -> str:
    return "|\n" + "\n".join("  " + line if line else "" for line in text.split("\n"))


def _written(value: str, shown: str) -> str:
    """A value as shown, if YAML reads it back as the same text; otherwise in double quotes."""
    members = parse_mapping(f"key: {shown}\nnext: key")
    if members and len(members) == 2 and isinstance(members[0][1], yaml.ScalarNode) and members[0][1].tag != NULL:
        read = members[0][1].value
        if value == (read.removesuffix("\n") if shown.startswith("|\n") else read) and _loads(shown):
            return shown
    return yaml.dump(str(value), Dumper=yaml.SafeDumper, default_style='"', allow_unicode=True, width=2**31).rstrip("\n")


def _loads(shown: str) -> bool:
    """Whether a common parser takes the value, too: it stops at `=`, `0x_` and `2024-99-99`."""
    try:
        yaml.safe_load(shown)
    except (yaml.YAMLError, ValueError, OverflowError):
        return False
    return True


# -- grammar

UNSEEN = r"\x00-\x1F\x7F-\xA0\u1680\u2000-\u200A\u2028\u2029\u202F\u205F\u3000\uFEFF\uFFFE\uFFFF"
"""White space but for the space, line breaks of every kind, and what YAML does not print."""
SEEN = rf"[^ {UNSEEN}]"
QUOTED_SIGN = rf'([^"\\{UNSEEN}]|\\["\\nt])'
QUOTED = rf'"[ ]{{0,3}}([^" \\{UNSEEN}]|\\["\\]){QUOTED_SIGN}*"'
"""In double quotes, more than white space."""
BARE_SIGN = rf"[^ :#{UNSEEN}]"
BARE_START = rf"[^ :#\-?,\[\]{{}}&*!|>'\"%@`~nN{UNSEEN}]"
BARE = rf"([ ]{{0,2}}{BARE_SIGN})"
NOT_NULL = (
    rf"[nN]([ ]{{1,2}}{BARE_SIGN}{BARE}*|[^ :#uU{UNSEEN}]{BARE}*|[uU]([ ]{{1,2}}{BARE_SIGN}{BARE}*|[^ :#lL{UNSEEN}]{BARE}*)?)?"
)
"""Words on one line that begin with n. `null` would be nothing, so of those that go on with `nul` none stands without quotes."""
LINE_OF_BLOCK = rf"{SEEN}[^{UNSEEN}]*"


def _key(name: str, value: str) -> str:
    return f"{literal(_written(name, name))}: {value}"


SPELLING = ValuePatterns(
    asked="yaml",
    text=f"({BARE_START}{BARE}*|{NOT_NULL}|{QUOTED})",
    rationale=rf"\|\n[ ][ ]{LINE_OF_BLOCK}(\n?\n[ ][ ][ ]{{0,8}}{LINE_OF_BLOCK})*",
    null="null",
    literal=lambda value: literal(_written(value, value)),
    field=_key,
)
