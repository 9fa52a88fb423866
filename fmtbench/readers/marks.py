"""Where a text announces its answer: fields and sections named like an answer, and the marks that prompts ask for.

Every finder yields the places in the order of the text, and knows nothing of whether what stands there can be read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from fmtbench.formats.text import answer_span
from fmtbench.formats.xml import unescaped

Found = tuple[str, tuple[int, int]]
"""A text that a finder points at (escapes undone), and where it stands."""

QUALITY = r"(?:final|correct|right|best|predicted|most likely)"
NAMES = (
    rf"(?:(?:{QUALITY}[ _-]?)?answer(?:[ _-]?(?:letter|choice|option|value|text))?|ans|정답|답"
    rf"|{QUALITY}[ _-]?(?:choice|option|label|result|value)|final|result|solution|label|choice|option|prediction|output)"
)
"""What a field that holds the answer is called."""
SURELY = re.compile(rf"[*_]*(?:{QUALITY}[ _-]?)?(?:answer.*|ans|정답|답)", re.I)
"""Of these, the names that nothing but the answer has: they outweigh the others."""

JSON_FIELD = re.compile(
    rf'(?:(["\'])({NAMES})\1|(?<=[{{,])\s*({NAMES}))\s*:\s*'
    r'(?:"(?P<text>(?:[^"\\]|\\.)*)"?|\[(?P<list>[^\[\]]*)\]?'
    r"|(?P<number>[-$]?\d{1,3}(?:,\d{3})+(?:\.\d+)?)(?!\d)|(?P<bare>[^\s,}\]\"\[][^,}\]\n]*))",
    re.I,
)
XML_FIELD = re.compile(rf"<({NAMES})(?:\s[^<>]*)?>(.*?)(?:</\1\s*>|(?=<\1)|$)", re.I | re.S)
YAML_KEY = re.compile(r"^[ \t]*[a-z][a-z_ -]{1,30}:(?=\s)", re.M)
YAML_FIELD = re.compile(rf"^([ \t]*)({NAMES}):[ \t]*(?:[|>][+-]?[ \t]*\n((?:\1[ \t]+\S.*(?:\n|$))+)|(\S.*)$)", re.I | re.M)
TABLE_FIELD = re.compile(rf"^\|[ *_]*({NAMES})[ *_:]*\|([^|\n]+)\|", re.I | re.M)
HEADING = re.compile(r"^(?: {0,3}#{1,6}[ \t]+\S.*|[ \t]*\*\*[^*\n]+\*\*:?[ \t]*)$", re.M)
NAMED_HEADING = re.compile(rf"[#*_\s]*(?:\d+[.)]\s*)?({NAMES})[#*_:\s]*", re.I)
NOTHING = re.compile(r"(?:null|none|~|n/?a)[,\s]*", re.I)

TITLE = (
    r"(?:step|part|case|example|explanation|solution|reasoning|method|given|verification|check|conclusion|final|answer)\b(?!.*\d)"
)
HASHES = re.compile(
    # The GSM8K mark, where it is no Markdown heading: "#### Step 3: ...", "#### 2. Multiply", "#### Answer".
    rf"####[ \t]*(?![*_]*(?:step\b|part\b|case\b|\d+[.)][ \t]+[^\W\d]|{TITLE}))(\S.*)(?<!:)$",
    re.I | re.M,
)
TURN = r"(?:is|are|would be|should be|must be|will be|becomes|comes out to|seems to be|appears to be)\b[ \t]*:?|[:=：]"
ADVERB = r"(?:(?:therefore|thus|clearly|likely|probably|most likely|indeed|simply|definitely|then|hence|again)\b,?|[*_\s])*"
STATED = re.compile(
    rf"(?:(?:the\s+)?(?:(?:\b{QUALITY}\s+)?\bans(?:wer)?(?:\s+(?:choice|option))?|\b{QUALITY}\s+(?:option|choice|result|value|solution))"
    rf"(?:\s+(?:to|for)\s+[^.:\n]{{1,80}}?)?(?:,[^,.\n]{{1,30}},)?[*_\s]*(?:{TURN}){ADVERB})+"
    r"|(?<![가-힣])(?:정답|해답|답)[*_]*(?:은|는|이)?[ \t]*[:：]?[*_\s]+|(?<![가-힣])(?:정답|해답|답)[:：]"
    r"|(?:答案|答え|答)\s*(?:[:：]|[是は为為])\s*[:：]?[*_\s]*"
    r"|\b(?:Antwort|Respuesta|Réponse|Risposta|Resposta|Ответ)(?:\s+(?:ist|es|est|è|é))?[*_\s]*[:：]?[*_\s]+",
    re.I,
)
LINE_A = re.compile(r"^[*_]*A[*_]*:[*_]*[ \t]*", re.M)
SUBJECT = re.compile(
    rf"(?:^|[.!?:,][ \t]*|\b(?:so|thus|that|hence|therefore),?\s+)([^.!?,\n]{{1,60}}?)\s+(?:is|are)\s+"
    rf"(?:(?:therefore|thus|clearly)\s+)?the\s+(?:{QUALITY}\s+)?(?:answer|option|choice)\b"
    r"|\b((?:option|choice)\s+\(?[A-Z]\)?)\s+is\s+(?:the\s+)?(?:correct|right|best|true)\b",
    re.I | re.M,
)
CHOSEN = re.compile(
    r"\bI\s+(?:would|will|'d|'ll)?\s*(?:choose|pick|select|go with)\s+(?:the\s+)?(?:(?:option|choice|letter)\s+)?(\S[^.\n]*)",
    re.I,
)
LONGEST = 1000
"""Characters of a stated answer."""
CONDITIONAL = re.compile(r"\b(?:if|whether|suppose|assum\w+|unless)\b[^.\n]{0,25}$", re.I)


def fields(text: str) -> Iterator[Found]:
    """What a field or a section named like an answer holds: JSON, XML, YAML, a table row, a section under a heading."""
    found = [*_json(text), *_xml(text), *_yaml(text), *_sections(text)]
    found += [(m[1], m[2].strip(), m.span(2)) for m in TABLE_FIELD.finditer(text)]
    for _, held, span in sorted(found, key=lambda one: (SURELY.fullmatch(one[0]) is not None, one[2])):
        yield held, span


def _json(text: str) -> Iterator[tuple[str, str, tuple[int, int]]]:
    for match in JSON_FIELD.finditer(text):
        name, group = match[2] or match[3], match.lastgroup or "text"
        held = _unescape(match[group]) if group == "text" else match[group].strip().strip("'")
        if group == "text" or not NOTHING.fullmatch(held):
            yield name, held, match.span(group)


def _unescape(body: str) -> str:
    """A JSON string's body with its escapes undone; as it stands where it was cut inside an escape."""
    try:
        return json.loads(f'"{body}"', strict=False)
    except ValueError:
        return body


def _xml(text: str) -> Iterator[tuple[str, str, tuple[int, int]]]:
    for match in XML_FIELD.finditer(text):
        yield match[1], unescaped(re.sub(r"</?[A-Za-z_]\w*>", " ", match[2])).strip(), match.span(2)


def _yaml(text: str) -> Iterator[tuple[str, str, tuple[int, int]]]:
    """A key counts where another key stands beside it: in prose, "Answer:" is a mark among others."""
    if len(YAML_KEY.findall(text)) < 2:
        return
    for match in YAML_FIELD.finditer(text):
        held = match[3] or match[4]
        if not NOTHING.fullmatch(held):
            yield match[2], held.strip().strip("\"'"), match.span(3 if match[3] else 4)


def _sections(text: str) -> Iterator[tuple[str, str, tuple[int, int]]]:
    lines = list(HEADING.finditer(text))
    behind = [0, *(line.end() for line in lines)]
    # A bold line right below a heading is what the section holds.
    headings = [line for line, end in zip(lines, behind) if "#" in line[0] or not end or text[end : line.start()].strip()]
    stops = [heading.start() for heading in headings[1:]] + [len(text)]
    for heading, stop in zip(headings, stops):
        named = NAMED_HEADING.fullmatch(heading[0])
        if named and text[heading.end() : stop].strip():
            yield named[1], text[heading.end() : stop].strip(), (heading.end(), stop)


def marks(text: str) -> Iterator[Found]:
    """What stands behind (or before) a mark: `\\boxed{}`, `####`, "the answer is", "Answer:", 정답은, "... is the answer"."""
    found = [*_boxed(text), *_stated(text)]
    found += [(m[m.lastindex or 0], m.span(m.lastindex or 0)) for p in (HASHES, SUBJECT, CHOSEN) for m in p.finditer(text)]
    found += [(text[slice(*span)], span) for span in (answer_span(text, m.end()) for m in LINE_A.finditer(text))]
    yield from sorted(found, key=lambda one: one[1])


def _stated(text: str) -> Iterator[Found]:
    for match in STATED.finditer(text):
        start, end = (match.end() + at for at in answer_span(text[match.end() : match.end() + LONGEST], 0))
        if start < end and not CONDITIONAL.search(text, max(0, match.start() - 60), match.start()):
            yield text[start:end].strip("*"), (start, end)  # the mark has taken one side of "**18**"


def _boxed(text: str) -> Iterator[Found]:
    """The content of every `\\boxed{...}`, to the brace that closes it or to the end of a text that was cut."""
    stop = 0
    for match in re.finditer(r"(?:\\f?b|\x08)ox(?:ed)?\s*\{", text):
        if match.start() >= stop:
            stop = _closing(text, match.end())
            yield text[match.end() : stop], (match.end(), stop)


def _closing(text: str, position: int) -> int:
    depth = 1
    for brace in re.finditer(r"(?<!\\)[{}]", text[position:]):
        depth += 1 if brace[0] == "{" else -1
        if depth == 0:
            return position + brace.start()
    return len(text)
