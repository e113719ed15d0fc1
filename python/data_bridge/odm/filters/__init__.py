"""Typed expressions, updates and lookup of declared fields."""
