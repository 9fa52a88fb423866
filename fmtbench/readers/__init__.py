"""Readers: how any reply is read, whatever was asked for."""
