"""Converters between stored values and annotated Python types."""
