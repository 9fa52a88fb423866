"""How tables and figures are written: text, LaTeX, figures, documents, galleries."""
