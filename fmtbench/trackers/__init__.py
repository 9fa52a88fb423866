"""A running sweep, told live to MLflow, Weights & Biases or trackio. Off by default."""
