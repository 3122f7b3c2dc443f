"""A floor: every directory below a root is listed, and the status of every entry asked for; nothing else.

``python -m benchmarks.walk DIR`` prints how many entries there are. No link is followed.
"""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Walk and count."""
    left, count = [sys.argv[1]], 0
    while left:
        with os.scandir(left.pop()) as entries:
            for entry in entries:
                entry.stat(follow_symlinks=False)
                count += 1
                if entry.is_dir(follow_symlinks=False):
                    left.append(entry.path)
    print(count)


if __name__ == "__main__":
    main()
