"""Conditions: ways of asking, allowing and reading. `axes.py` has the axes, `condition.py` what a point on them means."""
