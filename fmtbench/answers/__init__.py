"""Answer kinds: what an answer may look like, and when two answers are the same.

There is one canonicaliser for each kind and it serves every condition, so that `$18`, `1,000`, `18.0`, `(B)` or `e-S-S-E` get
the same verdict in prose and in JSON (the rule of fairness).

>>> Number().same("$1,234.00", "1234")
True
>>> Choice(options=("red ball", "blue ball")).canon("(B) blue ball")
'B'
"""

from fmtbench.answers.base import AnswerKind
from fmtbench.answers.choice import Choice
from fmtbench.answers.date import Date
from fmtbench.answers.math import Math
from fmtbench.answers.number import Number
from fmtbench.answers.record import Record
from fmtbench.answers.verbatim import Verbatim
from fmtbench.answers.words import Label, Set, Text
from fmtbench.answers.yes_no import YesNo

__all__ = ["AnswerKind", "Choice", "Date", "Label", "Math", "Number", "Record", "Set", "Text", "Verbatim", "YesNo"]
