"""The shop on `Document`."""
