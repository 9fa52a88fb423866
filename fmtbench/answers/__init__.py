"""Answer kinds: what an answer may look like, and when two answers are the same."""

from fmtbench.answers.kinds import AnswerKind, Choice, Label, Math, Number, Set, Text, YesNo

__all__ = ["AnswerKind", "Choice", "Label", "Math", "Number", "Set", "Text", "YesNo"]
