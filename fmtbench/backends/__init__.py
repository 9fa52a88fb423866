"""Backends: engines that run a backbone. One file an engine; none knows which condition it serves."""
