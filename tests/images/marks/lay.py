"""Lay the files that each leave a mark when a Python starts: run with -I -S, so that none does yet."""

import site
from pathlib import Path

# In one line, as a .pth file wants it; silent where another user has left the mark.
MARK = "import os; p = '/tmp/MARK-{}'; os.path.exists(p) or os.close(os.open(p, os.O_CREAT, 0o666))\n"

PLACES = {
    "system": site.getsitepackages()[0],
    "venv": "/opt/marked/lib/python3.9/site-packages",
    "user": "/root/.local/lib/python3.9/site-packages",
}

for place, folder in PLACES.items():
    Path(folder).mkdir(parents=True, exist_ok=True)
    Path(folder, "marks.pth").write_text(MARK.format(f"{place}-pth"))
    customize = "usercustomize" if place == "user" else "sitecustomize"
    Path(folder, f"{customize}.py").write_text(MARK.format(f"{place}-{customize}"))
