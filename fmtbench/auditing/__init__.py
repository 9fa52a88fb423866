"""Does a results folder still hold what its run put there? Nothing in it is believed, and nothing is written."""
