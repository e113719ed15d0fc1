"""Engines that read queries lazily: one file for each, over the common scan and its filters."""
