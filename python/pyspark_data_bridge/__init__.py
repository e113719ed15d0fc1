"""The module by which Spark finds `format("data_bridge")`: it imports modules whose names start with `pyspark_`."""

from data_bridge.engines.spark import DefaultSource

__all__ = ["DefaultSource"]
