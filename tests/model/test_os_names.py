from __future__ import annotations

import pytest

from reprocheck.model.os_names import called, native


@pytest.mark.parametrize(
    ("architectures", "home"),
    [
        ([], ""),
        (["all", "all", "noarch", ""], ""),
        (["all", "all", "amd64"], "amd64"),
        (["i386", "amd64", "amd64"], "amd64"),
        (["i386", "amd64"], "amd64"),
    ],
)
def test_what_most_packages_have_is_native(architectures: list[str], home: str) -> None:
    assert native(architectures) == home


def test_a_foreign_architecture_is_named() -> None:
    told = [called("x", architecture, "amd64") for architecture in ("amd64", "all", "noarch", "", "i386")]
    assert told == ["x", "x", "x", "x", "x:i386"]
