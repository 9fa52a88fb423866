"""The report as one HTML page that contains every reply of a study and needs no network."""
