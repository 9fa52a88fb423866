"""Entry points. The only place that knows Hydra and result paths; each file's docstring is its command line."""
