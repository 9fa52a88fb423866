"""Training encoders: a recipe is an encoder and its stages, each a thin layer over the libraries' trainers."""
