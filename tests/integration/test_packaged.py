"""What Debian or conda installed: no alarm in what nobody has touched, and every edit with the layer that did it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import docker
import pytest

from reprocheck.model.snapshot import Snapshot
from tests.integration.running import Bench, Ran
from tests.integration.ways import Ways, every_way, snapshots, unlayered

pytestmark = pytest.mark.engine

Run = Callable[..., Ran]
Image = Callable[[str], str]

WORK = "/opt/conda/envs/work"


def edits(snapshot: Snapshot) -> dict[str, tuple[tuple[str, ...], tuple[str, ...]]]:
    """Modified and missing files of what dpkg and conda installed, by package."""
    managed = [
        (f"{one.id}: {package.name}", package.files) for one in snapshot.environments for package in one.conda or ()
    ]
    found = [*managed, *((package.name, package.files) for package in snapshot.os_packages)]
    assert {files.unnamed for _, files in found} <= {0}
    return {name: (files.modified, files.missing) for name, files in found if files.modified or files.missing}


@pytest.fixture(scope="module")
def trimmed(image: Image, bench: Bench) -> str:
    """An image as people make them small, with nothing edited."""
    return bench.build(
        f"FROM {image('environments')}\n"
        "RUN printf 'path-exclude=/usr/share/doc/*\\npath-exclude=/usr/lib/python3/dist-packages/wheel/*\\n'"
        " > /etc/dpkg/dpkg.cfg.d/docker && rm -r /usr/lib/python3/dist-packages/wheel\n"
        "RUN apt-get clean && rm -rf /var/lib/apt/lists/* /usr/share/doc /usr/share/man /usr/share/locale\n"
        "RUN find / -xdev -name __pycache__ -type d -prune -exec rm -r {} +;"
        " find /opt/conda -name '*.a' -delete; rm -f /usr/lib/x86_64-linux-gnu/gconv/gconv-modules.cache\n"
        "RUN dpkg-divert --local --rename --add /usr/bin/perl && ln -s /bin/true /usr/bin/perl\n"
        "RUN /opt/conda/bin/python -c 'import json, xml.dom, email.mime.text'\n"
    )


@pytest.mark.parametrize("name", ["environments", "small", "many", "python27", "trimmed"])
def test_untouched(name: str, image: Image, request: pytest.FixtureRequest) -> None:
    tag = request.getfixturevalue("trimmed") if name == "trimmed" else image(name)
    for deep, how in ((False, "presence"), (True, "hashes")):
        (taken,) = snapshots({"image": (f"image:{tag}", None)}, deep=deep).values()
        assert edits(taken) == {}
        assert [gap for gap in taken.gaps if ".files" in gap.what] == []
        compared = [one.files for one in taken.os_packages if one.files.checked != "none"]
        assert {one.checked for one in compared} == {how}
        assert sum(one.count or 0 for one in compared) > 500


@pytest.fixture(scope="module")
def edited(image: Image, bench: Bench) -> str:
    """An image of which each layer edits one thing."""
    return bench.build(
        f"FROM {image('environments')}\n"
        "RUN sed -i 's/import/import  /' /usr/lib/python3/dist-packages/pip/__init__.py\n"
        "RUN rm /usr/lib/x86_64-linux-gnu/libpanelw.so.6.2\n"
        f"RUN echo '# more' >> {WORK}/lib/python3.9/site-packages/of_work/__init__.py\n"
        "RUN printf '\\177ELF edit\\n' > /opt/conda/lib/libmade.so.1\n"
        f"RUN rm {WORK}/bin/made\n"
        "RUN touch /opt/later\n"
    )


@pytest.fixture(scope="module")
def ways(edited: str, engine: docker.DockerClient, bench: Bench, tmp_path_factory: pytest.TempPathFactory) -> Ways:
    return every_way(edited, engine, bench, tmp_path_factory.mktemp("packaged"))


@pytest.mark.parametrize("deep", [False, True])
def test_edits_by_every_route(deep: bool, ways: Ways) -> None:
    gone = "/usr/lib/x86_64-linux-gnu/libpanelw.so.6.2"
    module = ("lib/python3.9/site-packages/of_work/__init__.py",)
    expected: dict[str, Any] = {
        "libncursesw6": ((), (gone,)),
        f"{WORK}: of-work": (module, ()),
        f"{WORK}: libmade": ((), ("bin/made",)),
    }
    by = {("os_packages", "libncursesw6"): "rm", ("/work", "of-work"): "echo", ("/work", "libmade"): "rm"}
    if deep:  # neither changes a size that is recorded
        expected["python3-pip"] = (("/usr/lib/python3/dist-packages/pip/__init__.py",), ())
        expected["/opt/conda: libmade"] = (("lib/libmade.so.1",), ())
        by |= {("os_packages", "python3-pip"): "sed", ("/conda", "libmade"): "printf"}
    for way, taken in snapshots(ways, deep=deep).items():
        assert (way, edits(taken)) == (way, expected)
        layers = taken.provenance.layers
        told = {
            (group[group.rfind("/") :].removesuffix("].conda") if "/" in group else group, name): str(
                layers[index].instruction
            ).split()[1]
            for group, names in taken.provenance.edited.items()
            for name, index in names.items()
        }
        assert (way, told) == (way, {} if unlayered(way) else by)


def test_findings_name_the_layer(ways: Ways, image: Image, tmp_path: Path, run_reprocheck: Run) -> None:
    baseline = tmp_path / "baseline.json"
    locked = run_reprocheck("lock", f"image:{image('environments')}", "-o", baseline).ended(0)
    assert "was edited" not in locked.stderr
    words = ("--baseline", baseline, "--format", "json", "--deep")
    found = run_reprocheck("verify", ways["gzip"][0], *words).ended(1).json["findings"]
    told = {
        (one["name"], one["subject"]["name"], one["subject"]["environment"]): one["introduced_by"]["instruction"]
        for one in found
        if one["name"].endswith("-edited")
    }
    assert {key: instruction.split()[1] for key, instruction in told.items()} == {
        ("os-package-edited", "python3-pip", None): "sed",
        ("os-package-edited", "libncursesw6", None): "rm",
        ("conda-package-edited", "of-work", WORK): "echo",
        ("conda-package-edited", "libmade", WORK): "rm",
        ("conda-package-edited", "libmade", "/opt/conda"): "printf",
    }
