"""Lay distributions, .pth files and an environment whose names and contents hold control characters."""

import os
import site
import sys
from pathlib import Path

SITE = Path(site.getsitepackages()[0])

CLEAR = b"\x1b[2J\x1b[H"
CLIPBOARD = b"\x1b]52;c;cm0gLXJmIH4=\x07"
TITLE = b"\x1b]0;owned\x07"
BELL = b"\x07"
RETURN = b"\r"
RAW_C1 = b"\x9b31m"
C1 = RAW_C1.decode("latin-1").encode()
OVERRIDE = "\u202e".encode()

# The stem of the files: the Name, Version and Summary in the METADATA.
DISTS = {
    b"clear": (b"clear" + CLEAR, b"1.0", b"clears the screen"),
    b"clipboard": (b"clipboard", b"1.0" + CLIPBOARD, b"writes to the clipboard"),
    b"title": (b"title", b"1.0", b"sets the title" + TITLE),
    b"bell": (b"bell", b"1.0" + BELL, b"rings" + BELL),
    b"return": (b"return", b"1.0", b"wrong" + RETURN + b"right"),
    b"control": (b"control" + C1, b"1.0", b"in UTF-8 " + C1 + b" and raw " + RAW_C1),
    b"override": (b"override" + OVERRIDE + b"txt.exe", b"1.0", OVERRIDE + b"backwards"),
    # Neither is UTF-8: the names of its files, and the name in it.
    b"caf\xe9": (b"caf\xe9", b"1.0", b"Latin-1"),
}

for stem, headers in DISTS.items():
    module = stem + b".py"
    (SITE / os.fsdecode(module)).touch()
    info = stem + b"-1.0.dist-info"
    folder = SITE / os.fsdecode(info)
    folder.mkdir()
    folder.joinpath("METADATA").write_bytes(b"Metadata-Version: 2.1\nName: %s\nVersion: %s\nSummary: %s\n" % headers)
    folder.joinpath("INSTALLER").write_bytes(b"pip\n")
    listed = (module, info + b"/METADATA", info + b"/INSTALLER", info + b"/RECORD")
    folder.joinpath("RECORD").write_bytes(b"".join(b"%s,,\n" % file for file in listed))

# One that requires, and comes from, what can't be: the text stands in messages.
asking = SITE / "asking-1.0.dist-info"
asking.mkdir()
asking.joinpath("METADATA").write_bytes(
    b"Metadata-Version: 2.1\nName: asking\nVersion: 1.0\n"
    b"Requires-Dist: missing" + RAW_C1 + b">=1\nRequires-Dist: title>=2; extra == '" + BELL + b"'\n"
    b"Requires-Dist: title>=2\nRequires-Dist: bell" + CLIPBOARD + b">>1\n"
)
asking.joinpath("INSTALLER").write_bytes(b"pip" + TITLE + OVERRIDE + b"\n")
asking.joinpath("direct_url.json").write_text(
    '{"url": "https://example.invalid/\\u001b[2J\\u202e.whl", "archive_info": {}}'
)
asking.joinpath("RECORD").write_text("")

# Read as code by Python, which would print them; named to be printed.
for name in (CLEAR, CLIPBOARD, RETURN + b"x", RAW_C1, C1, OVERRIDE):
    (SITE / os.fsdecode(name + b".pth")).write_bytes(b"import sys # " + name + b"\n")

# A virtual environment at such a path, with a distribution in it.
environment = Path(os.fsdecode(b"/opt/" + CLEAR + TITLE + OVERRIDE + C1))
library = environment / "lib/python3.9/site-packages/inner-1.0.dist-info"
library.mkdir(parents=True)
library.joinpath("METADATA").write_text("Metadata-Version: 2.1\nName: inner\nVersion: 1.0\n")
library.joinpath("INSTALLER").write_text("pip\n")
library.joinpath("RECORD").write_text("")
interpreter = Path(sys.executable).resolve()
environment.joinpath("bin").mkdir()
environment.joinpath("bin/python3").symlink_to(interpreter)
environment.joinpath("pyvenv.cfg").write_text(f"home = {interpreter.parent}\nversion = 3.9.2\n")

with Path("/etc/os-release").open("ab") as release:
    release.write(b'PRETTY_NAME="Debian' + CLEAR + b' GNU/Linux 11"\n')
