"""What experiments.bench measures: one file a kind of measurement."""
