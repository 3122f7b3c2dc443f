"""Layers of an image, and the file system that they make together (OCI image specification, "Image Layer")."""
