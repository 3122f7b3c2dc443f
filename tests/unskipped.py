"""A pytest plugin: with REPROCHECK_CI=1 a skip is a failure, unless its reason is one that no CI machine can mend.

The default is the failure, so that a new way to miss the engine, the images or the corpus can't go unseen.
"""

from __future__ import annotations

import os
import re
from collections.abc import Generator
from typing import TypeVar

import pytest

from tests import interpreters

Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)

ALLOWED = re.compile(
    r"the system's Python is not Debian's$"
    r"|only root can \w"
)
"""Reasons that name what a machine has or has not, and that have nothing to do with engine, images or corpus."""
NO_PYTHON = re.compile(r"no Python [\d.]+ on this machine\b")
"""Allowed as well, as long as there are others enough: else nothing would have tested the probe and ``sys.path``."""


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
    wrong = _wrong(_reason(report.longrepr))
    if wrong:
        report.outcome = "failed"
        report.longrepr = f"{report.nodeid}: skipped, which is a failure under REPROCHECK_CI=1: {wrong}"
    return report


def _wrong(reason: str) -> str | None:
    """Why a test must not be skipped for this reason."""
    if NO_PYTHON.match(reason):
        lacking = interpreters.lacking()
        return lacking and f"{reason}; {lacking}"
    return None if ALLOWED.match(reason) else reason


def _reason(longrepr: object) -> str:
    # pytest keeps a skip as (file, line, "Skipped: reason").
    text = str(longrepr[2]) if isinstance(longrepr, tuple) else str(longrepr)
    return text.removeprefix("Skipped: ")
