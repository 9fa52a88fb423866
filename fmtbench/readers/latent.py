"""The latent reader: one lenient cascade for every condition, blind to which condition it reads.

It answers "what did the model say?" where the contract's reader answers "did it say so as agreed?"; the gap between
the two accuracies is the contract loss. The rules:

1. Only the reply counts: what comes after the end of a thinking block and before an end-of-turn token; and once an answer
   is marked, nothing after a new "Question:".
2. A field named like an answer, in any format (whole, fenced, cut or in prose; a table row; a heading), outweighs
   all else. What it holds is the answer, or, where it is longer, is read by the rules below.
3. After a retraction ("wait, no", "that is wrong") only what follows counts, where that can be read.
4. A mark comes next: `\\boxed{18}`, `#### 18`, "The answer is 18", "Answer: 18", "정답은 18", "(B) is the correct answer".
5. Then what is set in bold and is an answer from its first word on.
6. Then the whole reply, where it is at most eight words.
7. Then the word or letter that the reply opens with, for yes and no, options and labels.
8. Then the last sentence that mentions an answer: what follows its last `=`, or else its last mention.

Throughout: of several, the last one that the answer kind can read, since a model that corrects itself does so later. What a
text denies ("the answer is not B", "A is wrong") is passed over. "The answer is A or B" is an answer, and says neither.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from fmtbench.answers import AnswerKind, Choice, Label, Number, Text, YesNo
from fmtbench.readers.marks import Found, fields, marks
from fmtbench.types import Extraction

SHORT_REPLY = 8

THOUGHT = re.compile(r"</(?:think|thinking|thought|scratchpad)>|\[/THINK\]|<\|channel\|>\s*final\s*<\|message\|>", re.I)
END_OF_TURN = re.compile(r"<\|(?:eot_id|im_end|endoftext|end|return|end_of_text)\|>|</s>|<end_of_turn>")
NEXT_QUESTION = re.compile(r"\n[#* \t]*(?:Q|Question|Problem|Human|User|Instruction|질문|문제)[ \t]*\d*[*]*[:：]")
RETRACTION = re.compile(
    r"\b(?:wait,? (?:no|that|this)\b|no,? wait\b|scratch that|correction:|I made an? (?:mistake|error)"
    r"|(?:that|this)(?:['’]s| is| was) (?:wrong|incorrect|not right|a mistake))[^.\n:]{0,40}[.,:!]?",
    re.I,
)
BOLD = re.compile(r"\*\*([^*\n]+)\*\*")
ENUMERATED = re.compile(r"\d+[.)]\s+\S")
SENTENCE = re.compile(r"[^\n]+?(?:[.!?](?=[\s\"'*)\]]|$)|$)", re.M)
DENIED_BEFORE = re.compile(r"(?:\bnot|n['’]t|\bnever|\bneither|\brather than|\binstead of)\s+(?:[^\s.]+\s+){0,3}\W*$", re.I)
DENIED_AFTER = re.compile(
    r"[^.\n]{0,40}?\b(?:(?:is|are|was|seems?)\s+(?:not|wrong|incorrect|false|invalid)|isn['’]t|can(?:not|['’]t)\s+be)\b", re.I
)
LISTED = re.compile(r"(?:^|\n)[ \t>*_#]*(?:[-*]\s*)?$")
NUMBERED = re.compile(r"\b(?:step|part|case|line|equation|figure|example)\s*#?$", re.I)

Rule = Callable[[str, AnswerKind], Iterator[Found]]


def read_latent(text: str, kind: AnswerKind) -> Extraction:
    """The answer that a lenient reader finds, whatever the format; `no_answer` where there is none."""
    start, end = _reply(text, kind)
    reply = text[start:end]
    for held, (at, stop) in reversed(list(fields(reply))):
        found = _read(held, kind, (_whole, *RULES))
        if found is not None:
            span = (start + at, start + stop)
            return Extraction(status="ok", answer=found[0], span=span) if found[0] else Extraction(status="no_answer")
    for at in [*(match.end() for match in reversed(list(RETRACTION.finditer(reply)))), 0]:
        found = _read(reply[at:], kind, RULES)
        if found is not None and found[0]:
            return Extraction(status="ok", answer=found[0], span=(start + at + found[1][0], start + at + found[1][1]))
    return Extraction(status="no_answer")


def _reply(text: str, kind: AnswerKind) -> tuple[int, int]:
    """Rule 1."""
    start = next((match.end() for match in reversed(list(THOUGHT.finditer(text))) if text[match.end() :].strip()), 0)
    start += len(text[start:]) - len(text[start:].lstrip())
    turn = next((match.start() for match in END_OF_TURN.finditer(text, start) if text[start : match.start()].strip()), len(text))
    for question in NEXT_QUESTION.finditer(text, start, turn):
        if _read(text[start : question.start()], kind, (_marked,)) is not None:
            return start, question.start()
    return start, turn


def _read(text: str, kind: AnswerKind, rules: tuple[Rule, ...]) -> Found | None:
    """What the first rule that can be read finds; an empty text where it names several and so none."""
    for rule in rules:
        for answer, span in reversed(list(rule(text, kind))):
            if kind.canon(answer) is not None:
                return _named(answer, span, kind)
            if any(kind.mentions(answer)):
                return "", span
    return None


def _named(answer: str, span: tuple[int, int], kind: AnswerKind) -> Found:
    """The name in a whole sentence that was given for a short text ("The capital of Peru is Lima")."""
    if not isinstance(kind, Text) or len(answer.split()) < 4:
        return answer, span
    names = [(answer[start:end], (span[0] + start, span[0] + end)) for start, end in kind.mentions(answer)]
    return names[-1] if names else (answer, span)


def _whole(text: str, kind: AnswerKind) -> Iterator[Found]:
    """A field that holds an answer and no more: short and without a mark of its own, or an answer from its start on."""
    if not list(marks(text)) and (len(text.split()) <= SHORT_REPLY or _begins(text, kind)):
        yield text, (0, len(text))


def _marked(text: str, kind: AnswerKind) -> Iterator[Found]:
    for answer, (start, end) in marks(text):
        if answer.strip() and not re.match(r"\W*(?:not|never|neither|unknown)\b(?!.*\bbut\b)", answer, re.I):
            skipped = re.match(r"\W*not\b.*\bbut\s+", answer, re.I)
            yield answer[skipped.end() :] if skipped else answer, (start, end)


def _bold(text: str, kind: AnswerKind) -> Iterator[Found]:
    for match in BOLD.finditer(text):
        if _begins(match[1], kind) and not _denied(text, *match.span()):
            yield match[1], match.span(1)


def _short(text: str, kind: AnswerKind) -> Iterator[Found]:
    if len(text.split()) <= SHORT_REPLY and (_begins(text, kind) or not list(kind.mentions(text))):
        yield text.strip(), (0, len(text))


def _begins(text: str, kind: AnswerKind) -> bool:
    """Whether a text is an answer from its first word on: `18 eggs`, `(B) blue ball`, not `Step 3` nor `2. Multiply`."""
    words = re.sub(r"^\W*(?:the|an|a)\s+(?=[a-z])", "", text.strip())
    if words.endswith(":") or ENUMERATED.match(words) or kind.canon(words) is None:
        return False
    if isinstance(kind, Text):
        return len(words.split()) <= SHORT_REPLY
    first = next(iter(kind.mentions(words)), None)
    return first is not None and not re.search(r"\w\w|\w\s+\w", words[: first[0]])


def _opening(text: str, kind: AnswerKind) -> Iterator[Found]:
    opening = re.match(r"[\W_]*(\w[^\n.,:;!)]*)[.,:;!)\n]", text)
    if opening and isinstance(kind, YesNo | Choice | Label) and len(opening[1].split()) <= 3 and _begins(opening[0], kind):
        yield opening[0], opening.span(0)


def _concluded(text: str, kind: AnswerKind) -> Iterator[Found]:
    """The last sentence's last mention, last of all: each sentence gives at most one."""
    for sentence in SENTENCE.finditer(text):
        result = sentence[0].rpartition("=")[2] if isinstance(kind, Number) else ""
        mentions = [(sentence.start() + a, sentence.start() + b) for a, b in kind.mentions(sentence[0])]
        asserted = [span for span in mentions if not _denied(text, *span) and not _listed(text, *span)]
        if asserted and result and result != sentence[0] and kind.canon(result) is not None:
            yield result.strip(), (sentence.end() - len(result), sentence.end())
        elif asserted:
            yield text[slice(*asserted[-1])], asserted[-1]


def _denied(text: str, start: int, end: int) -> bool:
    before = text[max(0, start - 60) : start]
    return bool(DENIED_BEFORE.search(before.rpartition("\n")[2]) or DENIED_AFTER.match(text, end))


def _listed(text: str, start: int, end: int) -> bool:
    """The number of a list's item, or of a step: `3. She sells`, `Step 3`."""
    item = LISTED.search(text[max(0, start - 20) : start]) and re.match(r"[.)]\s+[^\W\d]", text[end : end + 9])
    return text[start:end].isdigit() and bool(item or NUMBERED.search(text[max(0, start - 20) : start]))


RULES: tuple[Rule, ...] = (_marked, _bold, _short, _opening, _concluded)
