"""What experiments.bench measures, one file per kind of measurement."""
