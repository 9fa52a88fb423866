"""How every command starts: typed roots, Hydra, objects from configs, errors in one line."""
