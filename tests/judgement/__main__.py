"""Print how the labelled cases are judged; ``--write``: into the page that publishes it."""

from __future__ import annotations

import sys

from tests.judgement.score import PAGE, figures, page

if __name__ == "__main__":
    text = "\n".join(page(figures())) + "\n"
    if sys.argv[1:] == ["--write"]:
        PAGE.write_text(text)
    else:
        sys.stdout.write(text)
