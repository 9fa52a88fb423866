"""The child process of the sandbox: reads one task a line from stdin, and answers with one line on stdout.

It is started as a script and imports nothing but the masking library in question, so that it is up in a tenth of a second
and its memory is the compiler's own. The parent watches the wall time; the limits set here are on memory, and on processor
time in case the parent dies.

What leans on outlines_core's undocumented binary form is here as well (`stored_form`, `count_states`), as a script has no other
file to import it from.
"""

from __future__ import annotations

import json
import os
import re
import resource
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

SLACK_SECONDS = 30
SEEN_WITH = {"outlines_core": "0.2.14"}
"""The release with which its binary form was last seen to be what it is taken for."""
END = "\0"
"""What the token that ends a reply writes, for outlines_core alone. No other token may write it."""
Compile = Callable[[str], tuple[bytes, int | None]]
"""From a regex to the compiled form to store, and its number of states."""


def outlines(material: bytes) -> Compile:
    from outlines_core import Index, Vocabulary

    vocabulary = Vocabulary.from_binary(material)

    def compiled(regex: str) -> tuple[bytes, int | None]:
        stored = stored_form(Index(ended(regex), vocabulary))
        return stored, count_states(stored)

    return compiled


def ended(regex: str) -> str:
    """The same texts, each of them ended by what the end token writes.

    outlines_core 0.2.14 does not look past a place where a text may end: of `a(bc)?` it allows `bc` after `a`, and not `b`, and
    of `a|ab` nothing but `a`. A text whose end is written out may end nowhere else.
    """
    return f"({regex})\\x{ord(END):02x}"


def xgrammar(material: bytes) -> Compile:
    from xgrammar import GrammarCompiler, TokenizerInfo

    compiler = GrammarCompiler(TokenizerInfo.deserialize_json(material.decode()), max_threads=1, cache_enabled=False)
    return lambda regex: (compiler.compile_regex(regex).serialize_json().encode(), None)


def guidance(material: bytes) -> Compile:
    from llguidance import LLMatcher, LLTokenizer

    settings = json.loads(material)
    tokenizer = LLTokenizer(settings["tokenizer"], n_vocab=settings["n_vocab"], eos_token=settings["eos"])

    def compiled(regex: str) -> tuple[bytes, int | None]:
        grammar = LLMatcher.grammar_from_regex(regex)
        matcher = LLMatcher(tokenizer, grammar, log_level=0)
        matcher.compute_bitmask()
        if matcher.is_error():
            raise ValueError(matcher.get_error())
        return grammar.encode(), None

    return compiled


COMPILERS = {"outlines": outlines, "xgrammar": xgrammar, "guidance": guidance}


def stored_form(one: Any) -> bytes:
    """The bytes that `from_binary` of an `outlines_core.Vocabulary` or `Index` reads; only their pickles give them out."""
    _, (stored,) = one.__reduce__()
    return stored


def count_states(stored: bytes) -> int:
    """States of an `outlines_core.Index` in its binary form: the first state, the set of final states, the transitions.

    `get_transitions` would tell it as well, at a hundred bytes of Python objects for every pair of state and token.
    """
    position = 0

    def integer() -> int:
        nonlocal position
        first, position = stored[position], position + 1
        size = {251: 2, 252: 4, 253: 8}.get(first, 0)
        value = int.from_bytes(stored[position : position + size], "little") if size else first
        position += size
        return value

    integer()
    for _ in range(integer()):
        integer()
    return integer()


def to_regex(kind: str, source: str, whitespace: str) -> str:
    from outlines_core.json_schema import build_regex_from_schema

    return source if kind == "regex" else build_regex_from_schema(source, whitespace)


def limit_memory(gigabytes: float) -> None:
    """Limit address space beyond what the process has now. On systems without such a limit, wall time is the only one."""
    with open("/proc/self/statm", encoding="ascii") as sizes:
        held = int(sizes.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (held + int(gigabytes * 2**30),) * 2)


def limit_processor(seconds: float) -> None:
    used = resource.getrusage(resource.RUSAGE_SELF)
    soft = int(used.ru_utime + used.ru_stime + 4 * seconds) + SLACK_SECONDS
    resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.getrlimit(resource.RLIMIT_CPU)[1]))


def answer(task: dict[str, Any], compile_: Compile) -> dict[str, Any]:
    """Compile one constraint, and write its compiled form to the file that the task names."""
    limit_processor(task["seconds"])
    started = time.process_time()
    try:
        regex = to_regex(task["kind"], task["source"], task["whitespace"])
    except (ValueError, TypeError, RecursionError) as error:
        reason = " ".join(str(error).split())[:300]
        return {"undeclared": True, "reason": f"Outlines cannot turn it into a grammar ({reason})"}
    try:
        re.compile(regex)
    except (re.error, RecursionError, OverflowError) as error:
        return {"reason": f"what it lets through cannot be checked afterwards: Python cannot read its pattern ({error})"}
    try:
        stored, states = compile_(regex)
    except (ValueError, RuntimeError, TypeError) as error:
        if "bad_alloc" in str(error):
            return {"memory": True}
        reason = re.sub(r" with the regex '.*'(?=\. Found)", "", " ".join(str(error).split()))
        return {"reason": f"{task['decoder']} cannot compile it ({reason[:300]})"}
    seconds = time.process_time() - started
    with open(task["file"], "wb") as file:
        file.write(stored)
    return {"states": states, "cpu_seconds": round(seconds, 4)}


def main() -> None:
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a library prints must not be taken for a reply
    warnings.simplefilter("ignore")
    setup = json.loads(sys.stdin.readline())
    with open(setup["material"], "rb") as file:
        compile_ = COMPILERS[setup["decoder"]](file.read())
    if sys.platform == "linux":
        limit_memory(setup["memory_gb"])
    print(json.dumps({"ready": True}), file=replies, flush=True)
    for line in sys.stdin:
        task = json.loads(line)
        try:
            reply = answer(task | {"decoder": setup["decoder"]}, compile_)
        except MemoryError:
            reply = {"memory": True}
        print(json.dumps(reply), file=replies, flush=True)


if __name__ == "__main__":
    main()
