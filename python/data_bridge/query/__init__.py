"""Queries: plan, results, streams, reports, tables."""
