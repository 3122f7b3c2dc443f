"""One file per kind of fact: what it wants of a target, and a pure function that reads the evidence."""
