"""reprocheck: lock an environment once; prove, explain and repair every later difference."""

__version__ = "0.1.0"
