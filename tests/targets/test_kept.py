"""Which files of a stream are kept as they come by: what extractors ask for, and little else."""

from __future__ import annotations

import pytest

from reprocheck.targets import kept

KEPT = (
    "usr/lib/python3/dist-packages/six-1.16.0.egg-info",
    "usr/lib/python3/dist-packages/apt.egg-info/PKG-INFO",
    "usr/local/lib/python3.9/site-packages/numpy-1.23.5.dist-info/METADATA",
    "./usr/local/lib/python3.9/site-packages/Numpy-1.DIST-INFO/RECORD",
    "opt/x.egg/EGG-INFO/PKG-INFO",
    "opt/conda/conda-meta/numpy-1.23.5-py39.json",
    "opt/venv/pyvenv.cfg",
    "opt/venv/lib/python3.9/site-packages/distutils-precedence.pth",
    "opt/venv/lib/python3.9/site-packages/it.egg-link",
    "etc/os-release",
    "/usr/lib/os-release",
    "etc/passwd",
    "etc/ld.so.conf",
    "etc/ld.so.conf.d/x.conf",
    "usr/bin/python3.9",
    "usr/bin/python3",
    "usr/lib/python3.9/site.py",
    "opt/pypy/lib/pypy3.10/site.py",
    "opt/old/lib-python/3/site.py",
    "usr/lib/x86_64-linux-gnu/libpython3.9.so.1.0",
    "lib/x86_64-linux-gnu/libc.so.6",
    "lib/x86_64-linux-gnu/libc-2.31.so",
    "lib/ld-musl-x86_64.so.1",
    "var/lib/dpkg/status",
    "var/lib/dpkg/status.d/base",
    "var/lib/dpkg/info/libc6:amd64.md5sums",
    "var/lib/dpkg/info/tar.list",
    "var/lib/dpkg/info/bash.conffiles",
    "var/lib/dpkg/diversions",
    "etc/dpkg/dpkg.cfg",
    "etc/dpkg/dpkg.cfg.d/docker",
    "lib/apk/db/installed",
    "var/lib/rpm/Packages",
    "usr/lib/sysimage/rpm/rpmdb.sqlite",
)
PASSED = (
    "usr/lib/python3.9/os.py",
    "usr/lib/python3/dist-packages/x/site.py",
    "usr/share/doc/python3.9/copyright",
    "usr/local/lib/python3.9/site-packages/numpy/core/_multiarray.so",
    "opt/conda/conda-meta",
    "home/me/passwd.txt",
    "usr/lib/x86_64-linux-gnu/libcrypto.so.1.1",
    "var/lib/dpkg/info/tar.postinst",
    "opt/dist-info/METADATA",
    "opt/x-1.0.dist-info/config.txt",
    "opt/x-1.0.dist-info/licenses/LICENSE",
    "opt/x.egg-info/SOURCES.txt",
    "opt/conda/conda-meta/history",
    "usr/bin/passwd/x",
    "etc/pam.d/passwd",
)


@pytest.mark.parametrize("name", ["usr/local/bin/run", "opt/venv/bin/pip", "bin/sh"])
def test_scripts_are_kept_while_they_are_small(name: str) -> None:
    assert kept.wanted(name.encode(), kept.SCRIPT_LIMIT)
    assert not kept.wanted(name.encode(), kept.SCRIPT_LIMIT + 1)
    assert not kept.wanted(name.encode() + b"/x", 10)


@pytest.mark.parametrize("name", KEPT)
def test_kept(name: str) -> None:
    assert kept.wanted(name.encode(), 1000)
    assert kept.wanted(name.encode(), kept.FILE_LIMIT)
    assert not kept.wanted(name.encode(), kept.FILE_LIMIT + 1)


@pytest.mark.parametrize("name", PASSED)
def test_passed_over(name: str) -> None:
    assert not kept.wanted(name.encode(), 1000)


def test_names_that_are_no_text() -> None:
    assert kept.wanted(b"\xff/\xfe-1.dist-info/METADATA", 1)
    assert not kept.wanted(b"a" * 100_000, 1)
