from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from reprocheck.extractors import environments, integrity
from reprocheck.extractors.base import Facts
from reprocheck.model.evidence import Answer, Document, Evidence, FileEvidence, Record, RecordEvidence
from reprocheck.model.snapshot import Files, Package
from tests.evidence import Tree, interpreter, plant
from tests.probe.test_record import SITE, SOURCE, row

PYTHON = {"/usr/local/bin/python3": interpreter()}
INFO = f"{SITE}/mod-1.0.dist-info"
READ = RecordEvidence(size=3, sha256="00", lines=2, rows=2, checked=2)


def files(rows: str | None, **others: str | bytes) -> dict[str, str | bytes]:
    planted: dict[str, str | bytes] = {
        f"{INFO}/METADATA": "Metadata-Version: 2.1\nName: mod\nVersion: 1.0\n\n",
        f"{INFO}/INSTALLER": "pip\n",
        **{f"{SITE}/{name.replace('__', '.')}": raw for name, raw in others.items()},
    }
    return planted if rows is None else {**planted, f"{INFO}/RECORD": rows}


def read(root: Path, planted: dict[str, str | bytes], *, deep: bool = False) -> tuple[Facts, Package]:
    tree = Tree(plant(root, planted), interpreters=PYTHON)
    tree.document = msgspec.structs.replace(tree.document, deep=deep)
    facts = environments.read(tree.evidence())
    (one,) = facts.fields["environments"]
    (package,) = one.packages
    return facts, package


def compared(record: RecordEvidence, installer: str | None = "pip") -> integrity.Compared:
    evidence = Evidence(Tree(Path("/")).document)
    evidence.add(Answer(records={"RECORD": record}))
    return integrity.read("RECORD", installer, evidence)


def test_sizes_unless_more_is_asked_for(tmp_path: Path) -> None:
    planted = files(row("mod.py") + row("same.py"), mod__py=SOURCE + SOURCE, same__py=SOURCE[::-1])
    facts, mod = read(tmp_path, planted)
    assert (mod.files.count, mod.files.checked, mod.files.modified) == (2, "sizes", ("mod.py",))
    assert (facts.gaps, facts.coverage.state) == ((), "complete")
    _, mod = read(tmp_path, planted, deep=True)
    assert (mod.files.checked, mod.files.modified) == ("hashes", ("mod.py", "same.py"))


def test_hashes_are_asked_for_everywhere_or_nowhere() -> None:
    for deep in (False, True):
        document: Document = msgspec.structs.replace(Tree(Path("/")).document, deep=deep)
        wants = [want for want in environments.wants(Evidence(document)) if isinstance(want, Record)]
        assert wants
        assert {want.deep for want in wants} == {deep}


def test_no_record_is_nothing_to_compare_with(tmp_path: Path) -> None:
    """As Debian's own packages have it."""
    facts, mod = read(tmp_path, files(None))
    assert mod.files == Files()
    assert (facts.gaps, mod.problems) == ((), ())


def test_43_44_bad_and_foreign_rows_are_problems_of_the_package(tmp_path: Path) -> None:
    rows = '../../../../etc/shadow,,\n"unclosed,,\n<<<<<<< x\n' + row("mod.py")
    facts, mod = read(tmp_path, files(rows, mod__py=SOURCE))
    assert mod.problems == (
        'RECORD: 2 malformed rows, the first: row 2, a quote without its end: "unclosed,,',
        "RECORD: 1 row outside of the environment, not looked at, the first: ../../../../etc/shadow",
    )
    assert (mod.files.count, mod.files.checked, mod.files.modified) == (4, "sizes", ())
    assert facts.gaps == ()


def test_names_are_readable_text() -> None:
    told = compared(
        msgspec.structs.replace(READ, modified=("\xc3\xbc.py", "\x1b[2J.py"), missing=("\xff.py",), first_bad="\xff")
    )
    assert told.files.modified == ("\x1b[2J.py", "ü.py")
    assert told.files.missing == (r"\xff.py",)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"problem": "EACCES", "sha256": None, "rows": None}, "RECORD can't be read (permission denied)"),
        ({"problem": "not a regular file", "sha256": None, "rows": None}, "RECORD can't be read (not a regular file)"),
        (
            {"problem": "larger than the limit of 9 bytes", "sha256": None, "rows": None},
            "RECORD can't be read (larger than the limit of 9 bytes)",
        ),
        (
            {"problem": "larger than the limit of 9 bytes, so not compared", "rows": None},
            "RECORD is larger than the limit of 9 bytes, so not compared",
        ),
        ({"problem": "more than 2 rows in all"}, "RECORD: more than 2 rows in all"),
        ({"unreadable": 1, "first_unreadable": "a.py"}, "files that can't be looked at: a.py"),
        ({"unreadable": 3, "first_unreadable": "\xff.py"}, r"files that can't be looked at: \xff.py and 2 more"),
        ({"problem": "ENOENT", "sha256": None, "rows": None}, None),
        ({}, None),
    ],
)
def test_what_could_not_be_compared_has_a_reason(changes: dict[str, Any], reason: str | None) -> None:
    told = compared(msgspec.structs.replace(READ, **changes))
    assert told.reason == reason
    compares = changes.get("rows", 2) is not None
    assert told.files.checked == ("sizes" if compares else "none")


def test_a_reason_is_a_gap_of_the_package(tmp_path: Path) -> None:
    planted = files(row("mod.py"), mod__py=SOURCE)
    tree = Tree(plant(tmp_path, planted), interpreters=PYTHON)
    evidence = tree.evidence()
    (path,) = evidence.records
    broken = msgspec.structs.replace(evidence.records[path], unreadable=1, first_unreadable="mod.py")
    evidence.add(Answer(records={path: broken}))
    facts = environments.read(evidence)
    (gap,) = facts.gaps
    assert gap.what == "environments[/usr/local].packages[mod].files"
    assert (gap.where, gap.reason) == (f"{INFO}/RECORD", "files that can't be looked at: mod.py")
    assert facts.coverage.state == "partial"


def test_49_what_conda_installed_is_not_judged_by_a_record_that_it_outlived() -> None:
    told = compared(msgspec.structs.replace(READ, modified=("mod.py",)), "conda")
    assert told == integrity.Compared(files=Files(count=2, record_sha256="00"))


@pytest.mark.parametrize(
    ("path", "installer", "judged"),
    [
        ("/usr/lib/python3/dist-packages/a-1.dist-info/RECORD", None, False),
        ("/usr/lib64/python3.12/site-packages/a-1.dist-info/RECORD", None, False),
        ("/usr/lib/python3.12/site-packages/a-1.dist-info/RECORD", "pip", True),
        ("/usr/local/lib/python3.9/dist-packages/a-1.dist-info/RECORD", None, True),
        ("/opt/venv/lib/python3.9/site-packages/a-1.dist-info/RECORD", None, True),
    ],
)
def test_packages_of_the_operating_system_are_stripped_after_record_was_written(
    path: str, installer: str | None, judged: bool
) -> None:
    evidence = Evidence(Tree(Path("/")).document)
    evidence.add(Answer(records={path: msgspec.structs.replace(READ, modified=("a.so",))}))
    told = integrity.read(path, installer, evidence)
    assert told.files.record_sha256 == "00"
    assert (told.files.checked, told.files.modified) == (("sizes", ("a.so",)) if judged else ("none", ()))


def test_evidence_of_an_older_probe_has_the_digest_alone() -> None:
    evidence = Evidence(Tree(Path("/")).document)
    evidence.add(Answer(files={"RECORD": FileEvidence(size=3, sha256="00", lines=2)}))
    assert integrity.read("RECORD", "pip", evidence) == integrity.Compared(files=Files(count=2, record_sha256="00"))
    assert integrity.read("elsewhere/RECORD", "pip", evidence) == integrity.Compared()


def packaged(record: RecordEvidence) -> integrity.Compared:
    evidence = Evidence(Tree(Path("/")).document)
    evidence.add(Answer(records={"x.md5sums": record}))
    return integrity.packaged("x.md5sums", evidence, "presence")


def test_records_of_dpkg_and_conda() -> None:
    found = packaged(msgspec.structs.replace(READ, modified=("b", "a\xff"), missing=("c",), unnamed=2, layer=3))
    assert found.files == Files(count=2, checked="presence", modified=("a\\xff", "b"), missing=("c",), unnamed=2)
    assert (found.layer, found.reason) == (3, None)
    assert packaged(msgspec.structs.replace(READ, deep=True)).files.checked == "hashes"
    assert packaged(msgspec.structs.replace(READ, rows=0)).files == Files(), "one that names nothing that is judged"


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (RecordEvidence(problem="ENOENT"), None),
        (RecordEvidence(problem="EACCES"), "its record can't be read (permission denied)"),
        (RecordEvidence(problem="not a regular file"), "its record can't be read (not a regular file)"),
        (RecordEvidence(problem="larger than 8 bytes", sha256="00"), "its record is larger than 8 bytes"),
        (msgspec.structs.replace(READ, problem="more than 5 files"), "its record: more than 5 files"),
        (
            msgspec.structs.replace(READ, unreadable=2, first_unreadable="/bin/x"),
            "files that can't be looked at: /bin/x and 1 more",
        ),
    ],
)
def test_a_record_of_dpkg_or_conda_that_could_not_be_compared(record: RecordEvidence, reason: str | None) -> None:
    assert packaged(record).reason == reason
