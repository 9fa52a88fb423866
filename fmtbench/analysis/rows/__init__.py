"""Rows are read, checked and joined here; so is the study they belong to, and what it lacks."""
