"""The shop on `AsyncDocument`."""
