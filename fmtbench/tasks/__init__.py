"""Tasks: sources of items and their answer kinds. A task knows nothing of formats. One file a family."""
