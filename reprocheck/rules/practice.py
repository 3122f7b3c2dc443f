"""RC95x: how a container is run: states, not drift; judged by `reprocheck doctor TARGET`, and where a policy asks."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING

from reprocheck.model.report import Fix
from reprocheck.model.snapshot import GPU_PLATFORMS
from reprocheck.rules.base import Comparison, Rule, finding
from reprocheck.rules.image import is_root

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reprocheck.model.report import Finding, Severity
    from reprocheck.model.snapshot import Container, Snapshot

_SSH = "22/tcp"
_SERVERS = frozenset({"sshd", "dropbear"})
_LOCAL = ("127.", "::1:", "[::1]:")


def runs_as_root(comparison: Comparison) -> Iterator[Finding]:
    """The programs of the target run as root.

    ## What it checks
    The configured user: root, or none, which means root.

    ## Why it matters
    What is written into a mounted directory belongs to root on the host. Whoever breaks out of a program that runs as
    root is one fault of the kernel away from the host; and `pip install` in it writes over what the image brought.

    ## Example
    An image without a `USER` line.

    ## What to do
    `USER 1000` at the end of the Dockerfile, or `docker run --user "$(id -u):$(id -g)"`.

    ## When it is noise
    Where the engine itself runs as an ordinary user, or maps root to one (user namespaces).
    """
    if comparison.after.was_read("image") and is_root(comparison.after.image.user):
        user = comparison.after.image.user
        message = f"runs as root (user {user})" if user else "runs as root: no user is configured"
        yield _state(
            "user", "minor", message, "USER in the Dockerfile, or docker run --user UID:GID", kind="image-config"
        )


def ssh_served(comparison: Comparison) -> Iterator[Finding]:
    """The target serves SSH, or is made to.

    ## What it checks
    Port 22 among the exposed and the published ones, an SSH server as the command, and one among the processes of a
    container that runs. Minor; major where the port is published to other machines.

    ## Why it matters
    A second way in needs keys or passwords, updates and a log of its own. `docker exec` is a way in without any.
    What is done by hand over SSH stands in no Dockerfile, so that nobody can build the environment again.

    ## Example
    `EXPOSE 22` and `CMD ["/usr/sbin/sshd", "-D"]`; published by `docker run -p 2222:22`.

    ## What to do
    Use `docker exec -it NAME bash`; remove the server and the `EXPOSE` line.

    ## When it is noise
    Where a development environment is reached by SSH on purpose: publish the port to `127.0.0.1` alone.
    """
    snapshot, container = comparison.after, comparison.after.provenance.container
    published = _published(container, _SSH)
    servers = sorted({*_servers(snapshot), *((container.services or ()) if container else ())} & _SERVERS)
    said = []
    if servers:
        said.append(f"{' and '.join(servers)} is run")
    if published:
        said.append(f"port 22 is published ({', '.join(published)})")
    elif _SSH in snapshot.image.exposed_ports:
        said.append("port 22 is exposed")
    if said:
        severity: Severity = "minor" if all(place.startswith(_LOCAL) for place in published) else "major"
        fix = "docker exec -it NAME bash is a way in; remove the SSH server and the port"
        yield _state("ssh", severity, f"SSH: {', '.join(said)}", fix)


def notebook_open(comparison: Comparison) -> Iterator[Finding]:
    """Jupyter is started without a token and without a password.

    ## What it checks
    The entrypoint and command: `--NotebookApp.token=''`, `--ServerApp.token=''` or `--IdentityProvider.token=''`, or
    an empty `JUPYTER_TOKEN`, and no password beside it. Where nothing is said, Jupyter makes a token and prints it:
    no finding. What stands in a file of Jupyter's is not read.

    ## Why it matters
    Whoever reaches the port runs programs in the container, with its data and its GPUs.

    ## Example
    `CMD jupyter lab --ip=0.0.0.0 --allow-root --NotebookApp.token=''`.

    ## What to do
    Leave the option out; or give a token by `JUPYTER_TOKEN`, and publish the port to `127.0.0.1` alone.

    ## When it is noise
    Where a proxy in front of it asks who is there.
    """
    if comparison.after.image.notebook == "open":
        container = comparison.after.provenance.container
        published = ", ".join(container.published) if container else ""
        message = "Jupyter is started without a token and a password"
        fix = "leave the empty token out, or set JUPYTER_TOKEN; publish the port to 127.0.0.1 alone"
        yield _state("jupyter", "major", f"{message}; published: {published}" if published else message, fix)


def memory_unlimited(comparison: Comparison) -> Iterator[Finding]:
    """The container may use all memory of its host.

    ## What it checks
    The memory limit with which the container was started.

    ## Why it matters
    A training that leaks takes the host's other programs along; the kernel chooses whom it kills. A run that only
    succeeded because nobody set a limit fails on the next machine.

    ## Example
    `docker run` without `--memory`.

    ## What to do
    `docker run --memory 16g …`; of one that runs: `docker update --memory 16g --memory-swap 16g NAME`.

    ## When it is noise
    On a machine that does nothing else.
    """
    container = comparison.after.provenance.container
    if container is not None and container.memory_bytes is None:
        yield _state("memory", "minor", "no memory limit: it may use all of the host's", "docker run --memory SIZE")


def gpu_left_out(comparison: Comparison) -> Iterator[Finding]:
    """A framework was built for GPUs, and none was passed in.

    ## What it checks
    Of a container with a framework whose build has CUDA or ROCm: whether it was started with GPUs, by a device
    request (`--gpus`, CDI), the `nvidia` runtime or devices; and whether a driver is to be seen in it.

    ## Why it matters
    The framework computes on the processor, and says so in a line of the log that nobody reads.

    ## Example
    `docker run tensorflow/tensorflow:2.9.0-gpu python train.py`, without `--gpus all`.

    ## What to do
    `docker run --gpus all …`; Compose: `deploy.resources.reservations.devices`.

    ## When it is noise
    Where it is to compute on the processor: a build for it is a tenth of the size.
    """
    container, driver = comparison.after.provenance.container, comparison.after.machine.driver
    if container is None or container.gpus or (driver is not None and driver.version != "none"):
        return
    built = sorted(
        {
            f"{one.name} {one.version}"
            for one in comparison.after.accelerator.frameworks
            if (one.built_with or {}).keys() & GPU_PLATFORMS
        }
    )
    if built:
        verb = "is" if len(built) == 1 else "are"
        message = f"no GPU was passed in, and {', '.join(built)} {verb} built for GPUs"
        yield _state("gpu", "major", message, "docker run --gpus all")


def data_not_kept(comparison: Comparison) -> Iterator[Finding]:
    """What the container writes is lost when it is removed.

    ## What it checks
    Whether a directory of the host or a volume with a name is mounted, and can be written. Volumes without a name
    that the image asks for are removed with the container by `docker run --rm`, and found by nobody else.

    ## Why it matters
    Checkpoints and results lie in the container's own layer. They are slow there, grow the engine's disk, and are
    gone with `docker rm`. Data that were copied in by hand are in no image and no baseline.

    ## Example
    `docker run IMAGE python train.py`, which writes `/workspace/model.h5`.

    ## What to do
    `docker run -v "$PWD/results:/workspace/results" …`.

    ## When it is noise
    Where nothing is written that anybody needs, as in a service without a state.
    """
    container = comparison.after.provenance.container
    if container is None or any(mount.lasting and mount.writable for mount in container.mounts):
        return
    without = [mount.destination for mount in container.mounts if mount.kind == "volume" and not mount.lasting]
    message = "what it writes is lost with it: nothing is mounted that stays and can be written"
    if without:
        message += f" (volumes without a name: {', '.join(without)})"
    yield _state("data", "minor", message, "docker run -v DIRECTORY:PATH, or -v NAME:PATH")


def privileges_unlimited(comparison: Comparison) -> Iterator[Finding]:
    """The container can do on the host what root can.

    ## What it checks
    `--privileged`, and the socket of a container engine among the mounts.

    ## Why it matters
    A privileged container sees and writes every device of the host. Who can speak to the engine can start one.
    Neither is needed for GPUs.

    ## Example
    `docker run -v /var/run/docker.sock:/var/run/docker.sock …`.

    ## What to do
    Pass in what is needed: `--gpus all`, `--device`, `--cap-add`.

    ## When it is noise
    In runners of a CI system that build images, on machines of their own.
    """
    container = comparison.after.provenance.container
    said = []
    if container is not None and container.privileged:
        said.append("it is privileged")
    if container is not None and container.engine_socket:
        said.append("the engine's socket is mounted")
    if said:
        message = f"can do on the host what root can: {' and '.join(said)}"
        yield _state("privileges", "major", message, "pass in what is needed: --gpus, --device, --cap-add")


def _state(name: str, severity: Severity, message: str, fix: str, *, kind: str = "container") -> Finding:
    return finding(kind, name, severity, message, fix=Fix(summary=fix))  # type: ignore[arg-type]


def _published(container: Container | None, port: str) -> list[str]:
    return [one for one in container.published if one.endswith(f"->{port}")] if container else []


def _servers(snapshot: Snapshot) -> set[str]:
    """Programs that the configuration starts, as far as they are shown."""
    return {posixpath.basename(word) for word in (*snapshot.image.entrypoint, *snapshot.image.cmd)}


RULES = (
    Rule(code="RC951", name="runs-as-root", level="stack", state=True, check=runs_as_root),
    Rule(code="RC952", name="ssh-served", level="stack", state=True, check=ssh_served),
    Rule(code="RC953", name="notebook-open", level="stack", state=True, check=notebook_open),
    Rule(code="RC954", name="memory-unlimited", level="stack", state=True, check=memory_unlimited),
    Rule(code="RC955", name="gpu-left-out", level="stack", state=True, check=gpu_left_out),
    Rule(code="RC956", name="data-not-kept", level="stack", state=True, check=data_not_kept),
    Rule(code="RC957", name="privileges-unlimited", level="stack", state=True, check=privileges_unlimited),
)
