from __future__ import annotations

from msgspec.structs import replace

from reprocheck.explain import (
    Copy,
    PackageExplanation,
    Requirement,
    Requirer,
    Unjudged,
    VersionInterval,
)
from reprocheck.formats import explain
from reprocheck.model.report import IntroducedBy
from reprocheck.model.snapshot import Files
from tests.formats.golden import check

PROTOBUF = PackageExplanation(
    environment="/usr",
    name="protobuf",
    display_name="protobuf",
    version="4.21.1",
    location="{prefix}/lib/python3.9/site-packages",
    origin="index",
    editable=False,
    installer="pip",
    requested=True,
    problems=("RECORD is missing",),
    files=Files(checked="sizes", modified=("google/protobuf/message.py",), missing=("google/x.txt",), unverifiable=1),
    copies=(Copy(version="3.19.6", location="{prefix}/lib/python3/dist-packages"),),
    required_by=(
        Requirer(
            by="tensorboard", by_version="2.9.1", specifier="<3.20,>=3.9.2", marker=None, extra=None,
            satisfied=False,
        ),
        Requirer(by="tensorflow", by_version="2.9.0", specifier="", marker=None, extra="gpu", satisfied=True),
    ),
    paths=(("protobuf",), ("tensorflow", "tensorboard", "protobuf")),
    requires=(
        Requirement(
            name="six", specifier=">=1.9", marker="python_version < '4'", extra=None, installed=None, satisfied=None
        ),
        Requirement(name="numpy", specifier=">=2", marker=None, extra=None, installed="1.23.5", satisfied=False),
    ),
    unjudged=(Unjudged(requirement="x @@", reason="no valid requirement"),),
    intervals=(
        VersionInterval(specifier="<3.9.2", violates=("tensorboard", "tensorflow"), holds_installed=False),
        VersionInterval(specifier=">=3.9.2,<3.20", violates=(), holds_installed=False),
        VersionInterval(specifier=">=3.20", violates=("tensorboard",), holds_installed=True),
    ),
    layer=IntroducedBy(layer=4, layers=4, diff_id="sha256:aa", instruction="RUN pip3 install protobuf==4.21.1"),
)  # fmt: skip
BARE = replace(
    PROTOBUF,
    environment="/opt/venv",
    version="",
    installer=None,
    requested=None,
    editable=True,
    problems=(),
    copies=(),
    required_by=(),
    paths=(),
    requires=(),
    unjudged=(),
    intervals=(VersionInterval(specifier="", violates=(), holds_installed=True),),
    layer=None,
)


def test_an_explanation_reads_as_it_was_reviewed() -> None:
    check("explain-100.txt", explain.render((PROTOBUF, BARE)))
    check("explain-60.txt", explain.render((PROTOBUF,), width=60))


def test_text_of_the_target_is_inert() -> None:
    evil = "\x1b[2J\r[red]\u202e"
    text = explain.render((replace(PROTOBUF, display_name=evil, location=evil, origin=evil),))
    assert text.replace("\n", "").isprintable()
    assert text.startswith("\\x1b[2J\\x0d[red]\\u202e 4.21.1")
