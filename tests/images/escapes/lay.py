"""Lay distributions whose names, versions, summaries and files hold control characters."""

import os
import site
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

with Path("/etc/os-release").open("ab") as release:
    release.write(b'PRETTY_NAME="Debian' + CLEAR + b' GNU/Linux 11"\n')
