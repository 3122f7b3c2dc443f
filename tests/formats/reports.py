"""Reports that the tests of every format render: the two stories, and what else a report can hold."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from reprocheck.model.report import (
    Break,
    Checked,
    Finding,
    FindingSubject,
    Fix,
    IntroducedBy,
    LevelReached,
    MadeBy,
    Pair,
    PolicyUsed,
    Report,
    RequirementCheck,
    Side,
    Summary,
    Waived,
)
from reprocheck.model.snapshot import Gap, Note
from reprocheck.verdict import verdict

BASELINE = Side(
    name="baselines/tensorflow-2.9.0-py39.json",
    target="image:reprocheck-test/tf29",
    kind="image",
    image_id="sha256:347cfccb5c47aaaaaaaaaaaa",
    digest="0" * 64,
    route="throw-away container",
    executed=True,
)
TARGET = Side(
    name="image:reprocheck-test/tf29",
    target="image:reprocheck-test/tf29",
    kind="image",
    image_id="sha256:347cfccb5c47aaaaaaaaaaaa",
    route="throw-away container",
    executed=True,
)


def finding(name: str, severity: str, message: str, **fields: Any) -> Finding:
    subject = FindingSubject(
        kind=fields.pop("kind", "python-package"), name=name, environment=fields.pop("environment", "/usr")
    )
    rule_name = fields.pop("rule_name", "package-upgraded")
    rule = fields.pop("rule", "RC101")
    return Finding(
        fingerprint=f"{rule}-{name}",
        rule=rule,
        name=rule_name,
        severity=severity,  # type: ignore[arg-type]
        subject=subject,
        message=message,
        **fields,
    )


def judged(report: Report, **fields: Any) -> Report:
    """A report with other fields, and what then fails."""
    changed = replace(report, **fields)
    found = verdict(changed.findings, changed.gaps, changed.level.asked, changed.threshold, lambda _: "packages")
    return replace(changed, failing=found.failing)


VERIFIED = Report(
    made_by=MadeBy(reprocheck="0.1.0", date="2026-11-22"),
    verdict="verified",
    threshold="major",
    level=LevelReached(asked="stack", reached="stack"),
    baseline=BASELINE,
    target=TARGET,
    pairs=(Pair(before="/usr", after="/usr", rule="on PATH"),),
    summary=Summary(),
    checked=Checked(
        python=("3.9.2",),
        python_packages=141,
        python_packages_unchanged=141,
        os_packages=121,
        classes=("environments", "os_packages", "system", "image", "variables"),
        not_asked=("driver, devices and CPU: facts of a machine, not of an image",),
    ),
)

PROTOBUF_LAYER = IntroducedBy(
    layer=4,
    layers=4,
    diff_id="sha256:aa",
    instruction='RUN pip3 install --no-cache-dir "protobuf==4.21.1"',
)
PROTOBUF_REQUIREMENTS = (
    RequirementCheck(
        by="tensorboard",
        by_version="2.9.1",
        specifier="<3.20,>=3.9.2",
        allows_before=True,
        allows_after=False,
    ),
    RequirementCheck(by="tensorflow", by_version="2.9.0", specifier=">=3.9.2", allows_before=True, allows_after=True),
)
PROTOBUF_PATHS = (("tensorflow", "protobuf"), ("tensorflow", "tensorboard", "protobuf"))
RESTORE = Fix(summary="put protobuf 3.19.6 back", commands=("pip install protobuf==3.19.6",))
PROTOBUF = judged(
    VERIFIED,
    verdict="drift",
    level=LevelReached(asked="stack", reached="framework", blocked_by=("RC101-protobuf", "RC201-protobuf")),
    target=replace(TARGET, name="image:reprocheck-test/tf29-protobuf", image_id="sha256:5f0e"),
    summary=Summary(major=2),
    checked=replace(VERIFIED.checked, python_packages_unchanged=140),
    findings=(
        finding(
            "protobuf",
            "major",
            "protobuf 3.19.6 → 4.21.1 (major); violates tensorboard 2.9.1 (protobuf<3.20,>=3.9.2)",
            before="3.19.6",
            after="4.21.1",
            details={"change": "major", "asked_for": "true"},
            introduced_by=PROTOBUF_LAYER,
            required_by=("tensorboard", "tensorflow"),
            suffers=("tensorboard",),
            paths=PROTOBUF_PATHS,
            requirements=PROTOBUF_REQUIREMENTS,
            fix=RESTORE,
        ),
        finding(
            "protobuf",
            "major",
            "tensorboard 2.9.1 requires protobuf<3.20,>=3.9.2, which 4.21.1 violates",
            rule="RC201",
            rule_name="requirement-violated",
            before="3.19.6",
            after="4.21.1",
            introduced_by=PROTOBUF_LAYER,
            suffers=("tensorboard",),
            requirements=PROTOBUF_REQUIREMENTS[:1],
            fix=RESTORE,
        ),
    ),
)
BROKEN = judged(
    PROTOBUF,
    level=LevelReached(
        asked="stack", reached="framework", blocked_by=("RC203-protobuf", "RC101-protobuf", "RC201-protobuf")
    ),
    summary=Summary(breaking=1, major=2),
    findings=(
        finding(
            "protobuf",
            "breaking",
            "protobuf 4.21.1: with it tensorflow 2.9.0 breaks: importing it fails (known break, seen 2026-11-22)",
            rule="RC203",
            rule_name="known-break",
            before="3.19.6",
            after="4.21.1",
            introduced_by=PROTOBUF_LAYER,
            suffers=("tensorflow",),
            paths=PROTOBUF_PATHS,
            requirements=PROTOBUF_REQUIREMENTS[1:],
            breaks=(
                Break(
                    name="tf-2.9.0-protobuf-4",
                    package="tensorflow",
                    version="2.9.0",
                    effect="import-fails",
                    fails=True,
                    because="its generated code predates protobuf 4",
                    allowed="protobuf>=3.9.2",
                    seen="2026-11-22",
                    source="tensorflow/tensorflow#56266",
                ),
            ),
            why=("a known break that was seen", "tensorflow suffers from it"),
            expect="import tensorflow: TypeError: Descriptors cannot not be created directly.",
            fix=RESTORE,
        ),
        *PROTOBUF.findings,
    ),
)

TEAM_LAYER = IntroducedBy(
    layer=4,
    layers=4,
    diff_id="sha256:bb",
    instruction="RUN pip3 install --no-cache-dir opencv-python transformers scikit-learn seaborn",
)
ASKED = ("opencv-python", "scikit-learn", "seaborn", "transformers")
WITH_THEM = (
    "filelock",
    "fsspec",
    "hf-xet",
    "huggingface-hub",
    "joblib",
    "narwhals",
    "pandas",
    "regex",
    "safetensors",
    "scipy",
    "threadpoolctl",
    "tokenizers",
    "tqdm",
)
TEAM_REPAIR = Fix(
    summary="find an opencv-python that allows numpy 1.23.5, with numpy==1.23.5 beside it",
    avoid="a later `pip install numpy==1.23.5`: opencv-python 5.0.0.93 requires numpy>=2",
)
TEAM = judged(
    PROTOBUF,
    level=LevelReached(asked="stack", reached="framework", blocked_by=("RC203-numpy", "RC701-opencv-python")),
    target=replace(TARGET, name="image:reprocheck-test/tf29-team", image_id="sha256:77aa"),
    summary=Summary(breaking=2, major=2, info=18),
    findings=(
        finding(
            "numpy",
            "breaking",
            "numpy 2.0.2: with it tensorflow 2.9.0 breaks: importing it fails (known break, seen 2026-11-22)",
            rule="RC203",
            rule_name="known-break",
            before="1.23.5",
            after="2.0.2",
            details={"asked_for": "false"},
            introduced_by=TEAM_LAYER,
            pulled_by=("opencv-python",),
            suffers=("tensorflow",),
            breaks=(
                Break(
                    name="numpy2-tensorflow",
                    package="tensorflow",
                    version="2.9.0",
                    effect="import-fails",
                    fails=True,
                    because="it was built for NumPy 1",
                    allowed="numpy>=1.20",
                    seen="2026-11-22",
                    source="release notes",
                ),
            ),
            chain=(
                "opencv-python 5.0.0.93, asked for, requires numpy>=2 (seaborn is content with 1.23.5)",
                "numpy 1.23.5 → 2.0.2, which nobody asked for",
                "tensorflow 2.9.0: it was built for NumPy 1; its metadata (numpy>=1.20) allow it",
            ),
            why=("a known break that was seen", "tensorflow suffers from it", "opencv-python dragged it along"),
            expect="import tensorflow: TypeError: Unable to convert function return value to a Python type!",
            fix=TEAM_REPAIR,
        ),
        finding(
            "opencv-python",
            "breaking",
            "opencv-python 1.0 (added): import cv2 needs libxcb.so.1, which is nowhere in the image",
            rule="RC701",
            rule_name="library-missing",
            after="libxcb.so.1",
            introduced_by=TEAM_LAYER,
            expect="ImportError: libxcb.so.1: cannot open shared object file: No such file or directory",
        ),
        finding(
            "contourpy",
            "major",
            "contourpy 1.0.7 → 2.3.1 (major); pulled in by numpy 2.0.2 (contourpy>=2)",
            before="1.0.7",
            after="2.3.1",
            details={"change": "major", "asked_for": "false"},
            introduced_by=TEAM_LAYER,
            pulled_by=("numpy",),
        ),
        finding(
            "numpy",
            "major",
            "numpy 1.23.5 → 2.0.2 (major); pulled in by opencv-python 5.0.0.93 (numpy>=2)",
            before="1.23.5",
            after="2.0.2",
            details={"change": "major", "asked_for": "false"},
            introduced_by=TEAM_LAYER,
            pulled_by=("opencv-python",),
            paths=(("opencv-python", "numpy"), ("tensorflow", "numpy")),
            requirements=tuple(
                RequirementCheck(
                    by=by,
                    by_version=version,
                    specifier=specifier,
                    allows_before=specifier != ">=2",
                    allows_after=True,
                )
                for by, version, specifier in [
                    ("opencv-python", "5.0.0.93", ">=2"),
                    ("pandas", "2.2.3", ">=1.22.4"),
                    ("scikit-learn", "1.6.1", ">=1.19.5"),
                    ("tensorflow", "2.9.0", ">=1.20"),
                ]
            ),
            fix=TEAM_REPAIR,
        ),
        *(
            finding(
                name,
                "info",
                f"{name} 1.0 was added",
                rule="RC104",
                rule_name="package-added",
                after="1.0",
                details={"asked_for": "true" if name in ASKED else "false"},
                introduced_by=TEAM_LAYER,
            )
            for name in (*ASKED, *WITH_THEM)
        ),
        finding(
            "workdir",
            "info",
            'the working directory changed: "" → "/workspace"',
            kind="image-config",
            rule="RC502",
            rule_name="image-setting-changed",
            environment=None,
            before="",
            after="/workspace",
        ),
    ),
)

EVERYTHING = judged(
    PROTOBUF,
    verdict="unverified",
    pairs=(
        Pair(before="/usr", after="/usr/local", rule="on PATH"),
        Pair(before="/opt/venv", after="/opt/venv", rule="same id"),
    ),
    level=LevelReached(asked="stack", reached=None, blocked_by=("RC101-protobuf", "os_packages")),
    target=replace(TARGET, route="exec", name="container:web", image_id=None),
    policy=PolicyUsed(name="reprocheck.toml", digest="sha256:0", ignored=("image", "variables"), extends=BASELINE),
    summary=Summary(breaking=1, major=2, minor=10, info=1, waived=1, gaps=2),
    findings=(
        finding(
            "numpy",
            "breaking",
            "numpy 1.23.5 → 2.0.2 (major)",
            before="1.23.5",
            after="2.0.2",
            details={"change": "major"},
            own_severity="major",
            expect="import tensorflow: TypeError: Unable to convert function return value to a Python type!",
            suffers=("tensorflow",),
            paths=tuple((f"package-{number}", "numpy") for number in range(5)),
            requirements=tuple(
                RequirementCheck(
                    by=f"package-{number}",
                    by_version="1",
                    specifier="",
                    extra="gpu" if number == 1 else None,
                    allows_before=True,
                    allows_after=True,
                )
                for number in range(12)
            ),
            environment="/opt/venv",
        ),
        *PROTOBUF.findings,
        finding(
            "typing-extensions",
            "major",
            "typing-extensions 4.4.0 was removed; still required by tensorflow",
            rule="RC105",
            rule_name="package-removed",
            before="4.4.0",
            suffers=("tensorflow",),
            requirements=(
                RequirementCheck(
                    by="tensorflow", by_version="2.9.0", specifier=">=3.6.6", allows_before=True, missing=True
                ),
            ),
        ),
        finding(
            "mylib",
            "major",
            "mylib 1.2.0 comes from elsewhere: index → git+https://example.org/mylib@3f2c1a0",
            rule="RC106",
            rule_name="package-origin-changed",
            before="index",
            after="git+https://example.org/mylib@3f2c1a0",
        ),
        *(
            finding(
                f"small-{number}",
                "minor",
                "",
                before="1.0",
                after="1.1",
                details={"change": "minor"},
                introduced_by=None,
            )
            for number in range(10)
        ),
        finding(
            "libc6",
            "info",
            "libc6 2.31-13 → 2.31-14",
            kind="os-package",
            rule_name="os-package-changed",
            rule="RC401",
            environment=None,
        ),
        finding(
            "certifi",
            "major",
            "certifi 2020.1.1 → 2026.1.1",
            waived=Waived(reason="data only", expires="2027-01-01"),
        ),
    ),
    gaps=(
        Gap(what="os_packages", where="/var/lib/dpkg/status", reason="permission denied"),
        Gap(
            what="environments[/opt/venv].packages[numpy].requires",
            where="/opt/venv/lib/python3.9/site-packages/numpy-2.0.2.dist-info/METADATA",
            reason="cut at 4 MiB",
        ),
    ),
    notes=(Note(what="search", where="/srv", reason="3 directories could not be entered"),),
)
