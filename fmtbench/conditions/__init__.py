"""Conditions: ways of asking, allowing and reading. `condition.py` has the axes, a contract is one file each."""
