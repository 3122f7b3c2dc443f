"""Frozen types: evidence, snapshot, changes, report; and the one codec that reads them from files."""
