"""Advisories about Python packages: where they come from, and whether one concerns a version."""
