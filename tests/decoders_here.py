"""The decoders as parameters of a test; one whose library is not installed is skipped."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

from experiments.decoders import PACKAGES

HERE = [name for name, package in PACKAGES.items() if find_spec(package)]
EACH = [pytest.param(name, marks=() if name in HERE else pytest.mark.skip(f"{name} is not installed")) for name in PACKAGES]
