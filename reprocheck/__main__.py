"""``python -m reprocheck``."""

from reprocheck.cli import main

if __name__ == "__main__":
    main()
