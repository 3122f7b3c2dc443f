"""Stored images: archives (docker-save, OCI) and OCI image layouts, from a path to a configuration and its layers."""
