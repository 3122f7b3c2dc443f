"""What is kept of how a container was started: facts, no paths of the host and no secrets."""

from __future__ import annotations

from typing import Any

import pytest

from reprocheck.model import codec
from reprocheck.model.snapshot import Container, Mount
from reprocheck.targets.started import notebook, started


def test_a_plain_container() -> None:
    host = {"Memory": 0, "NetworkMode": "bridge", "DeviceRequests": None, "PortBindings": {}, "Runtime": "runc"}
    told = started({"HostConfig": host, "Mounts": [], "NetworkSettings": {"Ports": {"80/tcp": None}}})
    assert told == Container(network="bridge")
    assert started({}) == Container()


def test_limits_mounts_and_ports() -> None:
    host = {"Memory": 1 << 28, "Privileged": True, "NetworkMode": "host", "Tmpfs": {"/scratch": ""}}
    mounts = [
        {"Type": "volume", "Name": "results", "Destination": "/results", "RW": True},
        {"Type": "volume", "Name": "0f" * 32, "Destination": "/cache", "RW": True},
        {"Type": "bind", "Source": "/home/alice/secret", "Destination": "/data", "RW": False},
    ]
    ports = {
        "22/tcp": [{"HostIp": "0.0.0.0", "HostPort": "2222"}, {"HostIp": "::", "HostPort": "2222"}],
        "80/tcp": None,
    }
    told = started({"HostConfig": host, "Mounts": mounts, "NetworkSettings": {"Ports": ports}})
    assert told == Container(
        memory_bytes=1 << 28,
        privileged=True,
        network="host",
        published=("0.0.0.0:2222->22/tcp", ":::2222->22/tcp"),
        mounts=(
            Mount(destination="/cache", kind="volume", writable=True, lasting=False),
            Mount(destination="/data", kind="bind", writable=False, lasting=True),
            Mount(destination="/results", kind="volume", writable=True, lasting=True),
            Mount(destination="/scratch", kind="tmpfs", writable=True, lasting=False),
        ),
    )
    assert b"alice" not in codec.encode_json(told)


def test_ports_of_a_container_that_does_not_run() -> None:
    host = {"PortBindings": {"22/tcp": [{"HostIp": "", "HostPort": ""}]}}
    assert started({"HostConfig": host, "NetworkSettings": {"Ports": {}}}).published == ("0.0.0.0:*->22/tcp",)


@pytest.mark.parametrize(
    ("host", "gpus"),
    [
        ({"DeviceRequests": [{"Driver": "", "Count": -1, "Capabilities": [["gpu"]]}]}, True),
        ({"DeviceRequests": [{"Driver": "cdi", "DeviceIDs": ["nvidia.com/gpu=all"]}]}, True),
        ({"DeviceRequests": [{"Driver": "cdi", "DeviceIDs": ["vendor.com/net=all"]}]}, False),
        ({"Runtime": "nvidia"}, True),
        ({"Devices": [{"PathOnHost": "/dev/nvidia0"}]}, True),
        ({"Devices": [{"PathOnHost": "/dev/kfd"}]}, True),
        ({"Devices": [{"PathOnHost": "/dev/fuse"}]}, False),
        ({}, False),
    ],
)
def test_gpus(host: Any, gpus: bool) -> None:
    assert started({"HostConfig": host}).gpus is gpus


@pytest.mark.parametrize("end", ["Source", "Destination"])
def test_the_socket_of_an_engine(end: str) -> None:
    mount = {"Type": "bind", "Source": "/a", "Destination": "/b", "RW": True, end: "/var/run/docker.sock"}
    assert started({"Mounts": [mount]}).engine_socket


@pytest.mark.parametrize(
    ("words", "token", "told"),
    [
        (["jupyter", "lab"], None, None),
        (["jupyter", "lab", "--NotebookApp.token="], None, "open"),
        (["jupyter", "lab", "--NotebookApp.token=''"], None, "open"),
        (["jupyter", "lab", "--ServerApp.token", ""], None, "open"),
        (["start-notebook.sh", "--IdentityProvider.token=''"], None, "open"),
        (
            ["bash", "-c", "source /etc/x && jupyter notebook --ip 0.0.0.0 --NotebookApp.token='' --allow-root"],
            None,
            "open",
        ),
        (["sh", "-c", "jupyter lab --ServerApp.token='' --ServerApp.password=''"], None, "open"),
        (["jupyter", "lab", "--NotebookApp.token=", "--NotebookApp.password=sha1:x"], None, "closed"),
        (["jupyter", "lab", "--ServerApp.token=abc"], None, "closed"),
        (["jupyter", "lab", "--ServerApp.password="], None, "closed"),
        (["/usr/bin/jupyter-lab"], "", "open"),
        (["/usr/bin/jupyter-lab"], "abc", "closed"),
        (["/usr/bin/jupyter-lab", "--ServerApp.token=abc"], "", "closed"),
        (["python3", "train.py"], "", None),
        (["sh", "-c", "echo 'unbalanced"], None, None),
        ([], None, None),
    ],
)
def test_jupyter(words: list[str], token: str | None, told: str | None) -> None:
    assert notebook(words, token) == told
