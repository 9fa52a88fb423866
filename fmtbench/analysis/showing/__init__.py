"""Writes tables and figures: Markdown, LaTeX, plots, one document of all of them, galleries for notebooks."""
