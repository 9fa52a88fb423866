"""Reports a running sweep live to MLflow, Weights & Biases or trackio. Off by default."""
