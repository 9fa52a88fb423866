"""The store: run folders, journals, rows and provenance on disk."""
