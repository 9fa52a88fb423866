"""Rows: read, checked, joined; the study that they belong to, and what it lacks."""
