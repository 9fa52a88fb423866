"""Regular expressions that several constraints are made of: at most N words, and "until this text is written".

They use nothing but literals, classes, groups and repetition, so that every decoder reads them in the same way.
"""

from __future__ import annotations

SPECIAL = frozenset(r"\.^$*+?()[]{}|-/&~#")
LINE = r"[^\n]"


def literal(text: str) -> str:
    """The text itself as a pattern; `re.escape` also escapes the space, which Rust's engine does not accept."""
    shown = {"\n": r"\n", "\t": r"\t", "\r": r"\r"}
    return "".join(shown.get(char, "\\" + char if char in SPECIAL else char) for char in text)


def at_most_words(char: str, space: str, words: int, gap: int) -> str:
    """Texts of at most `words` words, with at most `gap` characters of white space between and around them.

    `char` and `space` are patterns of one character, and no text matches both: the automaton then has `gap` + 1 states a word.
    If a text could be split in several ways it would have many more (thirty a word, for a space of one or two line breaks).
    """
    around = f"{space}{{0,{gap}}}"
    return f"{around}({char}+({space}{{1,{gap}}}{char}+){{0,{words - 1}}}{around})?"


def all_words(char: str, space: str, words: int, gap: int) -> str:
    """Texts of exactly `words` words and the white space after them."""
    return f"{space}{{0,{gap}}}({char}+{space}{{1,{gap}}}){{{words}}}"


def until(trigger: str) -> str:
    """Texts that end with `trigger` and do not contain it before: made from its Knuth-Morris-Pratt automaton.

    State i means that the last i characters are the trigger's first i. States are eliminated from the last to the first;
    each edge of state i leads forward to i + 1, or back to a state not above i.
    """
    back: dict[int, str] = {}
    out = ""
    for state in range(len(trigger) - 1, -1, -1):
        forward = literal(trigger[state])
        inner = _star(back.pop(state + 1, ""))
        paths = {target: f"{forward}{inner}{path}" for target, path in back.items()}
        for target, step in _falls(trigger, state).items():
            paths[target] = f"({step}|{paths[target]})" if target in paths else step
        back, out = paths, f"{forward}{inner}{out}"
    return f"{_star(back.get(0, ''))}{out}"


def _falls(trigger: str, state: int) -> dict[int, str]:
    """The states that every character but the trigger's next leads to, each with a class of these characters."""
    targets: dict[int, str] = {}
    special = set(trigger[:state])
    for char in sorted(special - {trigger[state]}):
        seen = trigger[:state] + char
        target = next(size for size in range(state, -1, -1) if seen.endswith(trigger[:size]))
        if target:
            targets[target] = targets.get(target, "") + literal(char)
    known = "".join(targets.values()) + literal(trigger[state])
    return {target: f"[{chars}]" for target, chars in targets.items()} | {0: f"[^{known}]"}


def _star(pattern: str) -> str:
    return f"({pattern})*" if pattern else ""
