"""A pytest plugin: with REPROCHECK_CI=1 a skip is a failure, unless its reason is one that no CI machine can mend.

The default is the failure, so that a new way to miss the engine, the images or the corpus can't go unseen.
"""

from __future__ import annotations

import os
import re
from collections.abc import Generator
from typing import TypeVar

import pytest

Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)

ALLOWED = re.compile(
    r"no Python [\d.]+ on this machine\b"
    r"|the system's Python is not Debian's$"
    r"|only root can \w"
)
"""Reasons that name what a machine has or has not, and that have nothing to do with engine, images or corpus."""


def pytest_report_header() -> str | None:
    return "REPROCHECK_CI: a skipped test is a failed one" if _strict() else None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    return _judged(report)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    # A module that skips itself (pytest.skip, importorskip) never comes to a test.
    report = yield
    return _judged(report)


def _strict() -> bool:
    return os.environ.get("REPROCHECK_CI") == "1"


def _judged(report: Report) -> Report:
    if not _strict() or not report.skipped or hasattr(report, "wasxfail"):
        return report
    reason = _reason(report.longrepr)
    if not ALLOWED.match(reason):
        report.outcome = "failed"
        report.longrepr = f"{report.nodeid}: skipped, which is a failure under REPROCHECK_CI=1: {reason}"
    return report


def _reason(longrepr: object) -> str:
    # pytest keeps a skip as (file, line, "Skipped: reason").
    text = str(longrepr[2]) if isinstance(longrepr, tuple) else str(longrepr)
    return text.removeprefix("Skipped: ")
