"""The tables of what runs where are true: what they call refused is, nothing else is, and what they call tested has a test."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from fmtbench.backends.base import Backend
from fmtbench.backends.batch import Batch
from fmtbench.backends.hf import HF
from fmtbench.backends.llamacpp import LlamaCpp
from fmtbench.backends.proof import PROBE_GRAMMAR
from fmtbench.backends.server import Server
from fmtbench.backends.vllm.backend import VLLM
from fmtbench.decoding.grammar import ANYTHING
from fmtbench.decoding.json_mode import any_object
from fmtbench.errors import BarredError
from fmtbench.types import Constraint
from tests.conftest import ROOT

GUIDES = ROOT / "docs" / "guides"
URL = "http://127.0.0.1:9/v1"


def served(dialect: Any) -> Server:
    return Server(url=URL, dialect=dialect)


ENGINES: dict[str, Backend] = {
    "weights, transformers": HF(),
    "weights, vLLM": VLLM(),
    "a GGUF": LlamaCpp(),
    "`vllm serve`": served("vllm"),
    "SGLang": served("sglang"),
    "`llama-server`": served("llamacpp"),
    "`llama-server`, asked as OpenAI": served("openai"),
    "Ollama": served("openai"),
    "a hosted API": served("openai"),
    "its batches": Batch(url=URL),
}
THINKING: dict[str, Backend] = {
    "`hf`": HF(),
    "`vllm` in process": VLLM(),
    "`llamacpp`": LlamaCpp(),
    **{f"`server`, `dialect={dialect}`": served(dialect) for dialect in ("vllm", "sglang", "llamacpp", "openai")},
    "`batch`": Batch(url=URL),
}


def expresses(constraint: Constraint) -> Callable[[Backend], bool]:
    def can(engine: Backend) -> bool:
        try:
            engine.express(constraint)
        except BarredError:
            return False
        return True

    return can


COLUMNS: dict[str, Callable[[Backend], bool]] = {
    "free text": lambda _: True,
    "JSON schema": expresses(PROBE_GRAMMAR),
    "JSON mode": expresses(any_object()),
    "hard budgets, sham, think-then-JSON": expresses(ANYTHING),
    "a begun reply": lambda engine: not engine.why_not_continued(),
    "calls of a tool": lambda engine: type(engine).calls is not Backend.calls,
}
BACKENDS, VLLM_SERVER, LLAMACPP = "test_backends.py", "test_vllm_server.py", "test_llamacpp.py"
LANGUAGE, WHOLE = "test_one_language.py::test_korean_replies", "test_llamacpp_whole.py"
IN_PROCESS = {
    "free text": f"{BACKENDS}::test_the_model_is_real",
    "JSON schema": f"{BACKENDS}::test_a_constraint_binds_and_says_what_masked",
    "JSON mode": LANGUAGE,
    "hard budgets, sham, think-then-JSON": f"{BACKENDS}::test_the_sham_changes_nothing",
}
ON_LLAMACPP = dict.fromkeys(list(COLUMNS)[:4], f"{WHOLE}::test_every_condition_runs_or_is_refused_with_its_reason")
BEGUN = "test_begun_vllm.py::test_a_greedy_reply_goes_on_as_it_went"
SERVED = f"{VLLM_SERVER}::test_a_run_on_a_real_server_and_its_resume"
TESTED: dict[str, dict[str, str]] = {
    "weights, transformers": IN_PROCESS
    | {
        "a begun reply": "test_prefix.py::test_a_greedy_reply_continued_from_its_own_prefix_ends_as_it_ended",
        "calls of a tool": "test_tool_templates.py::test_the_mask_holds_a_model_to_the_call",
    },
    "weights, vLLM": IN_PROCESS | {"a begun reply": BEGUN},
    "a GGUF": {
        "free text": f"{LLAMACPP}::test_free_text_with_the_place_of_each_token",
        **dict.fromkeys(list(COLUMNS)[1:4], f"{LLAMACPP}::test_what_ends_keeps_to_its_grammar"),
    },
    "`vllm serve`": {name: SERVED for name in list(COLUMNS)[:4] if name != "JSON mode"} | {"a begun reply": BEGUN},
    "`llama-server`": ON_LLAMACPP,
    "`llama-server`, asked as OpenAI": dict.fromkeys(list(COLUMNS)[:3], f"{LLAMACPP}::test_the_same_engine_as_a_server"),
}
"""By row and column, a test that asks the engine itself."""


def table(page: str, first: str) -> list[dict[str, str]]:
    """The rows of the table whose first column has this name."""
    lines = (GUIDES / page).read_text(encoding="utf-8").splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith(f"| {first} |"))
    end = next(number for number in range(start, len(lines)) if not lines[number].startswith("|"))
    names, _, *rows = ([cell.strip() for cell in line.strip("|").split("|")] for line in lines[start:end])
    return [dict(zip(names, row, strict=True)) for row in rows]


def test_what_is_refused_is_what_cannot_be_sent() -> None:
    rows = table("engines.md", "you have")
    assert [row["you have"] for row in rows] == list(ENGINES)
    for row in rows:
        for name, can in COLUMNS.items():
            assert re.fullmatch("tested|untested|refused", row[name])
            assert (row[name] == "refused") == (not can(ENGINES[row["you have"]])), (row["you have"], name)


def test_what_is_tested_has_a_test() -> None:
    said = {row["you have"]: {name for name in COLUMNS if row[name] == "tested"} for row in table("engines.md", "you have")}
    assert {row: names for row, names in said.items() if names} == {row: set(names) for row, names in TESTED.items()}
    for place in {place for row in TESTED.values() for place in row.values()}:
        file, _, name = place.partition("::")
        assert f"def {name}(" in (ROOT / "tests" / file).read_text(encoding="utf-8"), place


def test_the_settings_choose_the_engine() -> None:
    for row in table("engines.md", "you have"):
        engine, words = ENGINES[row["you have"]], row["settings"].strip("`").split()
        assert words[0] == f"backend={type(engine).__name__.lower()}"
        dialect = next((word.partition("=")[2] for word in words if word.startswith("backend.dialect=")), "vllm")
        assert type(engine) is not Server or engine.dialect == dialect


@pytest.mark.parametrize(("column", "budget", "masked"), [("`free`, then a mask", False, True), ("`budget`", True, False)])
def test_what_is_refused_of_thinking(column: str, budget: bool, masked: bool) -> None:
    rows = table("thinking_models.md", "engine")
    assert [row["engine"] for row in rows] == list(THINKING)
    for row in rows:
        why = THINKING[row["engine"]].why_unthinkable(budget=budget, masked=masked)
        assert row[column].startswith("refused") == bool(why), row["engine"]
