"""Reads, checks and joins rows, and reads the study that they belong to, with what it lacks."""
