"""Print how the labelled cases are judged; ``--write``: into the page that publishes it."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.judgement.score import figures, page

PAGE = Path(__file__).resolve().parents[2] / "docs" / "explanation" / "judgement.md"

if __name__ == "__main__":
    text = "\n".join(page(figures())) + "\n"
    if sys.argv[1:] == ["--write"]:
        PAGE.write_text(text)
    else:
        sys.stdout.write(text)
