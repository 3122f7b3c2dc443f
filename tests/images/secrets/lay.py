"""Lay three distributions whose metadata hold credentials."""

import json
import site
from pathlib import Path

SITE = Path(site.getsitepackages()[0])
SOURCE = Path("/opt/src/edited")
COMMIT = "8c9f1a2f0f4c1c0b1c6f6c8d1f7b7a2f3c4d5e6f"


def lay(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def lay_dist(name: str, direct_url: object, more: str = "") -> None:
    """Lay the dist-info of a distribution as pip leaves it."""
    info = SITE / f"{name}-1.0.dist-info"
    lay(info / "METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n{more}\n")
    lay(info / "INSTALLER", "pip\n")
    lay(info / "direct_url.json", direct_url if isinstance(direct_url, str) else json.dumps(direct_url))
    files = [f"{info.name}/{file}" for file in ("METADATA", "INSTALLER", "direct_url.json")]
    lay(info / "RECORD", "".join(f"{file},,\n" for file in [*files, f"{info.name}/RECORD"]))


def url(canary: str, path: str) -> str:
    return f"https://user:CANARY-{canary}@example.invalid/{path}"


# Installed from a repository, with a requirement that names another.
lay_dist(
    "cloned",
    {
        "url": url("direct-7a55", "x.git"),
        "vcs_info": {"vcs": "git", "commit_id": COMMIT, "requested_revision": "main"},
    },
    f"Home-page: {url('home-0be1', 'x')}\nRequires-Dist: edited @ git+{url('requires-b3d2', 'edited.git')}@main\n",
)

# Installed for editing from a checkout, the new way and the old way.
lay_dist("edited", {"url": SOURCE.as_uri(), "dir_info": {"editable": True}})
lay(SITE / "edited.pth", f"{SOURCE}\n")
lay(SOURCE / "edited.py", "")
lay(SOURCE / "developed.egg-info" / "PKG-INFO", "Metadata-Version: 2.1\nName: developed\nVersion: 1.0\n")
lay(SITE / "developed.egg-link", f"{SOURCE}\n.")
lay(
    SOURCE / ".git" / "config",
    "[core]\n\trepositoryformatversion = 0\n\tbare = false\n"
    f'[remote "origin"]\n\turl = {url("git-94ce", "edited.git")}\n'
    "\tfetch = +refs/heads/*:refs/remotes/origin/*\n",
)
lay(SOURCE / ".git" / "HEAD", "ref: refs/heads/main\n")
lay(SOURCE / ".git" / "refs" / "heads" / "main", f"{COMMIT}\n")

# What nobody reads of files that are read, and what stands beside them.
lay_dist(
    "escaped",
    r'{"url": "https://example.invalid/x?a=1\u0026to\u006ben=CANARY-escaped-3c1b", "dir_info": {}}',
    "\nExample: use CANARY-readme-88e0\n",
)
lay(SITE / "escaped-1.0.dist-info" / "config.txt", "token = CANARY-config-b7a5\n")
with SITE.joinpath("escaped-1.0.dist-info", "RECORD").open("a") as record:
    record.write("../../../bin/escaped,sha256=AAAA,5\n")
lay(SITE.parents[2] / "bin" / "escaped", "#!/bin/sh\nexport TOKEN=CANARY-script-02dd\n")
with Path("/etc/passwd").open("a") as users:
    users.write("me:CANARY-hash-6f6e:1000:1000:CANARY-gecos-d1c2:/home/me:/bin/sh\n")

lay(Path("/root/.config/pip/pip.conf"), f"[global]\nextra-index-url = {url('pipconf-d8a9', 'simple')}\n")
