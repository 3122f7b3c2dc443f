from __future__ import annotations

import pytest

from reprocheck.archives import platforms
from reprocheck.archives.platforms import Platform
from reprocheck.errors import UsageError


@pytest.mark.parametrize(
    ("text", "platform"),
    [
        ("linux/amd64", Platform(os="linux", architecture="amd64")),
        ("Linux/ARM/v6", Platform(os="linux", architecture="arm", variant="v6")),
    ],
)
def test_a_platform_as_it_is_written(text: str, platform: Platform) -> None:
    assert platforms.parse(text) == platform
    assert str(platform) == text.lower()


@pytest.mark.parametrize("text", ["", "linux", "linux/", "/amd64", "linux/arm/v7/x"])
def test_what_is_no_platform(text: str) -> None:
    with pytest.raises(UsageError, match="write os/architecture or os/architecture/variant"):
        platforms.parse(text)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("linux/arm64", "linux/arm64/v8", True),
        ("linux/arm", "linux/arm/v7", True),
        ("linux/amd64", "linux/amd64/v1", True),
        ("linux/arm", "linux/arm/v6", False),
        ("linux/amd64", "linux/amd64/v3", False),
        ("linux/riscv64", "windows/riscv64", False),
    ],
)
def test_the_variant_that_is_meant(one: str, other: str, same: bool) -> None:
    assert (platforms.parse(one).normal() == platforms.parse(other).normal()) is same


@pytest.mark.parametrize(
    ("machine", "here"),
    [("x86_64", "linux/amd64"), ("aarch64", "linux/arm64"), ("armv7l", "linux/arm/v7"), ("ppc64le", "linux/ppc64le")],
)
def test_this_machine(machine: str, here: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: machine)
    assert str(platforms.here()) == here


def test_builds_of_windows_are_shown_and_not_compared() -> None:
    old = Platform(os="windows", architecture="amd64", os_version="10.0.17763.1")
    assert str(old) == "windows/amd64 (10.0.17763.1)"
    assert old.normal() == platforms.parse("windows/amd64").normal()
