"""The ways in which models write a tool call, one file each. All of them are read, whichever model wrote.

hermes      <tool_call>{"name": "submit", "arguments": {"answer": 18}}</tool_call>     Hermes, Qwen
llama       {"name": "submit", "parameters": {"answer": 18}}                           Llama 3
mistral     [TOOL_CALLS] [{"name": "submit", "arguments": {"answer": 18}}]             Mistral
pythonic    [submit(answer=18)]                                                        Llama 3.2 and 4, Gemma
served      what a server has taken apart already, put together again as hermes
"""

from fmtbench.formats.calls.base import CallSyntax
from fmtbench.formats.calls.hermes import Hermes, ServedCall
from fmtbench.formats.calls.llama import Llama
from fmtbench.formats.calls.mistral import Mistral
from fmtbench.formats.calls.pythonic import Pythonic

__all__ = ["CALLS", "CANONICAL", "SERVED", "CallSyntax"]

CANONICAL, SERVED = "hermes", "served"
CALLS: dict[str, CallSyntax] = {
    CANONICAL: Hermes(),
    "mistral": Mistral(),
    "llama": Llama(),
    "pythonic": Pythonic(),
    SERVED: ServedCall(),
}
"""By name, in the order in which a chat template is searched for their marks."""
