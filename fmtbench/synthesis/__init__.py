"""Training data for embedders, written by a backbone in two steps, each under a JSON schema."""
