"""Text embeddings from the backbones that also generate."""
