"""What vLLM, outlines_core and transformers do not promise is leant on in one module each, and holds with what is installed."""

import re
import tomllib
from collections import defaultdict
from types import ModuleType
from typing import Any

import pytest
from outlines_core import Guide, Index, Vocabulary
from packaging.requirements import Requirement

from fmtbench.backends.vllm import internals
from fmtbench.decoding import worker
from fmtbench.embed import attention
from tests.conftest import ROOT
from tests.promises import as_last_seen

LEANING = (internals, worker, attention)
PRIVATE = {
    "experiments/starting/build.py": {"_get_full_key"},  # omegaconf
    "experiments/starting/composing.py": {"_internal"},  # hydra
    "experiments/starting/start.py": {"_internal"},  # hydra
    "fmtbench/backends/vllm/internals.py": {"_compile_index", "_fntab", "_get_attn_isa"},  # llvmlite, vLLM
    "fmtbench/decoding/gbnf.py": {"_constants", "_parser"},  # Python's own
}
"""Names of others that begin with an underscore, by the file that uses them."""
UNDOCUMENTED = {
    "vllm.v1": "fmtbench/backends/vllm/internals.py",
    "engine_core": "fmtbench/backends/vllm/internals.py",
    "__reduce__": "fmtbench/decoding/worker.py",
    "config.is_causal = ": "fmtbench/embed/attention.py",
}
"""And what else they do not promise."""
STANDARD = {"_asdict", "_fields", "_replace", "_target_"}
SOURCES = [path for folder in ("fmtbench", "experiments") for path in sorted((ROOT / folder).rglob("*.py"))]


def used(text: str) -> set[str]:
    """Private names that are taken from something else than the object or the class itself."""
    return set(re.findall(r"(?<!\bself)(?<!\bcls)(?<=[a-zA-Z0-9)\]])\.(_[a-z]\w{2,})", text)) - STANDARD


def made(text: str) -> set[str]:
    """Private names that a file gives to something."""
    return set(re.findall(r"(?:def |self\.|cls\.|^ *)(_[a-z]\w*)", text, re.M))


def test_private_names_of_others_stand_where_they_are_watched() -> None:
    texts = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in SOURCES}
    ours = set().union(*map(made, texts.values()))
    found = {name: private for name, text in texts.items() if (private := used(text) - ours)}
    assert found == PRIVATE
    for words, place in UNDOCUMENTED.items():
        assert [name for name, text in texts.items() if words in text] == [place], words


def test_private_names_are_told_from_ours() -> None:
    """The null of the one above."""
    text = "self._own = 1\nother._own\nlibrary._theirs(x)[0]._too\ncls._mine"
    assert used(text) - made(text) == {"_theirs", "_too"}


@pytest.mark.parametrize("module", LEANING)
def test_a_failure_says_the_releases_that_held(module: ModuleType) -> None:
    known = ", ".join(f"{name} {release}" for name, release in module.SEEN_WITH.items())
    said = (
        rf"{re.escape(module.__name__)} was last seen to hold with {re.escape(known)}; .* is installed, and AttributeError: gone"
    )
    with pytest.raises(pytest.fail.Exception, match=said), as_last_seen(module):
        raise AttributeError("gone")


def test_the_releases_are_within_the_bounds() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = [*project["dependencies"], *(line for extra in project["optional-dependencies"].values() for line in extra)]
    bounds = defaultdict(list)
    for one in map(Requirement, lines):
        bounds[one.name].append(one.specifier)
    checked = [
        specifier.contains(release)
        for module in LEANING
        for name, release in module.SEEN_WITH.items()
        for specifier in bounds[name]
    ]
    assert len(checked) >= 2
    assert all(checked)


@pytest.mark.parametrize("pattern", ["a", "ab?", "[ab]*", "a{300}"])
def test_the_binary_form_of_an_automaton(pattern: str) -> None:
    """Read back it is the same, and its states are as many as its transitions start from, whatever the width of a number."""
    vocabulary = Vocabulary(0, {b"a": [1], b"b": [2], b"ab": [3]})
    index = Index(pattern, vocabulary)
    with as_last_seen(worker):
        stored = worker.stored_form(index)
        again = Index.from_binary(stored)
        assert again.get_transitions() == index.get_transitions()
        assert worker.count_states(stored) == len(index.get_transitions())
        assert Vocabulary.from_binary(worker.stored_form(vocabulary)).get_eos_token_id() == 0
        guide = Guide(again)
        assert guide.advance(1, return_tokens=False) in (None, [])


@pytest.mark.model
def test_a_config_decides_whether_attention_looks_ahead() -> None:
    import torch
    from transformers import LlamaConfig, LlamaModel

    sizes: dict[str, Any] = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
    torch.manual_seed(0)
    model = LlamaModel(LlamaConfig(vocab_size=9, **sizes)).eval()

    def first(last: int) -> Any:
        with torch.inference_mode():
            return model(input_ids=torch.tensor([[1, 2, last]])).last_hidden_state[0, 0]

    with as_last_seen(attention):
        for way, same in (("causal", True), ("bidirectional", False), (None, True)):
            with attention.attending(model, way):  # type: ignore[arg-type]
                assert torch.allclose(first(3), first(4)) == same, way


@pytest.mark.model
@pytest.mark.parametrize("name", ["cache", "past_key_values"])
def test_the_cache_goes_by_the_name_that_the_model_knows(name: str) -> None:
    from types import SimpleNamespace

    from fmtbench.backends.decode import cache_argument

    forward = {"cache": lambda input_ids, cache=None: None, "past_key_values": lambda input_ids, past_key_values=None: None}[name]
    assert cache_argument(SimpleNamespace(forward=forward)) == name
