"""Kills, full disks and concurrent processes: how fmtbench, inspect-ai and lm-evaluation-harness recover, each in its own way.

    python -m experiments.benchmarks.recovery --inspect VENV --lm-eval VENV

Each peer has its own environment, so that neither decides what the other imports:

    python3.11 -m venv VENV; VENV/bin/pip install inspect-ai==0.3.285 openai==3.57.0
    python3.11 -m venv VENV; VENV/bin/pip install 'lm-eval[api]==0.4.13'

All of them query one server on this machine, which outlives every kill and so knows what was asked, when it was answered, and
what was asked again. The `disk` trial needs root, to mount a file system that can be filled.
"""
