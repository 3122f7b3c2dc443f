from __future__ import annotations

import shlex
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from reprocheck.model.report import Fix
from reprocheck.rules.repair import MOST, reinstall, restore
from tests.make import comparison, environment, of, package, python, snapshot

if TYPE_CHECKING:
    from reprocheck.model.snapshot import Snapshot, TargetKind


def repair(before: Snapshot, after: Snapshot, name: str = "x") -> Fix | None:
    return restore(comparison(before, after).pairs[0], name)


def command(before: Snapshot, after: Snapshot, name: str = "x") -> tuple[str, ...]:
    fix = repair(before, after, name)
    assert fix is not None
    return fix.commands


def test_what_must_go_back_together_goes_back_together() -> None:
    before = of(package("x==1", "y<2"), package("y==1"), package("z==1", "x"))
    after = of(package("x==2", "y>=2"), package("y==2"), package("z==1", "x"))
    assert command(before, after) == ("pip install x==1 y==1",)
    fix = repair(before, after)
    assert fix is not None
    assert fix.summary == "put x 1 back, together with y 1"


def test_a_changed_requirer_goes_back_as_well() -> None:
    before = of(package("x==1"), package("user==1", "x<2"))
    after = of(package("x==2"), package("user==2", "x>=2"))
    assert command(before, after) == ("pip install x==1 user==1",)
    assert command(before, after, "user") == ("pip install user==1 x==1",)


def test_a_removed_requirement_of_the_baseline_comes_back_as_well() -> None:
    before = of(package("x==1", "helper"), package("helper==3"))
    assert command(before, of(package("x==2"))) == ("pip install x==1 helper==3",)


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        # An unchanged package refuses the baseline's own version.
        (
            [package("x==1"), package("user==1", "x>=2")],
            [package("x==2"), package("user==1", "x>=2")],
            "user 1 requires x>=2",
        ),
        # What has to go back along the way is held by a new package.
        (
            [package("x==1", "y<2"), package("y==1")],
            [package("x==2"), package("y==2"), package("new==1", "y>=2")],
            "new 1 requires y>=2",
        ),
        # The baseline lacks what its own version requires.
        ([package("x==1", "never")], [package("x==2")], "x 1 requires never"),
        # Two packages of the baseline refuse each other.
        (
            [package("x==1", "y>=5"), package("y==1")],
            [package("x==2"), package("y==2")],
            "x 1 requires y>=5",
        ),
    ],
)
def test_a_repair_that_would_violate_something_is_never_printed(
    before: list[Any], after: list[Any], reason: str
) -> None:
    fix = repair(of(*before), of(*after))
    assert fix is not None
    assert fix.commands == ()
    assert reason in fix.summary


def test_several_new_packages_that_refuse() -> None:
    after = of(package("x==2"), package("cv==1", "x>=2"), package("art==1", "x>1"))
    fix = repair(of(package("x==1")), after)
    assert fix is not None
    assert fix.commands == ()
    assert fix.summary == "find an art and a cv that allow x 1, with x==1 beside them"
    assert fix.avoid == "a later `pip install x==1`: art 1 requires x>1; cv 1 requires x>=2"


def test_requirements_of_extras_hold_a_repair_back() -> None:
    after = of(package("x==2"), package("app==1", "lib[fast]"), package("lib==1", 'x>=2; extra == "fast"'))
    before = of(package("x==1"), package("app==1", "lib[fast]"), package("lib==1"))
    assert command(before, after) == ()


def chain(length: int) -> tuple[Snapshot, Snapshot]:
    """Packages of which each goes back with the next one alone."""
    names = [f"p{number:02}" for number in range(length)]
    sides = []
    for version, bound in ((1, "<2"), (2, ">=2")):
        links = [package(f"{one}=={version}", f"{other}{bound}") for one, other in pairwise(names)]
        sides.append(of(*links, package(f"{names[-1]}=={version}")))
    return sides[0], sides[1]


def test_more_than_anybody_puts_into_one_command() -> None:
    before, after = chain(MOST)
    (told,) = command(before, after, "p03")
    assert told.count("==1") == MOST
    before, after = chain(MOST + 1)
    pair = comparison(before, after).pairs[0]
    for name in ("p03", "p04", "p03"):
        assert restore(pair, name) == Fix(
            summary=f"{name} 1 can't be put back alone: {MOST} or more other packages would have to go back with it; "
            "install the baseline as a whole"
        )


def test_what_holds_a_repair_back_is_told_before_how_long_it_is() -> None:
    before, after = chain(2 * MOST)
    pair = comparison(before, of(*after.environments[0].packages, package("new==1", "p00>=2"))).pairs[0]
    told = {name: fix.summary for name in ("p40", "p00") if (fix := restore(pair, name))}
    assert "more other packages" in told["p40"]
    assert "find a new that allows p00 1" in told["p00"]


def test_an_unjudged_requirement_holds_a_repair_back() -> None:
    fix = repair(of(package("x==1", "??")), of(package("x==2")))
    assert fix is not None
    assert fix.commands == ()
    assert "x requires ??" in fix.summary


def test_requires_python_of_the_baseline_is_asked() -> None:
    before = of(package("x==1", requires_python="<3.10"))
    fine = of(package("x==2"))
    assert command(before, fine) == ("pip install x==1",)
    newer = snapshot(environment(package("x==2"), python=python("3.12.1")))
    assert command(before, newer) == ()
    assert command(before, snapshot(environment(package("x==2"), python=None))) == ()


def test_another_environment_is_repaired_by_its_own_interpreter() -> None:
    def at(version: str) -> Snapshot:
        interpreter = python(executable="/opt/my env/bin/python")
        return snapshot(environment(package(f"x=={version}"), name="/opt/my env", python=interpreter))

    assert command(at("1"), at("2")) == ("'/opt/my env/bin/python' -m pip install x==1",)


@pytest.mark.parametrize("kind", ["python", "host"])
def test_the_interpreter_that_was_named_repairs_itself(kind: TargetKind) -> None:
    """Whichever `pip` comes first on anybody's PATH is another's."""
    after = of(package("x==2"), kind=kind)
    assert command(of(package("x==1")), after) == ("/usr/bin/python3 -m pip install x==1",)


def test_an_interpreter_that_is_not_known_makes_no_command() -> None:
    def at(version: str) -> Snapshot:
        return snapshot(environment(package(f"x=={version}"), name="/opt/venv", python=None))

    fix = repair(at("1"), at("2"))
    assert fix is not None
    assert (fix.summary, fix.commands) == ("put x 1 back", ())


@pytest.mark.parametrize(
    ("wanted", "installed", "options"),
    [
        ("2.0.0", "2.0.0+cu118", "--force-reinstall --no-deps "),
        ("1.0", "1.0.0", "--force-reinstall --no-deps "),
        ("2.0.0+cu118", "2.0.0", ""),
        ("2.0.0+cu117", "2.0.0+cu118", ""),
        ("2.0.0", "2.0.1+cu118", ""),
    ],
)
def test_what_pip_would_call_satisfied_is_installed_by_force(wanted: str, installed: str, options: str) -> None:
    fix = command(of(package(f"x=={wanted}")), of(package(f"x=={installed}")))
    assert fix == (f"pip install {options}x=={wanted}",)


@pytest.mark.parametrize(
    ("origin", "expected"),
    [
        ("git+https://example.org/x@abc", ("pip install 'x @ git+https://example.org/x@abc'",)),
        ("https://example.org/x.whl?a=1&b=$(id)", ("pip install 'x @ https://example.org/x.whl?a=1&b=$(id)'",)),
        ("https://***@example.org/x.whl", ()),
        ("https://example.org/x.whl\n--index-url=evil", ()),
        ("file:///home/me/x", ()),
        ("unrecorded", ()),
        ("--extra-index-url=https://evil", ()),
    ],
)
def test_only_an_index_or_a_public_url_makes_a_command(origin: str, expected: tuple[str, ...]) -> None:
    assert command(of(package("x==1", origin=origin)), of(package("x==2"))) == expected


def test_an_editable_copy_makes_no_command() -> None:
    assert command(of(package("x==1", editable=True)), of(package("x==2"))) == ()


@pytest.mark.parametrize("installer", ["before", "after"])
def test_what_conda_installed_is_left_to_conda(installer: str) -> None:
    before = package("x==1", installer="conda" if installer == "before" else "pip")
    after = package("x==2", installer="conda" if installer == "after" else "pip")
    fix = repair(of(before), of(after))
    assert fix is not None
    assert fix.commands == ()
    assert "conda" in fix.summary


@pytest.mark.parametrize(
    "text",
    ["x==1; rm -rf /", "x==$(id)", "x==1 --index-url=https://evil", "x==1\n", "x==", "x==weird~1"],
)
def test_a_version_that_is_none_never_gets_near_a_command(text: str) -> None:
    assert repair(of(package(text)), of(package("x==2"))) is None


@pytest.mark.parametrize("name", ["-r", "--help", "a b", "a;id", "$(id)", "a\x1b[31m", "é"])
def test_a_name_that_is_none_never_gets_near_a_command(name: str) -> None:
    before, after = of(package("y==1", name=name)), of(package("y==2", name=name))
    assert repair(before, after, name) is None


def test_an_executable_that_could_drive_a_terminal_makes_no_command() -> None:
    def at(version: str) -> Snapshot:
        return snapshot(environment(package(f"x=={version}"), name="/v", python=python(executable="/v/\x1b[2J/python")))

    assert command(at("1"), at("2")) == ()


def test_every_word_of_a_command_is_one_word_for_the_shell() -> None:
    words = shlex.split(command(of(package("x==1!1.0")), of(package("x==2")))[0])
    assert words == ["pip", "install", "x==1!1.0"]


def test_a_local_version_names_its_index() -> None:
    fix = repair(of(package("x==1+cu117")), of(package("x==1+cpu")))
    assert fix is not None
    assert fix.commands == ("pip install x==1+cu117",)
    assert "PyPI carries no local versions" in fix.summary


def test_reinstall() -> None:
    pair = comparison(of(package("x==1")), of(package("x==1", origin="file:///x"))).pairs[0]
    fix = reinstall(pair, "x")
    assert fix is not None
    assert fix.commands == ("pip install --force-reinstall --no-deps x==1",)
    pair = comparison(of(package("x==1", origin="unrecorded")), of(package("x==1"))).pairs[0]
    fix = reinstall(pair, "x")
    assert fix is not None
    assert fix.commands == ()
    pair = comparison(of(package("x==~")), of(package("x==~", origin="file:///x"))).pairs[0]
    assert reinstall(pair, "x") is None


def test_a_package_that_the_baseline_never_had_is_not_restored() -> None:
    assert repair(of(), of(package("x==2"))) is None
