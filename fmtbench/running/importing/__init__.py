"""Logs of other suites as records, one at a time: a file a kind of log, and each knows its own layout alone."""
