"""The program that runs in the target. It imports nothing of reprocheck."""
