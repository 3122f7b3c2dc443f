from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from rich.cells import cell_len

from reprocheck.formats import terminal
from reprocheck.formats.layout import Page
from reprocheck.model.report import Break, Finding, IntroducedBy, LevelReached, Report, Summary
from reprocheck.model.snapshot import Gap
from reprocheck.verdict import CLASS_LEVELS
from tests.formats.golden import check
from tests.formats.reports import BROKEN, EVERYTHING, PROTOBUF, TEAM, VERIFIED, finding, judged

REPORTS = {"verified": VERIFIED, "protobuf": PROTOBUF, "broken": BROKEN, "team": TEAM, "everything": EVERYTHING}
_SGR = re.compile(r"\x1b\[[0-9;]*m")


def flat(text: str) -> str:
    return re.sub(r"\s+", " ", text)


@pytest.mark.parametrize("name", REPORTS)
@pytest.mark.parametrize("width", [60, 100, 200])
def test_reports_read_as_they_were_reviewed(name: str, width: int) -> None:
    check(f"report-{name}-{width}.txt", terminal.render(REPORTS[name], width=width))


@pytest.mark.parametrize("name", ["team", "everything"])
def test_all_lists_what_is_folded(name: str) -> None:
    check(f"report-{name}-all.txt", terminal.render(REPORTS[name], all_=True))


def test_colours_change_nothing_but_the_colours() -> None:
    for report in REPORTS.values():
        colored = terminal.render(report, color=True)
        assert _SGR.search(colored)
        assert [line.rstrip() for line in _SGR.sub("", colored).splitlines()] == terminal.render(report).splitlines()


@pytest.mark.parametrize("name", REPORTS)
@pytest.mark.parametrize("width", range(60, 201, 7))
def test_no_line_is_wider_than_the_terminal_and_none_ends_in_space(name: str, width: int) -> None:
    for line in terminal.render(REPORTS[name], width=width).splitlines():
        assert cell_len(line) <= width
        assert line == line.rstrip()


def test_the_surroundings_do_not_change_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = terminal.render(TEAM, color=True), terminal.render(TEAM)
    for name, value in {
        "COLUMNS": "20",
        "TERM": "dumb",
        "NO_COLOR": "1",
        "FORCE_COLOR": "1",
        "TTY_COMPATIBLE": "1",
        "LC_ALL": "C",
    }.items():
        monkeypatch.setenv(name, value)
    assert (terminal.render(TEAM, color=True), terminal.render(TEAM)) == expected


def test_a_command_is_never_wrapped() -> None:
    command = "pip install " + " ".join(f"package-{number}==1.{number}" for number in range(20))
    fix = PROTOBUF.findings[0].fix
    assert fix is not None
    report = judged(PROTOBUF, findings=(replace(PROTOBUF.findings[0], fix=replace(fix, commands=(command,))),))
    assert f" {command}\n" in terminal.render(report, width=60)


# --- the content --------------------------------------------------------------------------------------


def test_one_subject_is_one_story() -> None:
    text = terminal.render(PROTOBUF)
    assert text.count("3.19.6 → 4.21.1") == 1
    assert text.count("pip install protobuf==3.19.6") == 1
    assert text.count("tensorboard 2.9.1") == 1
    assert "RC101 RC201" in text


def test_equal_names_in_two_environments_are_two_stories() -> None:
    other = replace(PROTOBUF.findings[0], subject=replace(PROTOBUF.findings[0].subject, environment="/opt/venv"))
    report = judged(EVERYTHING, findings=(PROTOBUF.findings[0], other))
    text = terminal.render(report)
    assert "a major upgrade in /usr " in text
    assert "a major upgrade in /opt/venv " in text


def test_the_first_line_says_both_where_it_could_not_verify_and_there_is_drift() -> None:
    assert terminal.render(EVERYTHING).startswith("unverified, and drift  2 gaps · 1 breaking")
    only_gaps = judged(EVERYTHING, findings=(), summary=Summary(gaps=2))
    assert terminal.render(only_gaps).startswith("unverified  2 gaps · 140 of 141")
    forgiven = judged(EVERYTHING, threshold="breaking", findings=PROTOBUF.findings)
    assert terminal.render(forgiven).startswith("unverified  2 gaps · 1 major")


def test_never_reports_as_the_default_threshold_does() -> None:
    assert terminal.render(judged(EVERYTHING, threshold="never")).startswith("unverified, and drift")


def test_what_is_below_the_threshold_is_said_when_it_verifies() -> None:
    small = [each for each in EVERYTHING.findings if each.severity in {"minor", "info"}]
    text = terminal.render(judged(VERIFIED, findings=tuple(small), summary=Summary(minor=10, info=1)))
    assert "below the threshold (major): 10 minor, 1 info" in flat(text)
    assert text.startswith("verified")


def test_minor_changes_are_told_in_full_where_they_fail_the_gate() -> None:
    change = finding(
        "numpy",
        "minor",
        "",
        before="1.0",
        after="1.1",
        introduced_by=IntroducedBy(layer=1, layers=1, diff_id="a", instruction="RUN x"),
    )
    told = "layer 1 of 1: RUN x"
    assert told not in terminal.render(judged(PROTOBUF, findings=(change,)))
    assert told in terminal.render(judged(PROTOBUF, findings=(change,), threshold="minor"))


def test_each_layer_of_a_story_is_told_once_and_for_what_it_is() -> None:
    def layer(number: int) -> IntroducedBy:
        return IntroducedBy(layer=number, layers=9, diff_id="x", instruction=f"RUN {number}")

    upgraded, violated = PROTOBUF.findings
    edited = finding("protobuf", "major", "protobuf 4.21.1 was edited", rule_name="package-edited")

    def rows(*findings: Finding) -> list[str]:
        text = terminal.render(judged(PROTOBUF, findings=findings))
        return [" ".join(line.split()) for line in text.splitlines() if " of 9: " in line]

    for first in ([violated, upgraded], [upgraded, violated]):
        same = [replace(one, introduced_by=layer(5)) for one in first]
        assert rows(*same) == ["brought by layer 5 of 9: RUN 5"]
        apart = [replace(one, introduced_by=layer(5 if one is upgraded else 7)) for one in first]
        assert rows(*apart) == ["brought by layer 5 of 9: RUN 5", "unmet since layer 7 of 9: RUN 7"]
    alone = replace(violated, introduced_by=layer(7))
    assert rows(alone) == ["brought by layer 7 of 9: RUN 7"]
    assert rows(replace(upgraded, introduced_by=None), alone) == ["unmet since layer 7 of 9: RUN 7"]
    assert rows(replace(upgraded, introduced_by=layer(5)), replace(edited, introduced_by=layer(6))) == [
        "brought by layer 5 of 9: RUN 5",
        "edited by layer 6 of 9: RUN 6",
    ]


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        (True, True, "still satisfied"),
        (True, False, "now violated"),
        (False, True, "now satisfied"),
        (False, False, "violated before as well"),
        (None, True, ", satisfied"),
        (None, None, "can't be judged"),
        (True, None, "can't be judged"),
    ],
)
def test_what_a_requirement_was_and_is(before: bool | None, after: bool | None, says: str) -> None:
    check_ = replace(PROTOBUF.findings[0].requirements[0], allows_before=before, allows_after=after)
    change = replace(PROTOBUF.findings[0], suffers=(), requirements=(check_,))
    assert says in terminal.render(judged(PROTOBUF, findings=(change,)))


@pytest.mark.parametrize(
    ("facts", "says"),
    [
        ({"new": True}, "requires protobuf<3.20,>=3.9.2, violated (new requirement)"),
        ({"missing": True, "allows_after": None}, "requires protobuf<3.20,>=3.9.2, now without it"),
        (
            {"missing": True, "allows_before": None, "allows_after": None},
            "requires protobuf<3.20,>=3.9.2, which is not there",
        ),
        ({"specifier": "", "extras": ("a", "b")}, "requires protobuf[a,b], now violated"),
        ({"specifier": "", "extras": ()}, "requires any protobuf, now violated"),
    ],
)
def test_what_a_requirement_is_apart_from_its_bounds(facts: dict[str, Any], says: str) -> None:
    check_ = replace(PROTOBUF.findings[0].requirements[0], **facts)
    change = replace(PROTOBUF.findings[0], requirements=(check_,))
    assert says in flat(terminal.render(replace(PROTOBUF, findings=(change,))))


def test_who_suffers_although_the_metadata_allows_it() -> None:
    change = replace(PROTOBUF.findings[0], suffers=("tensorflow",))
    text = terminal.render(judged(PROTOBUF, findings=(change,)))
    assert "tensorflow 2.9.0  allows it on paper (protobuf>=3.9.2)" in text


def test_who_suffers_without_requiring_it_says_why() -> None:
    one = Break(
        name="mkl-torch",
        package="torch",
        version="2.1.0",
        effect="import-fails",
        fails=True,
        because="its library uses a symbol that MKL 2024.1 removed",
        source="an issue",
    )
    change = finding("known-break", "breaking", "mkl 2024.1: with it torch breaks", suffers=("torch",), breaks=(one,))
    page = terminal.render(judged(PROTOBUF, findings=(change,)))
    assert "suffers     torch 2.1.0  its library uses a symbol that MKL 2024.1 removed\n" in page


def test_it_does_not_claim_that_one_thing_is_all_that_stands_where_more_stands_behind_it() -> None:
    level = LevelReached(asked="stack", reached="framework", blocked_by=("RC101-protobuf",))
    other = finding("openssl", "major", "openssl was removed", kind="os-package")
    report = judged(PROTOBUF, level=level, findings=(PROTOBUF.findings[0], other))
    assert "framework reached; protobuf stands before packages\n" in terminal.render(report)
    gap = Gap(what="os_packages", where="/var/lib/dpkg/status", reason="can't be read")
    alone = judged(PROTOBUF, level=level, findings=(PROTOBUF.findings[0],))
    assert "protobuf is all that stands before packages and stack\n" in terminal.render(alone)
    assert "protobuf stands before packages\n" in terminal.render(judged(alone, gaps=(gap,)))
    # A gap that does not count (above the level, or forgiven by diff) stands before nothing.
    assert "protobuf is all that stands before packages and stack\n" in terminal.render(replace(alone, gaps=(gap,)))


def test_what_fails_is_read_from_the_report_not_worked_out_again() -> None:
    small = finding("numpy", "minor", "", before="1.0", after="1.1", evidence=())
    assert "and drift" in terminal.render(replace(EVERYTHING, findings=(small,), failing=(small.fingerprint,)))
    assert "and drift" not in terminal.render(replace(EVERYTHING, failing=()))


def test_what_was_run_is_said_last() -> None:
    def last(**side: Any) -> str:
        text = terminal.render(replace(VERIFIED, target=replace(VERIFIED.target, **side)), width=200)
        return text.splitlines()[-1].strip()

    ran = "the target's own Python ran the probe"
    name = VERIFIED.target.name
    assert last() == f"read in a throw-away container, removed again; {ran}"
    assert last(route="exec", executed=True) == f"{name}: read by exec in the running container; {ran}"
    assert last(route="archive endpoint", executed=False).endswith("; nothing of the target was run")
    assert last(route="storage layers", executed=False).startswith(f"{name}: read by storage layers;")


@pytest.mark.parametrize("change", [{"route": "exec"}, {"executed": False}])
def test_both_sides_are_named_where_they_were_read_in_different_ways(change: dict[str, Any]) -> None:
    report = replace(PROTOBUF, target=replace(PROTOBUF.target, **change))
    first, second = terminal.render(report, width=200).splitlines()[-2:]
    assert first.strip().startswith(f"{PROTOBUF.baseline.name}: read in a throw-away container, removed again; the")
    assert second.strip().startswith(f"{PROTOBUF.target.name}: read ")
    assert first != second
    same_name = replace(report, baseline=replace(report.baseline, name=report.target.name))
    assert len(terminal.render(same_name, width=200).splitlines()) == len(
        terminal.render(report, width=200).splitlines()
    )


def test_a_chain_is_one_story_and_what_was_dragged_along_with_it_is_folded_into_it() -> None:
    text = terminal.render(TEAM)
    steps = [line for line in text.splitlines() if line.strip().startswith("└")]
    assert [len(line) - len(line.lstrip()) for line in steps] == [14, 16, 18]
    assert "with it     contourpy 1.0.7 → 2.3.1, a major upgrade" in text
    assert "\nmajor" not in text
    assert "2 breaking · 1 major" in text, "it still counts"
    assert "why first   a known break that was seen; tensorflow suffers from it; opencv" in text
    assert "in that RUN line: find an opencv-python that allows numpy 1.23.5" in text
    assert "not         a later `pip install numpy==1.23.5`: opencv-python 5.0.0.93 requires numpy>=2" in text
    assert "breaking  opencv-python 1.0 (added): import cv2 needs libxcb.so.1" in text


def test_a_chain_without_a_known_layer_begins_with_who_dragged_it_along() -> None:
    report = judged(TEAM, findings=tuple(replace(one, introduced_by=None) for one in TEAM.findings))
    text = terminal.render(report)
    assert "  because     opencv-python 5.0.0.93, asked for, requires numpy>=2" in text
    steps = [line for line in text.splitlines() if line.strip().startswith("└")]
    assert [len(line) - len(line.lstrip()) for line in steps] == [14, 16]
    assert "repair      find an opencv-python that allows numpy 1.23.5" in text


@pytest.mark.parametrize(
    ("instruction", "says"),
    [
        ('RUN pip3 install --no-cache-dir "protobuf==4.21.1"', "drop that line; in a running container:"),
        ("RUN pip install protobuf", "drop that line; in a running container:"),
        ("RUN python3 -m pip install -U protobuf==4.21.1", "drop that line; in a running container:"),
        ("RUN pip install protobuf==4.21.1 six", "in that RUN line: put protobuf 3.19.6 back; in a running container:"),
        ("RUN pip install six", "in that RUN line: put protobuf 3.19.6 back; in a running container:"),
        ("COPY . /app", "repair      put protobuf 3.19.6 back"),
    ],
)
def test_the_repair_is_told_where_it_belongs(instruction: str, says: str) -> None:
    layer = IntroducedBy(layer=4, layers=4, diff_id="sha256:aa", instruction=instruction)
    findings = tuple(replace(one, introduced_by=layer) for one in BROKEN.findings)
    text = terminal.render(judged(BROKEN, findings=findings))
    assert says in text
    assert text.count("              pip install protobuf==3.19.6\n") == 1


def test_what_agrees_is_named() -> None:
    def first(*kinds: str) -> str:
        more = tuple(finding("x", "minor", "x", kind=kind, rule=f"RC4{number}") for number, kind in enumerate(kinds))
        return terminal.render(judged(PROTOBUF, findings=(*PROTOBUF.findings, *more))).splitlines()[0]

    assert first().endswith("140 of 141 Python packages, OS packages and settings agree")
    assert first("os-package").endswith("140 of 141 Python packages and settings agree")
    assert first("os-package", "variable").endswith("140 of 141 Python packages agree")
    assert first("image-config").endswith("140 of 141 Python packages and OS packages agree")


# --- text of the target that means harm -----------------------------------------------------------------

HOSTILE = [
    "\x1b[2J\x1b]52;c;aGk=\x07",
    "a\rb\x08c\x9b31m",
    "\u202egnp.exe\u2066",
    "line\nbreak\u2028and\x85more",
    "[red]x[/red][link=http://x]y[/link]:smile:",
    "::error::x",
    "##vso[task.setvariable]x ##[error]y ##teamcity[z]",
    "<script>`|*_",
    "\\",
    "",
    "漢字" * 30,
    "x" * 300,
    "\udcff",
]


def poisoned(text: str) -> Report:
    base = EVERYTHING.findings[0]
    requirement = replace(base.requirements[0], by=text, by_version=text, specifier=text, extra=text)
    poison = replace(
        base,
        subject=replace(base.subject, name=text, environment=text),
        message=text,
        expect=text,
        suffers=(text, "other"),
        before=text,
        after=f"{text}2",
        paths=((text, text),),
        pulled_by=(text,),
        requirements=(requirement,),
        introduced_by=IntroducedBy(layer=1, layers=1, diff_id="x", instruction=text),
    )
    other = replace(poison, name="variable-changed", severity="info", subject=replace(poison.subject, kind="variable"))
    return replace(
        EVERYTHING,
        findings=(poison, other, replace(other, name="x-y", severity="major")),
        gaps=(Gap(what=text, where=text, reason=text),),
        notes=(),
        target=replace(EVERYTHING.target, name=text, route=text),
        baseline=replace(EVERYTHING.baseline, name=text),
    )


def assert_harmless(page: str) -> None:
    for line in page.split("\n"):
        assert all(character.isprintable() for character in line), repr(line)
        assert not line.lstrip().startswith("::"), repr(line)
        assert not re.search(r"##(\[|vso\[|teamcity\[)", line), repr(line)
    page.encode("utf-8")


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("width", [60, 77, 200])
def test_text_of_a_target_drives_neither_the_terminal_nor_the_runner(text: str, width: int) -> None:
    report = poisoned(text)
    for all_ in (False, True):
        assert_harmless(terminal.render(report, width=width, all_=all_))
        colored = terminal.render(report, width=width, color=True, all_=all_)
        assert_harmless(_SGR.sub("", colored))
        ours = {"0", "1", "2", "31", "33", "36", "1;31", "1;32", "1;35"}
        assert set(re.findall(r"\x1b\[?([^m]*)m?", colored)) <= ours


def test_markup_and_emoji_codes_stay_text() -> None:
    text = terminal.render(poisoned("[red]x[/red]:smile:"))
    assert "[red]x[/red]:smile:" in text


def test_what_was_neutralised_can_still_be_read() -> None:
    text = terminal.render(poisoned("::error::x ##vso[y"), width=200)
    assert "\\x3a:error::x #\\x23vso[y" in text


@given(st.text(max_size=40), st.integers(60, 120))
def test_no_text_at_all_escapes(text: str, width: int) -> None:
    for line in terminal.render(poisoned(text), width=width).split("\n"):
        assert not re.search(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u2028\u2029]", line)
        assert not line.lstrip().startswith("::")


def test_a_word_without_an_end_is_shortened_and_a_command_is_not() -> None:
    """Such as a version of 5,000 digits, which is whole in JSON."""
    page = Page(width=100, color=False)
    page.block("major", "major", f"x {'1' * 4998}.9 → 2", right="RC101")
    page.row("at", "/" + "a" * 299)
    page.verbatim("", "pip install x==" + "1" * 5000)
    lines = page.render().splitlines()
    whole = "".join("".join(lines).split())
    assert f"x{'1' * 120}…[5,000characters]…{'1' * 38}.9→2" in whole
    assert "/" + "a" * 299 in whole
    assert "x==" + "1" * 5000 in whole
    assert len(lines) < 12


def test_each_class_that_is_compared_is_named() -> None:
    """Packages are counted; of the others the name is told, and what was not compared is not."""
    report = replace(VERIFIED, checked=replace(VERIFIED.checked, classes=tuple(CLASS_LEVELS)))
    (line,) = re.findall(r"^  checked +(.*)$", terminal.render(report, width=400), re.MULTILINE)
    assert "OS release and libc · CUDA libraries and frameworks · variables · image settings · machine" in line
