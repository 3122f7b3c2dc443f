"""What `.ci/run` rests on: where an engine is missing, CI fails."""

from __future__ import annotations

import pytest

from tests import interpreters

pytest_plugins = ("pytester",)

ENGINE = "no container engine answers (FileNotFoundError)"


def _run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, ci: str | None, *options: str) -> pytest.RunResult:
    if ci is None:
        monkeypatch.delenv("REPROCHECK_CI", raising=False)
    else:
        monkeypatch.setenv("REPROCHECK_CI", ci)
    return pytester.runpytest("-p", "tests.unskipped", "-p", "no:cacheprovider", *options)


WAYS = {
    "in a test": f"import pytest\ndef test(): pytest.skip({ENGINE!r})",
    "in a fixture": f"import pytest\n@pytest.fixture\ndef f(): pytest.skip({ENGINE!r})\ndef test(f): pass",
    "in a session fixture": (
        f"import pytest\n@pytest.fixture(scope='session')\ndef f(): pytest.skip({ENGINE!r})\ndef test(f): pass"
    ),
    "by a mark": f"import pytest\n@pytest.mark.skip(reason={ENGINE!r})\ndef test(): pass",
    "by a mark without a reason": "import pytest\n@pytest.mark.skip\ndef test(): pass",
    "by a condition": f"import pytest\n@pytest.mark.skipif(True, reason={ENGINE!r})\ndef test(): pass",
    "the unittest way": f"import unittest\nclass Test(unittest.TestCase):\n def test(self): self.skipTest({ENGINE!r})",
    "a module at collection": f"import pytest\npytest.skip({ENGINE!r}, allow_module_level=True)",
    "a module by an import": "import pytest\npytest.importorskip('there_is_no_such_module')\ndef test(): pass",
    "in teardown": f"import pytest\n@pytest.fixture\ndef f():\n yield\n pytest.skip({ENGINE!r})\ndef test(f): pass",
    "an allowed reason within another": (
        "import pytest\ndef test(): pytest.skip('no engine, and no Python 3.9 on this machine')"
    ),
}


def _lay(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(**{f"test_{number}": code for number, code in enumerate(WAYS.values())})


def test_every_skip_fails_in_ci(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    _lay(pytester)
    result = _run(pytester, monkeypatch, "1", "--continue-on-collection-errors")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    told = ": skipped, which is a failure under REPROCHECK_CI=1: "
    # On a CI machine pytest's summary holds the same lines again, uncut, behind an outcome.
    named = {line.partition(".py")[0] for line in result.outlines if line.startswith("test_") and told in line}
    assert named == {f"test_{number}" for number in range(len(WAYS))}
    outcomes = result.parseoutcomes()
    assert "skipped" not in outcomes
    # The one in a teardown has passed before.
    assert outcomes["failed"] + outcomes["errors"] == len(WAYS)
    assert outcomes["passed"] == 1


def test_a_module_that_skips_itself_ends_a_run_in_ci(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytester.makepyfile(WAYS["a module at collection"])
    assert _run(pytester, monkeypatch, "1").ret == pytest.ExitCode.INTERRUPTED


@pytest.mark.parametrize("ci", [None, "0"])
def test_a_skip_is_a_skip_elsewhere(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, ci: str | None) -> None:
    _lay(pytester)
    result = _run(pytester, monkeypatch, ci)
    assert result.parseoutcomes() == {"skipped": len(WAYS), "passed": 1}
    assert result.ret == pytest.ExitCode.OK


def test_what_a_machine_lacks_may_be_skipped_in_ci(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interpreters, "lacking", lambda: None)
    reasons = (
        "no Python 3.6 on this machine (looked into pyenv, PATH and /usr/bin)",
        "the system's Python is not Debian's",
        "only root can give files away",
    )
    pytester.makepyfile(
        f"import pytest\n@pytest.mark.parametrize('reason', {reasons})\ndef test(reason): pytest.skip(reason)"
    )
    result = _run(pytester, monkeypatch, "1")
    result.assert_outcomes(skipped=3)
    assert result.ret == pytest.ExitCode.OK


def test_a_python_must_not_be_skipped_in_ci_where_there_are_too_few(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = interpreters.lacking_of({9, 11})
    monkeypatch.setattr(interpreters, "lacking", lambda: told)
    pytester.makepyfile("import pytest\ndef test(): pytest.skip('no Python 3.6 on this machine (looked everywhere)')")
    result = _run(pytester, monkeypatch, "1")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert f"no Python 3.6 on this machine (looked everywhere); {told}" in str(result.stdout)


@pytest.mark.parametrize(
    ("minors", "wanted"),
    [
        ({6, 7, 8, 9, 10, 11, 12, 13}, None),
        ({6, 8, 9, 10, 11, 14}, None),
        ({7, 8, 9, 10, 11, 12}, "needed are 3.6;"),
        ({6, 7, 8, 9, 10, 11}, "needed are 3.12 or newer;"),
        ({6, 9, 11, 12, 13}, "needed are 6 of 3.6 to 3.14 in all;"),
        (set(), "(none): needed are 3.6; 3.12 or newer; 6 of 3.6 to 3.14 in all; pyenv install gives them"),
    ],
)
def test_which_pythons_are_enough(minors: set[int], wanted: str | None) -> None:
    told = interpreters.lacking_of(minors)
    assert told is None if wanted is None else told is not None and wanted in told


def test_passing_failing_and_expected_failures_are_left_alone(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytester.makepyfile(
        "import pytest\n"
        "def test_good(): pass\n"
        "def test_bad(): assert False\n"
        "@pytest.mark.xfail(reason='known')\ndef test_known(): assert False\n"
    )
    _run(pytester, monkeypatch, "1").assert_outcomes(passed=1, failed=1, xfailed=1)
