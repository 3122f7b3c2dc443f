"""An image with seven environments: each is found once, and each package under its owner."""

from __future__ import annotations

import json
from collections.abc import Callable

import docker
import pytest
from packaging.utils import canonicalize_name

from tests.integration.running import Bench, inside
from tests.integration.ways import every_way, snapshots

pytestmark = pytest.mark.engine

Image = Callable[[str], str]

OWN = {
    "/usr": ("system", "of-system"),
    "/usr/local": ("system", "of-local"),
    "/opt/pyenv/versions/its": ("system", "of-pyenv"),
    "/opt/venv": ("venv", "of-venv"),
    "/opt/shared": ("venv", "of-shared"),
    "/opt/conda": ("conda", "of-conda"),
    "/opt/conda/envs/work": ("conda", "of-work"),
}
"""Kind, and the package that is no other's."""
LISTED = (
    "import json, sys; from importlib import metadata;"
    "print(json.dumps(sorted({(d.metadata['Name'], d.version) for d in metadata.distributions()})))"
)


def test_each_once_and_each_package_under_its_owner(
    image: Image, engine: docker.DockerClient, bench: Bench, tmp_path_factory: pytest.TempPathFactory
) -> None:
    tag = image("environments")
    container = bench.start(tag)
    said = {
        name: {
            (str(canonicalize_name(package)), version)
            for package, version in json.loads(inside(container, f"{name}/bin/python3", "-c", LISTED))
        }
        for name in OWN
    }
    for way, taken in snapshots(every_way(tag, engine, bench, tmp_path_factory.mktemp("ways")), deep=False).items():
        assert (way, [one.id for one in taken.environments]) == (way, sorted(OWN))
        for one in taken.environments:
            assert (way, one.id, one.kind) == (way, one.id, OWN[one.id][0])
            listed = [(package.name, package.version) for package in one.packages if package.active]
            assert (way, one.id, set(listed)) == (way, one.id, said[one.id])
            assert len(set(listed)) == len(listed)
            conda = [package.name for package in one.conda or ()]
            assert conda == (["libmade", OWN[one.id][1], "python"] if one.kind == "conda" else []), "and not of pkgs"
        names = [{package.name for package in one.packages} for one in taken.environments]
        for environment, (_, package) in OWN.items():
            # An environment that sees the system's packages has them too.
            holders = {environment, *(["/opt/shared"] if environment == "/usr" else [])}
            having = {one.id for one, found in zip(taken.environments, names, strict=True) if package in found}
            assert (way, package, having) == (way, package, holders)
        assert not any({"vendored", "left"} & found for found in names)
