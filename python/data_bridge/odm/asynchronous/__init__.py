"""Asynchronous documents and their queries."""
