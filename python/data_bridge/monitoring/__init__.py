"""Listeners to operations, and the log."""
