"""Does a results folder still hold what its run wrote? An audit trusts nothing in it, and writes nothing."""
