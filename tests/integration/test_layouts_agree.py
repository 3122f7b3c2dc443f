"""Odd layouts of Python, read statically and by their own interpreter: the same facts, and what Python itself says."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from docker.models.containers import Container

from reprocheck.model.text import unescape
from tests.integration.running import Bench, Ran, inside
from tests.integration.test_six_ways import facts

pytestmark = pytest.mark.engine

Run = Callable[..., Ran]
Image = Callable[[str], str]

ASK = (
    "import json, sys; from importlib.metadata import distributions;"
    "print(json.dumps([sys.prefix, sys.base_prefix, sys.path[1:],"
    "sorted({one.metadata['Name'].lower().replace('_', '-') for one in distributions()})]))"
)
METADATA = "Metadata-Version: 2.1\\nName: %s\\nVersion: 1.0\\n"


def distribution(name: str, site: str) -> str:
    """An instruction that lays a distribution into a directory."""
    info = f"{site}/{name}-1.0.dist-info"
    return f"RUN mkdir -p '{info}' && printf '{METADATA % name}' > '{info}/METADATA'\n"


MOVED = "RUN mkdir -p /opt/py/lib && cp -a /usr/lib/python3.9 /opt/py/lib/\n"
VENV = "RUN python3 -m venv --without-pip /opt/venv\n"
LAYOUTS: dict[str, tuple[str, str]] = {
    "PYTHONHOME": (
        MOVED + distribution("moved", "/opt/py/lib/python3/dist-packages") + "ENV PYTHONHOME=/opt/py\n",
        "python3",
    ),
    "PYTHONHOME in a virtual environment": (
        "RUN python3 -m venv --without-pip --system-site-packages /opt/venv\n"
        + MOVED
        + distribution("moved", "/opt/py/lib/python3/dist-packages")
        + distribution("own", "/opt/venv/lib/python3.9/site-packages")
        + "ENV PYTHONHOME=/opt/py:/usr PATH=/opt/venv/bin:/usr/bin:/bin\n",
        "python3",
    ),
    "Debian's Python copied to another prefix": (
        "RUN mkdir -p /opt/py/bin && cp /usr/bin/python3.9 /opt/py/bin/python3\n"
        + MOVED
        + distribution("moved", "/opt/py/lib/python3/dist-packages")
        + distribution("local", "/opt/py/local/lib/python3.9/dist-packages")
        + distribution("unseen", "/opt/py/lib/python3.9/site-packages")
        + "ENV PATH=/opt/py/bin:/usr/bin:/bin\n",
        "python3",
    ),
    "a site module as upstream has it, below /usr": (
        """RUN sed -i 's/"dist-packages"/"site-packages"/' /usr/lib/python3.9/site.py\n"""
        + distribution("seen", "/usr/lib/python3.9/site-packages"),
        "python3",
    ),
    "VIRTUAL_ENV, and Debian's own Python": (
        distribution("seen", "/usr/lib/python3.9/site-packages") + "ENV VIRTUAL_ENV=/opt/venv\n",
        "python3",
    ),
    "an archive with a program on PYTHONPATH": (
        distribution("packed", "/opt/app")
        + "RUN touch /opt/app/__main__.py && python3 -m zipapp /opt/app -p /usr/bin/python3 -o /opt/app.pyz"
        " && cp /opt/app.pyz /opt/app.data && touch /opt/module.py\n"
        "ENV PYTHONPATH=/opt/app.pyz:/opt/app.data:/opt/module.py\n",
        "python3",
    ),
    "a virtual environment that is reached by a link": (
        VENV
        + distribution("own", "/opt/venv/lib/python3.9/site-packages")
        + "RUN ln -s /opt/venv /venv\nENV PATH=/venv/bin:/usr/bin:/bin\n",
        "python3",
    ),
    "a pyvenv.cfg with blanks, CRLF and capitals": (
        VENV
        + "RUN sed -i 's/ = /   =   /;s/false/TRUE/;s/$/\\r/' /opt/venv/pyvenv.cfg\n"
        + "ENV PATH=/opt/venv/bin:/usr/bin:/bin\n",
        "python3",
    ),
    "a virtual environment of a virtual environment": (
        VENV
        + distribution("own", "/opt/venv/lib/python3.9/site-packages")
        + "RUN /opt/venv/bin/python3 -m venv --without-pip --system-site-packages /opt/second\n"
        + "ENV PATH=/opt/second/bin:/usr/bin:/bin\n",
        "python3",
    ),
    "PYTHONUSERBASE": (
        distribution("own", "/data/lib/python3.9/site-packages") + "ENV PYTHONUSERBASE=/data PYTHONSAFEPATH=1\n",
        "python3",
    ),
    "PYTHONNOUSERSITE": (
        distribution("own", "/root/.local/lib/python3.9/site-packages") + "ENV PYTHONNOUSERSITE=1\n",
        "python3",
    ),
    "Debian's directories in a virtual environment": (
        "RUN python3 -m venv --without-pip /opt/venv\n"
        + distribution("seen", "/opt/venv/lib/python3/dist-packages")
        + "ENV PATH=/opt/venv/bin:/usr/bin:/bin\n",
        "python3",
    ),
}
"""By name: what the recipe adds to the base image, and the program to be asked."""


def said(container: Container, python: str) -> tuple[str, str, list[str], list[str]]:
    """Prefixes, search path and names of the distributions, as Python itself says."""
    prefix, base, path, names = json.loads(inside(container, python, "-c", ASK))
    return prefix, base, path, names


def search_path(one: Mapping[str, Any], home: str) -> list[str]:
    roots = {"{prefix}": one["id"], "{base}": one["python"]["prefix"], "{home}": home}

    def whole(entry: str) -> str:
        name, brace, rest = entry.partition("}")
        return os.fsdecode(unescape(roots[name + brace] + rest if brace and entry.startswith("{") else entry))

    return [whole(entry) for entry in one["search_path"]]


@pytest.mark.parametrize("name", LAYOUTS)
def test_static_and_executed_routes_and_python_itself_agree(
    run_reprocheck: Run, image: Image, own_bench: Bench, name: str
) -> None:
    if os.getuid() != 0:
        pytest.skip("only root can read the engine's storage")
    recipe, python = LAYOUTS[name]
    built = own_bench.build(f"FROM {image('base')}\n{recipe}")
    static, asked = (
        run_reprocheck("capture", f"image:{built}", "--route", route, "--format", "json").ended(0).json
        for route in ("storage", "container")
    )
    assert facts(static) == facts(asked)
    prefix, base, path, names = said(own_bench.start(built), python)
    (one,) = (one for one in static["environments"] if one["id"] == prefix)
    assert one["on_path"]
    assert one["python"]["prefix"] == base
    assert search_path(one, "/root") == path
    assert sorted({package["name"] for package in one["packages"]}) == names
    assert static["gaps"] == []
