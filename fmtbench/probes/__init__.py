"""Probes: measurements inside an engine, a grammar or a reply."""
