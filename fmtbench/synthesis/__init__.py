"""Training data for embedders, written by a backbone: two steps, each held to a JSON schema."""
