"""The report that people open: one HTML page with every reply of a study, its data inside, no network."""
