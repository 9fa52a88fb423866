"""Rows are read, checked and joined here, and so is the study that they belong to, with what it lacks."""
