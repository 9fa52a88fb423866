"""fmtbench: what does forcing a language model into a format do to what it knows, and why?

The package is a plain library: every object takes plain arguments and works from a notebook.
Only `experiments/` knows about Hydra and result paths. Start reading at `types.py`, then `pipeline.py`.
"""

__version__ = "0.1.0"
