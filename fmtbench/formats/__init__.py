"""Formats: how a reply is asked for, written and read, one file a format (and `fence.py`, which all of them share)."""
