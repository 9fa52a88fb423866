"""What commands show while and after they run: progress, tables in the terminal, the page."""
