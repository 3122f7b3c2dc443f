from __future__ import annotations

import hashlib
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reprocheck.archives import digest as digests
from reprocheck.archives.digest import DigestError, Hashing, checking
from reprocheck.errors import TargetError
from reprocheck.layers.blob import drain

CONTENT = b"some bytes" * 1000
GOOD = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"


@given(st.text(max_size=80) | st.from_regex(r"sha(256|512):[0-9a-f]{60,130}", fullmatch=True))
def test_a_valid_digest_names_one_file_below_blobs(text: str) -> None:
    if digests.valid(text):
        algorithm, encoded = text.split(":")
        assert digests.path(text) == f"blobs/{algorithm}/{encoded}"
        assert set(encoded) <= set("0123456789abcdef")
        assert digests.from_path(digests.path(text)) == text
    else:
        with pytest.raises(TargetError, match=r"^here: invalid digest"):
            digests.check(text, "here")


def test_digests_of_both_algorithms() -> None:
    for algorithm in ("sha256", "sha512"):
        digest = digests.of(CONTENT, algorithm)
        assert digest == f"{algorithm}:{hashlib.new(algorithm, CONTENT).hexdigest()}"
        assert digests.check(digest, "here") == digest


@pytest.mark.parametrize("name", ["a/layer.tar", "blobs/sha256", "blobs/sha256/abc", f"x/sha256/{GOOD[7:]}", GOOD])
def test_other_paths_stand_for_no_digest(name: str) -> None:
    assert digests.from_path(name) is None


def test_what_goes_by_is_hashed() -> None:
    hashing = Hashing(BytesIO(CONTENT), "sha256", "sha512")
    assert hashing.read(7) == CONTENT[:7]
    assert hashing.digests == (digests.of(CONTENT[:7]), digests.of(CONTENT[:7], "sha512"))
    drain(hashing)
    assert hashing.digests == (GOOD, digests.of(CONTENT, "sha512"))


def test_a_mismatch_comes_in_place_of_the_end() -> None:
    drain(checking(BytesIO(CONTENT), GOOD, "layer 1"))
    reader = checking(BytesIO(CONTENT + b"x"), GOOD, "here: digest mismatch layer 1")
    assert reader.read(len(CONTENT) + 1) == CONTENT + b"x"
    got = digests.of(CONTENT + b"x")
    with pytest.raises(DigestError, match=f"^here: digest mismatch layer 1: want {GOOD} got {got}; ") as caught:
        reader.read(1)
    assert isinstance(caught.value, TargetError)
