"""Kills, full disks and several processes at once: fmtbench beside inspect-ai and lm-evaluation-harness, each by its own means.

    python -m experiments.benchmarks.recovery --inspect VENV --lm-eval VENV

Each peer in an environment of its own, so that neither decides what the other imports:

    python3.11 -m venv VENV; VENV/bin/pip install inspect-ai==0.3.285 openai==3.57.0
    python3.11 -m venv VENV; VENV/bin/pip install 'lm-eval[api]==0.4.13'

All of them ask one server on this machine, which outlives every kill and so knows what was asked, when it was answered, and what
was asked again. It needs root, for a file system that can be filled (the row `disk`).
"""
