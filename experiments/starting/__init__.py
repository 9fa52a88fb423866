"""How every command starts: typed roots, Hydra, objects from configs, one-line errors."""
