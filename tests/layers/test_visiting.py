"""Members of an archive that comes by once, shown to a visitor."""

from __future__ import annotations

import tarfile
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reprocheck.layers.blob import BlobError, Held, Reader, Window
from reprocheck.layers.problem import Problem
from reprocheck.layers.tar import walk, walk_visiting

FORMATS = (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT)


def archive(contents: list[bytes], form: int) -> bytes:
    raw = BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=form) as made:
        for number, content in enumerate(contents):
            member = tarfile.TarInfo(f"{number}/{'n' * (90 if form == tarfile.USTAR_FORMAT else 150)}")
            member.size = len(content)
            made.addfile(member, BytesIO(content))
            link = tarfile.TarInfo(f"link-{number}")
            link.type, link.linkname = tarfile.SYMTYPE, member.name
            made.addfile(link)
    return raw.getvalue()


class Dribble:
    def __init__(self, content: bytes, step: int) -> None:
        self.source = BytesIO(content)
        self.step = step

    def read(self, size: int, /) -> bytes:
        return self.source.read(min(size, self.step))


@given(
    sizes=st.lists(st.integers(0, 1500) | st.just(300_000), max_size=4),
    form=st.sampled_from(FORMATS),
    step=st.integers(1, 2000),
    left=st.integers(0, 2000),
)
def test_the_same_members_and_their_contents(sizes: list[int], form: int, step: int, left: int) -> None:
    contents = [bytes([number + 1]) * size for number, size in enumerate(sizes)]
    raw = archive(contents, form)
    seen: list[bytes] = []

    def visit(name: bytes, size: int, stream: Reader) -> None:
        assert name.startswith(b"%d/" % len(seen))
        pieces = []
        wanted = size - left if len(seen) % 2 else size + 1  # some are left before their end
        while wanted > 0 and (piece := stream.read(min(wanted, 700))):
            pieces.append(piece)
            wanted -= len(piece)
        seen.append(b"".join(pieces))

    problems: list[Problem] = []
    members = list(walk_visiting(Dribble(raw, max(step, len(raw) // 5000)), problems.append, visit))
    assert members == list(walk(Window(Held(raw), 0, len(raw)), problems.append))
    assert not problems
    assert seen == [
        content[: max(0, len(content) - left)] if number % 2 else content for number, content in enumerate(contents)
    ]


def test_a_member_that_is_cut_is_seen_and_not_given() -> None:
    raw = archive([b"a" * 1000, b"b" * 5000], tarfile.PAX_FORMAT)
    seen = []
    problems: list[Problem] = []
    cut = Dribble(raw[: raw.index(b"b" * 100) + 800], 100)

    def visit(_name: bytes, _size: int, stream: Reader) -> None:
        seen.append(b"".join(iter(lambda: stream.read(64), b"")))

    names = [member.name[:1] for member in walk_visiting(cut, problems.append, visit)]
    assert seen == [b"a" * 1000, b"b" * 800]
    assert names == [b"0", b"l"]
    assert [problem.lost for problem in problems] == [True]
    assert "truncated at byte" in problems[0].reason


def test_what_a_visitor_raises() -> None:
    raw = archive([b"a" * 1000], tarfile.PAX_FORMAT)
    problems: list[Problem] = []

    def broken(_name: bytes, _size: int, _stream: Reader) -> None:
        raise BlobError("broken here")

    assert list(walk_visiting(BytesIO(raw), problems.append, broken)) == []
    assert [(problem.lost, "broken here" in problem.reason) for problem in problems] == [(True, True)]

    def wrong(_name: bytes, _size: int, _stream: Reader) -> None:
        raise ValueError("not for the walk")

    with pytest.raises(ValueError, match="not for the walk"):
        list(walk_visiting(BytesIO(raw), problems.append, wrong))
