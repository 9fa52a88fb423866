"""What the decoder allows under a condition's `enforced`, `when` and `budget`: one grammar, for every engine.

Grammars other than a plain schema are regular expressions, since every decoder compiles these.
"""

from __future__ import annotations

import json

from fmtbench.answers import AnswerKind, Record
from fmtbench.answers.nodes import levels
from fmtbench.decoding.grammar import regex
from fmtbench.decoding.json_mode import DEEPEST, DEPTH, any_object
from fmtbench.decoding.patterns import LINE, all_words, at_most_words, literal
from fmtbench.decoding.records import decodable
from fmtbench.decoding.schema import json_schema
from fmtbench.decoding.whitespace import spaced
from fmtbench.errors import UnaskableError
from fmtbench.formats.base import Layout
from fmtbench.formats.records import joined
from fmtbench.formats.steps import annotation, fragment
from fmtbench.types import Constraint

CHAR = r'([^"\\\x00-\x1F\x7F-\x9F ]|\\["\\/b])'
SPACE = r"( |\\[nrtf])"
"""White space in a JSON string, escaped line breaks included; `CHAR` is any other character."""
GAP = 6
"""The most white space in a row under a budget of words, which does not count it: enough for a blank line and an indented item,
but not for a model that repeats its line breaks."""
ANSWER = "The answer is "
BREAKS = r"\n\r\x0B\x0C\x85\u2028\u2029"
"""The characters that always break a line (classes BK, CR, LF and NL of Unicode Standard Annex 14)."""


def object_of_fields(layout: Layout, kind: AnswerKind) -> Constraint:
    """What a decoder enforces: the schema, in the layout's white space."""
    return spaced(schema_of_fields(layout, kind), layout.whitespace)


def schema_of_fields(layout: Layout, kind: AnswerKind) -> Constraint:
    """The schema that a decoder enforces; its properties come in the layout's order."""
    if isinstance(kind, Record):
        return object_of_record(layout, kind)
    rationale = annotation(layout.rationale)
    fields = {name: kind.annotation() if name == layout.answer else rationale for name in layout.fields}
    return Constraint(kind="json_schema", source=json_schema(fields))


def object_of_record(layout: Layout, kind: Record) -> Constraint:
    """The schema of a record, with the rationale's parts before or after its own fields.

    Raises `UnaskableError` where one of these is called like one of those.
    """
    schema = decodable(kind.schema)
    properties = joined(layout, kind, fragment(layout.rationale), schema["properties"])
    required = [name for name in properties if name in (*layout.stages, *schema.get("required", ()))]
    whole = {"additionalProperties": False, "properties": properties, "required": required, "type": "object"}
    return Constraint(kind="json_schema", source=json.dumps(whole, ensure_ascii=False))


def free_object(kind: AnswerKind) -> Constraint:
    """Any object, as deeply nested as a record needs."""
    return any_object(max(DEPTH, min(levels(kind.tree), DEEPEST))) if isinstance(kind, Record) else any_object()


def budgeted_object(layout: Layout, kind: AnswerKind, words: int) -> Constraint:
    """The same object, with the words of its rationale counted: after the last one the string has to close."""
    schema = json.loads(schema_of_fields(layout, kind).source)
    for stage in layout.stages:
        # Outlines puts a pattern between the quotation marks unchanged, so this one counts in the escaped string.
        schema["properties"][stage] = {"type": "string", "pattern": at_most_words(CHAR, SPACE, words, GAP)}
    counted = spaced(Constraint(kind="json_schema", source=json.dumps(schema, ensure_ascii=False)), layout.whitespace)
    return Constraint(kind="regex", source=regex(counted))


def one_line(kind: AnswerKind) -> Constraint:
    """All texts without a line break. Raises `UnaskableError` for a record, whose fields in text are on lines of their own."""
    if isinstance(kind, Record):
        raise UnaskableError(
            "enforced=one_line forbids the line breaks between the fields of a record: "
            "leave out conditions such as no_line_breaks"
        )
    return Constraint(kind="regex", source=f"[^{BREAKS}]*")


def budgeted_text(words: int) -> Constraint:
    """Free text of at most `words` words, after which nothing may follow but a statement of the answer, or the end.

    A reply that ends within its budget is left as it is (budget forcing, as in Muennighoff et al. 2025, arXiv
    2501.19393). It may end anywhere, even inside the statement.
    """
    char, space = r"[^ \n\t\r]", r"[ \n\t\r]"
    forced = f"{LINE}*"
    for letter in reversed(ANSWER):
        forced = f"({literal(letter)}{forced})?"
    longer, shorter = all_words(char, space, words, GAP), at_most_words(char, space, words, GAP)
    return Constraint(kind="regex", source=f"{longer}{forced}|{shorter}")
