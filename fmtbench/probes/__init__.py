"""Probes: what measures an engine, a grammar or a reply from the inside."""
