"""Where a text announces its answer: fields named like an answer, in any format, and the marks that prompts ask for.

Every finder yields places in the order of the text, and does not know whether what they hold can be read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from fmtbench.formats import FORMATS
from fmtbench.formats.names import QUALITY, SURELY
from fmtbench.formats.text import answer_span

Found = tuple[str, tuple[int, int]]
"""A text that a finder points at (escapes undone), and its place."""

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
    """What a field named like an answer holds, in any format: those that only an answer is called come last, to count most."""
    found = [field for written in FORMATS.values() for field in written.find(text)]
    for field in sorted(found, key=lambda one: (SURELY.fullmatch(one.name) is not None, one.span)):
        yield field.held, field.span


def marks(text: str) -> Iterator[Found]:
    """What comes after (or before) a mark: `\\boxed{}`, `####`, "the answer is", "Answer:", 정답은, "... is the answer"."""
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
