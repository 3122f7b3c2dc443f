"""Build the images that the integration tests run against, each from its recipe in this folder.

    python -m tests.images.build NAME...      all of them without a name
    python -m tests.images.build --clean

A recipe is a folder with a Dockerfile; `README.md` says what each is for. An image is built again
only when its recipe, or one that it stands on, has changed. Builds use the host's network, because
the engine of a CI machine may have no other.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import docker
import docker.errors
import requests.exceptions

if TYPE_CHECKING:
    from collections.abc import Iterator

RECIPES = Path(__file__).resolve().parent
LABEL = "dev.reprocheck.test"
RECIPE_LABEL = f"{LABEL}.recipe"

# Build arguments are part of a recipe that a Dockerfile cannot hold.
BUILD_ARGS = {
    "buildkit": {"BUILD_SECRET": "CANARY-buildkit-71fe"},
    "secrets": {"BUILD_SECRET": "CANARY-buildarg-6d10"},
}

# Its Dockerfile means something to BuildKit alone, which the engine's API offers through a session
# protocol that no Python client speaks: these go through the docker command.
BUILDKIT = frozenset({"buildkit"})

# Where an ordinary user cannot make the base image, this one stands in for it.
PULLED_BASE = "python:3.9-slim-bullseye"
PULL_SECONDS = 30

# pip unpacks TensorFlow without a word for longer than the SDK's default of a minute.
BUILD_SECONDS = 3600

LOG_TAIL = 40


class BuildError(RuntimeError):
    """An image could not be made. The message holds the end of the build's own output."""


def names() -> tuple[str, ...]:
    """Return the names of all recipes, sorted."""
    return tuple(sorted(path.name for path in RECIPES.iterdir() if _is_recipe(path)))


def tag(name: str) -> str:
    """Return the full tag of the image NAME."""
    return f"reprocheck-test/{name}:latest"


def ensure(name: str) -> str:
    """Return the tag of the image NAME, which is built first if it is missing or out of date.

    Two processes may ask at the same time: one builds, the other waits.

    Raises:
        BuildError: a build failed, or there is no such recipe.
        docker.errors.DockerException: no engine answers.
    """
    with closing(docker.from_env(timeout=BUILD_SECONDS)) as client:
        if not _stands(client, name):
            with _lock():
                _build(client, name)
    return tag(name)


def clean() -> None:
    """Remove every image made here and every container started from one."""
    with closing(docker.from_env(timeout=BUILD_SECONDS)) as client, _lock():
        ours: dict[str, str | list[str] | bool] = {"label": LABEL}
        # An image's labels are its containers' labels too.
        for container in client.containers.list(all=True, filters=ours):
            container.remove(force=True, v=True)
        # The classic builder keeps an image for each step; a parent goes only after its children.
        left = client.images.list(all=True, filters=ours)
        while left:
            for image in left:
                _remove_image(client, str(image.id))
            before, left = left, client.images.list(all=True, filters=ours)
            if len(left) == len(before):
                message = f"{len(left)} test images are in use, {left[0].short_id} among them"
                raise BuildError(message)


def _is_recipe(folder: Path) -> bool:
    return (folder / "Dockerfile").is_file() or (folder / "rootfs").is_file()


def _remove_image(client: docker.DockerClient, image_id: str) -> None:
    try:
        client.images.remove(image_id, force=True)
    except docker.errors.ImageNotFound:
        pass  # It went with one of its children.
    except docker.errors.APIError as error:
        if error.status_code != requests.codes.conflict:
            raise


def _stands(client: docker.DockerClient, name: str) -> bool:
    """Tell whether the engine holds the image NAME as its recipe is now."""
    recipe = _recipe(name)
    try:
        image = client.images.get(tag(name))
    except docker.errors.ImageNotFound:
        return False
    return bool(image.labels.get(RECIPE_LABEL) == recipe)


def _build(client: docker.DockerClient, name: str) -> None:
    if _stands(client, name):
        return
    for parent in _parents(name):
        _build(client, parent)
    labels = {LABEL: "1", RECIPE_LABEL: _recipe(name)}
    if name == "base":
        _build_base(client, labels)
    elif name in BUILDKIT:
        _build_with_buildkit(name, labels)
    else:
        _build_classic(client, RECIPES / name, name, labels)


def _parents(name: str) -> tuple[str, ...]:
    """Return the images of ours that the recipe NAME names in its FROM lines, without repeats."""
    dockerfile = RECIPES / name / "Dockerfile"
    if not dockerfile.is_file():
        return ()
    found = re.findall(r"^FROM reprocheck-test/([\w.-]+)", dockerfile.read_text(), re.MULTILINE)
    return tuple(dict.fromkeys(found))


def _recipe(name: str) -> str:
    """Return the SHA-256 of all that decides what is in the image NAME, its parents included."""
    folder = RECIPES / name
    if not _is_recipe(folder):
        message = f"no recipe {name!r}; there are: {', '.join(names())}"
        raise BuildError(message)
    digest = hashlib.sha256()
    for parent in _parents(name):
        digest.update(f"{_recipe(parent)}\n".encode())
    digest.update(json.dumps(BUILD_ARGS.get(name, {}), sort_keys=True).encode())
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            content = path.read_bytes()
            where = path.relative_to(folder).as_posix()
            digest.update(f"\n{where} {os.access(path, os.X_OK)} {len(content)}\n".encode())
            digest.update(content)
    return digest.hexdigest()


def _build_base(client: docker.DockerClient, labels: dict[str, str]) -> None:
    """Make the base image: Debian's own packages first, as the committed baselines are of it."""
    with tempfile.TemporaryDirectory(prefix="reprocheck-base-") as work:
        if os.geteuid() == 0 and (shutil.which("debootstrap") or shutil.which("apt-get")):
            archive = Path(work, "rootfs.tar")
            bundle = _certificates()
            _run([str(RECIPES / "base" / "rootfs"), str(archive), str(bundle or "")])
            changes = [f"LABEL {key}={value}" for key, value in labels.items()]
            # What Debian's own image says of itself.
            path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
            changes += [f"ENV PATH={path}", 'CMD ["bash"]']
            client.api.import_image(str(archive), repository=tag("base"), changes=changes)
        else:
            _pull_base(client)
            _build_classic(client, _pulled_context(Path(work)), "base", labels)


def _pull_base(client: docker.DockerClient) -> None:
    try:
        client.images.get(PULLED_BASE)
    except docker.errors.ImageNotFound:
        pass
    else:
        return
    # A registry that cannot be reached keeps the engine trying for minutes.
    with closing(docker.from_env(timeout=PULL_SECONDS)) as impatient:
        try:
            impatient.images.pull(PULLED_BASE)
        except (docker.errors.APIError, requests.exceptions.RequestException) as error:
            message = (
                f"no base image: {PULLED_BASE} cannot be pulled ({error}), and making one with "
                "debootstrap needs root on Debian"
            )
            raise BuildError(message) from error


def _pulled_context(folder: Path) -> Path:
    """Fill FOLDER with what turns the pulled image into a base image."""
    lines = [f"FROM {PULLED_BASE}", "COPY pip.conf /etc/pip.conf"]
    shutil.copy(RECIPES / "base" / "pip.conf", folder)
    bundle = _certificates()
    if bundle:
        shutil.copyfile(bundle, folder / "ca-certificates.crt")
        lines.append("COPY ca-certificates.crt /etc/ssl/certs/")
    (folder / "Dockerfile").write_text("\n".join(lines) + "\n")
    return folder


def _certificates() -> Path | None:
    """Return this machine's certificate bundle.

    It goes into the base image, because where a proxy signs its own certificates pip trusts nothing
    in a build without it, and naming it in a RUN line would show in the history that tests look at.
    """
    variables = ("PIP_CERT", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")
    candidates = [os.environ.get(name, "") for name in variables]
    for candidate in (*candidates, "/etc/ssl/certs/ca-certificates.crt"):
        if candidate and Path(candidate).is_file():
            return Path(candidate)
    return None


def _build_classic(client: docker.DockerClient, folder: Path, name: str, labels: dict[str, str]) -> None:
    """Build with the engine's classic builder, which an API call is enough for."""
    log = ""
    events = client.api.build(
        path=str(folder),
        tag=tag(name),
        labels=labels,
        buildargs=BUILD_ARGS.get(name, {}),
        network_mode="host",
        rm=True,
        forcerm=True,
        decode=True,
    )
    for event in events:
        log += str(event.get("stream", ""))
        if "error" in event:
            raise _failure(name, log + str(event["error"]))


def _build_with_buildkit(name: str, labels: dict[str, str]) -> None:
    command = [_buildkit_cli(), "build", "--network=host", f"--tag={tag(name)}"]
    command += [f"--label={key}={value}" for key, value in labels.items()]
    command += [f"--build-arg={key}={value}" for key, value in BUILD_ARGS.get(name, {}).items()]
    # The engine's own builder, whichever the user has chosen: others keep the image to themselves.
    own = {"DOCKER_BUILDKIT": "1", "DOCKER_CONTEXT": "default", "BUILDX_BUILDER": "default"}
    _run([*command, str(RECIPES / name)], own)


def _buildkit_cli() -> str:
    """Return the first docker command on PATH that can drive BuildKit.

    Clients from 23.0 on need the buildx plug-in for it; older ones have it built in.
    """
    folders = os.environ.get("PATH", os.defpath).split(os.pathsep)
    found = [cli for folder in folders if (cli := shutil.which("docker", path=folder))]
    for cli in found:
        version = _output([cli, "version", "--format", "{{.Client.Version}}"])
        built_in = re.match(r"(\d+)\.", version)
        if (built_in and int(built_in[1]) < 23) or _output([cli, "buildx", "version"]):
            return cli
    message = f"no docker command that can use BuildKit among {found}: install docker-buildx"
    raise BuildError(message)


def _output(command: list[str]) -> str:
    """Return what COMMAND prints, nothing if it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""


def _run(command: list[str], variables: dict[str, str] | None = None) -> None:
    done = subprocess.run(
        command,
        env={**os.environ, **(variables or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode != 0:
        raise _failure(" ".join(command), done.stdout)


def _failure(what: str, log: str) -> BuildError:
    # The engine colours what a step writes to its standard error.
    lines = re.sub(r"\x1b\[\d*m", "", log).splitlines()
    tail = [f"    {line}" for line in lines if line.strip()][-LOG_TAIL:]
    return BuildError("\n".join([f"{what} failed; its last lines:", *tail]))


@contextmanager
def _lock() -> Iterator[None]:
    """Let one process at a time change the engine's test images."""
    path = Path(tempfile.gettempdir(), "reprocheck-test-images.lock")
    try:
        # Another user's file in a sticky folder can be opened, but not with O_CREAT.
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        descriptor = os.open(path, os.O_RDONLY | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def main(arguments: list[str] | None = None) -> int:
    """Build the images named, or all; print each tag as it stands."""
    parser = argparse.ArgumentParser(description="Build the images of the integration tests.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(names()))
    parser.add_argument("--clean", action="store_true", help="remove images and containers instead")
    options = parser.parse_args(arguments)
    try:
        if options.clean:
            clean()
            return 0
        for name in options.names or names():
            start = time.monotonic()
            built = ensure(name)
            sys.stdout.write(f"{built}  {time.monotonic() - start:.1f} s\n")
            sys.stdout.flush()
    except (BuildError, docker.errors.DockerException) as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
