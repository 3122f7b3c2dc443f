"""What is known of frameworks, drivers, devices and combinations that break: data with sources, and its loader."""

from reprocheck.knowledge.load import TABLES, Knowledge, load

__all__ = ["TABLES", "Knowledge", "load"]
