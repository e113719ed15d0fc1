"""Synchronous documents and their queries."""
