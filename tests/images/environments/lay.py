"""Lay Pythons with prefixes of their own, a package into each environment, and conda's records."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import site
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

MINOR = f"python{sys.version_info[0]}.{sys.version_info[1]}"
STANDARD = Path(os.__file__).parent
CONDA = (Path("/opt/conda"), Path("/opt/conda/envs/work"))
BUILDS = (Path("/usr/local"), Path("/opt/pyenv/versions/its"), *CONDA)
PACKAGES = {
    site.getsitepackages()[0]: "of-system",
    f"/usr/local/lib/{MINOR}/site-packages": "of-local",
    f"/opt/pyenv/versions/its/lib/{MINOR}/site-packages": "of-pyenv",
    f"/opt/venv/lib/{MINOR}/site-packages": "of-venv",
    f"/opt/shared/lib/{MINOR}/site-packages": "of-shared",
    f"/opt/conda/lib/{MINOR}/site-packages": "of-conda",
    f"/opt/conda/envs/work/lib/{MINOR}/site-packages": "of-work",
}
# As its authors wrote it: Debian's Python looks into dist-packages.
SITE = """
def getsitepackages(prefixes=None):
    return [os.path.join(prefix, "lib", MINOR, "site-packages") for prefix in (prefixes or PREFIXES)]

""".replace("MINOR", repr(MINOR))


def build(prefix: Path) -> None:
    """A Python that stands below a prefix as one that was built for it does."""
    if prefix == Path(sys.base_prefix):
        return  # the base may have been made with this one
    (prefix / "bin").mkdir(parents=True, exist_ok=True)
    shutil.copy(Path(sys.executable).resolve(), prefix / "bin" / MINOR)
    for name in ("python3", "python"):
        (prefix / "bin" / name).symlink_to(MINOR)
    left_out = shutil.ignore_patterns("__pycache__", "dist-packages", "site-packages", "test", "idlelib", "lib2to3")
    library = prefix / "lib" / MINOR
    library.mkdir(parents=True, exist_ok=True)
    for path in sorted(STANDARD.iterdir()):
        if path.is_dir() and path.name not in left_out(str(STANDARD), [path.name]):
            shutil.copytree(path, library / path.name, ignore=left_out)
        elif path.is_file():
            shutil.copy(path, library / path.name)
    (library / "site-packages").mkdir()
    source = (library / "site.py").read_text().replace("dist-packages", "site-packages")
    (library / "site.py").write_text(source.replace("if not sys.flags.no_site:", SITE + "if not sys.flags.no_site:"))


def distribution(where: Path, name: str, version: str, installer: str | None = None) -> None:
    """A package with metadata, its RECORD written last."""
    module, info = Path(where, name.replace("-", "_")), Path(where, f"{name.replace('-', '_')}-{version}.dist-info")
    for folder in (module, info):
        folder.mkdir(parents=True)
    (module / "__init__.py").write_text(f"version = {version!r}\n")
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n\n")
    if installer:
        (info / "INSTALLER").write_text(installer)
    rows = []
    for path in sorted([*module.iterdir(), *info.iterdir()]):
        value = base64.urlsafe_b64encode(hashlib.sha256(path.read_bytes()).digest()).decode().rstrip("=")
        rows.append(f"{path.relative_to(where)},sha256={value},{path.stat().st_size}\n")
    (info / "RECORD").write_text("".join([*rows, f"{info.name}/RECORD,,\n"]))


def packages() -> None:
    for where, name in PACKAGES.items():
        installer = "conda" if where.startswith("/opt/conda") else "pip"
        distribution(Path(where), name, "1.0", installer)
        # What a package carries inside of it is not installed.
        distribution(Path(where, name.replace("-", "_"), "_vendor"), "vendored", "9.0", installer)


def record(prefix: Path, name: str, version: str, files: Iterable[Path]) -> dict[str, Any]:
    """What conda writes of a package that it has linked into a prefix, as of conda 4.12 ("PrefixRecord")."""
    rows = []
    for path in files:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        kind = {"path_type": "softlink"} if path.is_symlink() else {"path_type": "hardlink"}
        sums = {"sha256": digest, "sha256_in_prefix": digest, "size_in_bytes": path.stat().st_size}
        rows.append({"_path": str(path.relative_to(prefix)), **kind, **sums})
    return {
        "build": "0",
        "build_number": 0,
        "channel": "https://conda.example/forge/linux-64",
        "depends": [],
        "files": [row["_path"] for row in rows],
        "fn": f"{name}-{version}-0.tar.bz2",
        "name": name,
        "paths_data": {"paths": rows, "paths_version": 1},
        "subdir": "linux-64",
        "version": version,
    }


def conda() -> None:
    for prefix in CONDA:
        meta, site_packages = prefix / "conda-meta", prefix / "lib" / MINOR / "site-packages"
        meta.mkdir()
        (meta / "history").write_text("==> 2026-11-24 10:00:00 <==\n# cmd: conda create\n")
        (prefix / "lib/libmade.so.1").write_bytes(b"\x7fELF made\n")
        (prefix / "lib/libmade.so").symlink_to("libmade.so.1")
        script = prefix / "bin/made"
        script.write_text("#!/a/placeholder/of/many/characters/bin/python\n")
        mine = [path for path in sorted(site_packages.rglob("*")) if path.is_file()]
        named = {f"of-{'conda' if prefix.name == 'conda' else 'work'}": mine}
        named["libmade"] = [prefix / "lib/libmade.so", prefix / "lib/libmade.so.1", script]
        named["python"] = [
            path
            for path in sorted([*(prefix / "bin").glob("python*"), *(prefix / "lib" / MINOR).rglob("*")])
            if path.is_file() and site_packages not in path.parents and "__pycache__" not in path.parts
        ]
        for name, files in named.items():
            version = sys.version.split()[0] if name == "python" else "1.0"
            written = record(prefix, name, version, files)
            if name == "libmade":
                # The prefix was put in, so that only the hash of the result is that of the file.
                script.write_text(f"#!{prefix}/bin/python\n")
                row = written["paths_data"]["paths"][-1]
                row["sha256_in_prefix"] = hashlib.sha256(script.read_bytes()).hexdigest()
                row.update(file_mode="text", prefix_placeholder="/a/placeholder/of/many/characters")
            (meta / f"{name}-{version}-0.json").write_text(json.dumps(written, indent=2, sort_keys=True))
    # The cache of packages is no environment.
    cached = Path("/opt/conda/pkgs/left-1.0-0")
    distribution(cached / "lib" / MINOR / "site-packages", "left", "1.0", "conda")
    (cached / "info").mkdir()
    (cached / "info/index.json").write_text('{"name": "left", "version": "1.0", "build": "0"}')
    (cached / "conda-meta").mkdir()
    (cached / "conda-meta/left-1.0-0.json").write_text(json.dumps(record(cached, "left", "1.0", [])))


def builds() -> None:
    for prefix in BUILDS:
        build(prefix)


{"builds": builds, "packages": packages, "conda": conda}[sys.argv[1]]()
