"""What looks like a secret: names of settings, and values by the prefixes that their issuers give them.

Configs, requests and manifests are stored beside the results and shared with them, so a secret is rejected before it gets
into one. The key of a server comes from the environment variable that `backend.key_variable` names.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

NAME = re.compile(r"(.*[_-])?(api[_-]?key|key|secret|passw(or)?d|pwd|credentials?|authori[sz]ation|auth|bearer|token)", re.I)
NO_SECRETS = frozenset({"mask_token", "pad_token", "eos_token", "bos_token"})
VALUE = re.compile(
    r"""\b(?:
        [sprx]k-(?=[\w-]*\d)[\w-]{12,}      # OpenAI, Anthropic, OpenRouter
      | [sr]k_(?:live|test)_\w{12,}      # Stripe
      | pplx-\w{24,} | r8_\w{24,} | lin_api_\w{16,} | dop_v1_[0-9a-f]{32,} | dapi[0-9a-f]{32}
      | SG\.[\w-]{16,}\.[\w-]{16,} | ya29\.[\w-]{20,}      # SendGrid, Google
      | hooks\.slack\.com/services/[\w/]{20,}
      | (?:hf|ghp|gho|ghs|glpat|npm|pypi|nvapi|gsk|xai)[_-][\w-]{16,}
      | github_pat_\w{16,}
      | (?:AKIA|ASIA)[0-9A-Z]{16}
      | AIza[\w-]{30,}
      | xox[abprs]-[\w-]{10,}
      | eyJ[\w-]{8,}\.[\w-]{8,}      # a JSON web token
      | Bearer\s+[\w.~+/-]{8,}
    ) | -----BEGIN\ [A-Z ]*PRIVATE\ KEY-----""",
    re.X,
)
PLAIN = re.compile(r"[\d.]{0,7}|null|none|true|false", re.I)
INSTEAD = "put it into the environment variable that backend.key_variable names (FMTBENCH_API_KEY), where it is stored nowhere"


def is_secret_name(name: str) -> bool:
    return name.lower() not in NO_SECRETS and NAME.fullmatch(name) is not None


def is_secret(name: str, value: object) -> bool:
    """Whether a setting looks like a secret by its name. A small number (`max_token=3`) or an empty value is not one."""
    return is_secret_name(name) and not PLAIN.fullmatch(str(value))


def redacted(text: str) -> str:
    """The text with `***` for each value that looks like a secret."""
    return VALUE.sub("***", text)


def secrets(node: Any, place: str = "") -> Iterator[str]:
    """The places in plain data that seem to hold a secret, never the secret itself."""
    if isinstance(node, dict):
        for name, child in node.items():
            below = f"{place}.{name}".strip(".")
            if isinstance(child, str | int) and is_secret(str(name), child):
                yield below
            else:
                yield from secrets(child, below)
    elif isinstance(node, list):
        for index, child in enumerate(node):
            yield from secrets(child, f"{place}[{index}]")
    elif isinstance(node, str) and VALUE.search(node):
        yield place
