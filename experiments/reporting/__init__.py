"""What commands show during and after a run: progress, tables in the terminal, the page."""
