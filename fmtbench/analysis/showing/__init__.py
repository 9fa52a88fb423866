"""How tables and figures are written: Markdown, LaTeX, figures, one document of all, galleries for notebooks."""
