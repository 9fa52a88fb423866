"""The report that people open: one HTML page that contains every reply of a study and needs no network."""
