"""Directories that the probe in a container may not enter, and files read statically know of all the same."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.elf import shared_object
from tests.integration.running import Bench, Ran, inside

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(os.getuid() != 0, reason="only root can read the engine's storage"),
]

Run = Callable[..., Ran]
Image = Callable[[str], str]

USER = "RUN useradd -u 1234 app\n"
HIDDEN = "RUN mkdir {0} && python3 -m venv --without-pip {0}/venv && chown -R {1} {0} && chmod 700 {0}\n"


def hidden(where: str, owner: str) -> str:
    """A virtual environment in a directory that only its owner may enter."""
    return USER + HIDDEN.format(where, owner)


def told(report: Mapping[str, Any]) -> dict[str, str]:
    """The gaps of environments, each with its place."""
    return {gap["what"]: gap["where"] for gap in report["gaps"] if gap["what"].startswith("environments")}


@pytest.mark.parametrize(
    ("where", "owner", "user"),
    [("/srv/app", "app", ""), ("/srv/secret", "root", "USER app\n"), ("/srv/secret", "root", "USER 1234:1234\n")],
)
def test_an_environment_that_the_probe_may_not_reach_is_not_removed(
    run_reprocheck: Run, image: Image, own_bench: Bench, tmp_path: Path, where: str, owner: str, user: str
) -> None:
    built = own_bench.build(f"FROM {image('base')}\n{hidden(where, owner)}{user}")
    every, some = ("lock", f"image:{built}", "-o", tmp_path / "every"), tmp_path / "some"
    run_reprocheck(*every).ended(0)
    target = (f"image:{built}", "--route", "container")
    report = run_reprocheck("verify", *target, "--baseline", tmp_path / "every", "--format", "json").ended(2).json
    assert report["findings"] == []
    assert told(report) == {f"environments[{where}/venv]": where}
    # The image says nothing amiss by itself, and agrees with itself.
    run_reprocheck("lock", *target, "-o", some).ended(0)
    run_reprocheck("verify", *target, "--baseline", some).ended(0)
    report = run_reprocheck("verify", f"image:{built}", "--baseline", some, "--format", "json").ended(2).json
    assert report["findings"] == []
    assert told(report) == {f"environments[{where}/venv]": f"image:{built}: {where}"}


def test_what_is_reached_is_judged_all_the_same(
    run_reprocheck: Run, image: Image, own_bench: Bench, tmp_path: Path
) -> None:
    """One environment is gone, another one can't be reached."""
    gone = "RUN python3 -m venv --without-pip /opt/gone\n"
    before = own_bench.build(f"FROM {image('base')}\n{hidden('/srv/secret', 'root')}{gone}USER app\n")
    after = own_bench.build(f"FROM {image('base')}\n{hidden('/srv/secret', 'root')}USER app\n")
    run_reprocheck("lock", f"image:{before}", "-o", tmp_path / "b").ended(0)
    words = ("verify", f"image:{after}", "--route", "container", "--baseline", tmp_path / "b", "--format", "json")
    report = run_reprocheck(*words).ended(2).json
    assert [(one["rule"], one["subject"]["name"]) for one in report["findings"]] == [("RC315", "/opt/gone")]
    assert told(report) == {"environments[/srv/secret/venv]": "/srv/secret"}


@pytest.mark.parametrize("way", ["/srv/app/venv", "/opt/way"])
def test_the_environment_on_path_is_not_replaced_by_another(
    run_reprocheck: Run, image: Image, own_bench: Bench, tmp_path: Path, way: str
) -> None:
    link = f"RUN ln -s /srv/app/venv {way}\n" if way == "/opt/way" else ""
    path = f"ENV PATH={way}/bin:/usr/bin:/bin\n"
    built = own_bench.build(f"FROM {image('base')}\n{hidden('/srv/app', 'app')}{link}{path}")
    document = run_reprocheck("capture", f"image:{built}", "--route", "container", "--format", "json").json
    assert [one["id"] for one in document["environments"] if one["on_path"]] == []
    (gap,) = document["gaps"]
    assert (gap["what"], gap["where"]) == (f"environments[{way}]", f"{way}/bin/python3")
    run_reprocheck("lock", f"image:{built}", "-o", tmp_path / "b").ended(0)
    words = ("verify", f"image:{built}", "--route", "container", "--baseline", tmp_path / "b", "--format", "json")
    report = run_reprocheck(*words).ended(2).json
    assert report["findings"] == []


@pytest.mark.parametrize("path", ["/usr/bin:/srv/app/venv/bin:/bin", "/srv/app/bin:/usr/bin:/bin"])
def test_a_closed_directory_on_path_that_changes_nothing(
    run_reprocheck: Run, image: Image, own_bench: Bench, path: str
) -> None:
    """Behind the one that has a Python, or without any."""
    built = own_bench.build(f"FROM {image('base')}\n{hidden('/srv/app', 'app')}ENV PATH={path}\n")
    words = ("capture", f"image:{built}", "--format", "json", "--route")
    for route in ("container", "storage"):
        document = run_reprocheck(*words, route).ended(0).json
        assert [one["id"] for one in document["environments"] if one["on_path"]] == ["/usr"]
        assert document["gaps"] == []


def test_a_user_who_may_not_enter_what_is_on_path(
    run_reprocheck: Run, image: Image, own_bench: Bench, tmp_path: Path
) -> None:
    """As is common in images made by root: the user's ``python3`` is the next one."""
    path = "ENV PATH=/srv/secret/venv/bin:/usr/bin:/bin\n"
    built = own_bench.build(f"FROM {image('base')}\n{hidden('/srv/secret', 'root')}{path}USER app\n")
    container = own_bench.start(built)
    assert inside(container, "python3", "-c", "import sys; print(sys.prefix)") == "/usr\n"
    run_reprocheck("lock", f"image:{built}", "-o", tmp_path / "b").ended(0)
    for target in ((f"image:{built}", "--route", "container"), (f"container:{container.name}",)):
        document = run_reprocheck("capture", *target, "--format", "json").ended(0).json
        assert [one["id"] for one in document["environments"] if one["on_path"]] == ["/usr"]
        assert told(document) == {}
        report = run_reprocheck("verify", *target, "--baseline", tmp_path / "b", "--format", "json").ended(2).json
        assert {one["subject"]["kind"] for one in report["findings"]} <= {
            "image-config"
        }  # the command of the container
        assert set(told(report)) == {"environments[/srv/secret/venv]"}


def test_a_cuda_library_that_the_probe_may_not_reach_is_not_removed(
    run_reprocheck: Run, image: Image, own_bench: Bench, tmp_path: Path
) -> None:
    laid = "COPY libcudart.so.11.2.152 /srv/secret/\nRUN chmod 700 /srv/secret\n"
    library = {"libcudart.so.11.2.152": shared_object(soname="libcudart.so.11.0")}
    built = own_bench.build(f"FROM {image('base')}\n{USER}{laid}USER app\n", library)
    run_reprocheck("lock", f"image:{built}", "-o", tmp_path / "b").ended(0)
    words = ("verify", f"image:{built}", "--route", "container", "--baseline", tmp_path / "b", "--format", "json")
    report = run_reprocheck(*words).ended(2).json
    assert report["findings"] == []
    assert [(gap["what"], gap["where"]) for gap in report["gaps"]] == [("accelerator.cuda", "/srv/secret")]
