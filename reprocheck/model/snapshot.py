"""The snapshot: the facts read out of a target's evidence (schema ``reprocheck.snapshot/1``).

``header`` and ``provenance`` are the only parts that may differ between two captures of the same
content. ``None`` means "not known" and has a :class:`Gap`, unless its field says "no gap"; an empty tuple in
a class whose coverage is ``complete`` means that there is none. Every sequence is sorted, so the same facts are
the same bytes.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct, field

SCHEMA = "reprocheck.snapshot/1"

FactClass = Literal["system", "environments", "os_packages", "accelerator", "machine", "variables", "image", "smoke"]
FACT_CLASSES: tuple[FactClass, ...] = (
    "system",
    "environments",
    "os_packages",
    "accelerator",
    "machine",
    "variables",
    "image",
    "smoke",
)
State = Literal["complete", "partial", "not-read", "not-applicable"]
EnvironmentKind = Literal["system", "venv", "conda"]
TargetKind = Literal["container", "image", "archive", "oci", "rootfs", "python", "host", "evidence", "snapshot"]


ONE_ENVIRONMENT: frozenset[TargetKind] = frozenset({"python", "host"})
"""Kinds that are one interpreter, whatever else stands beside it."""
GPU_PLATFORMS = frozenset({"cuda", "rocm"})
"""What a framework with GPU support was built with: keys of :attr:`Framework.built_with`."""
IMAGES: frozenset[TargetKind] = frozenset({"image", "archive", "oci", "rootfs"})
"""Kinds that are files alone: their machine is whichever runs them."""


class Model(Struct, frozen=True, kw_only=True):
    """Base of every type that is stored: immutable, keyword-only, sorted on encoding."""


DigestsChecked = Literal["digests", "headers", "none"]
"""``headers``: a layer that lies uncompressed is not read through; of its headers every checksum, size and bound is."""


class Header(Model, frozen=True, kw_only=True):
    """How and when this capture was made."""

    captured_at: str
    """UTC, RFC 3339, to the second."""
    reprocheck: str
    """Version of reprocheck that made the capture."""
    target: str
    """The target as ``KIND:VALUE``."""
    route: str
    """``engine storage``, ``layer cache``, ``save stream``, ``archive``, ``OCI layout``, ``root file system``,
    ``exec``, ``throw-away container``, ``archive endpoint``, ``interpreter`` or ``probe``."""
    executed: bool
    """Whether anything of the target was run."""
    checked: DigestsChecked | None = None
    """How far stored layers were compared with their digests; ``None`` where nothing stored was read (no gap)."""
    note: str | None = None
    """The author's words (``lock --note``); ``None``: there are none (no gap)."""


class Subject(Model, frozen=True, kw_only=True):
    """What was captured."""

    kind: TargetKind
    """Evidence made elsewhere keeps the kind it was made of; by the bare probe: ``evidence``."""
    name: str
    """The value of the target; for a container its name without the slash."""
    platform: str | None = None
    """``linux/amd64``; OCI image index, ``platform``."""


class Coverage(Model, frozen=True, kw_only=True):
    """How far one fact class was read."""

    state: State
    """``not-applicable``: this kind of target has no such facts."""
    version: int = 1
    """Grows when the extractor of the class reads more than before: what an older one lacks is not compared."""


class OsRelease(Model, frozen=True, kw_only=True):
    """os-release(5)."""

    id: str
    """``ID``."""
    version_id: str
    """``VERSION_ID``; empty where there is none."""
    pretty_name: str
    """``PRETTY_NAME``."""


class Libc(Model, frozen=True, kw_only=True):
    """The C library."""

    name: str
    """``glibc`` or ``musl``."""
    version: str
    """``2.31``; empty where musl does not tell."""


class System(Model, frozen=True, kw_only=True):
    """What the target's files say of the operating system."""

    os: OsRelease | None = None
    libc: Libc | None = None
    architecture: str | None = None
    """As ``uname -m`` names it: ``x86_64``."""
    locale: str | None = None
    """``LC_ALL``, else ``LC_CTYPE``, else ``LANG`` of the configuration, else ``C``."""


class Python(Model, frozen=True, kw_only=True):
    """The interpreter of one environment."""

    version: str
    """Full version, ``3.9.2``."""
    implementation: str
    """``cpython``, ``pypy`` (``sys.implementation.name``)."""
    executable: str
    """Path in the target: of a virtual environment the one in it, else the program itself, links resolved."""
    prefix: str
    """``sys.base_prefix``: where the standard library lives."""
    abi: str | None = None
    """``sys.implementation.cache_tag`` plus abi flags: ``cpython-39``, ``cpython-313t``."""
    markers: dict[str, str] = {}
    """Environment markers (PEP 508) as this interpreter answers them, without ``platform_release`` and
    ``platform_version``, which belong to the machine."""
    extension_suffixes: tuple[str, ...] = ()
    """``importlib.machinery.EXTENSION_SUFFIXES``, the interpreter's own order."""


class Files(Model, frozen=True, kw_only=True):
    """The files that were recorded of a package when it was installed."""

    count: int | None = None
    """Rows of RECORD; of dpkg's and conda's records, files that are compared; ``None`` where there is none (no gap)."""
    record_sha256: str | None = None
    """SHA-256 of RECORD as it stands, hex; ``None`` where there is none, and for dpkg and conda (no gap)."""
    checked: Literal["none", "presence", "sizes", "hashes"] = "none"
    """How the files were compared with the record; ``presence``: dpkg records no sizes; ``hashes``: with ``--deep``."""
    modified: tuple[str, ...] = ()
    """Files that differ from the record, named as it names them, dpkg's by their whole path; sorted. Scripts are
    compared without their first line, which installers rewrite; bytecode in ``__pycache__`` is not compared; of dpkg
    and conda only what is run, loaded or imported is."""
    missing: tuple[str, ...] = ()
    """Recorded files that are not there; sorted."""
    unnamed: int = 0
    """How many more are modified or missing than are named."""
    unverifiable: int = 0
    """Rows that could not be compared: the size is not stated, the hash is none that can be trusted, a script was
    rewritten, dpkg knows that the file is another one."""


class Package(Model, frozen=True, kw_only=True):
    """One copy of one Python distribution (core metadata specification, PEP 376, 610, 639)."""

    name: str
    """Normalised (PEP 503)."""
    display_name: str | None = None
    """The name as its author wrote it; ``None`` where that does not differ (no gap)."""
    version: str
    """Verbatim; empty when nothing states it."""
    location: str
    """Directory of the metadata, starting with a named root: ``{prefix}/lib/python3.9/site-packages``."""
    active: bool = True
    """The copy that Python takes; comparisons use this one."""
    requires: tuple[str, ...] | None = ()
    """``Requires-Dist`` fields, verbatim, sorted; ``None`` when unreadable."""
    extras: tuple[str, ...] = ()
    """``Provides-Extra`` fields, normalised."""
    requires_python: str | None = None
    """``Requires-Python``; ``None`` when the author states none (no gap)."""
    requested: bool | None = None
    """The REQUESTED file (PEP 376); ``None`` where the installer records nothing (no gap)."""
    installer: str | None = None
    """INSTALLER (PEP 376); ``None`` where there is no such file (no gap)."""
    origin: str = "unrecorded"
    """``index``; a URL as pip freezes it (PEP 610); ``unrecorded``; ``unreadable``."""
    editable: bool = False
    """Installed in place (PEP 660, or ``setup.py develop``)."""
    tags: tuple[str, ...] = ()
    """``Tag`` fields of WHEEL, sorted: the build that was installed."""
    build: str | None = None
    """``Build`` field of WHEEL; ``None`` when there is none (no gap)."""
    files: Files = Files()
    problems: tuple[str, ...] = ()
    """What is odd about this copy, one sentence each."""


class PathFile(Model, frozen=True, kw_only=True):
    """A ``.pth`` file of a site directory (documentation of the module ``site``)."""

    path: str
    """With a named root, as ``Package.location``."""
    executable: bool
    """A line begins with ``import``: Python runs it at every start."""
    sha256: str
    """SHA-256 of its contents, hex."""


class CondaPackage(Model, frozen=True, kw_only=True):
    """What conda records of one package (``conda-meta/NAME-VERSION-BUILD.json``); it need not be a Python one."""

    name: str
    """As conda has it: ``pytorch``, where the Python distribution in it is ``torch``."""
    version: str
    """Verbatim."""
    build: str = ""
    """The build string, ``py39h2e5ec2c_0``; empty where none is recorded."""
    channel: str = ""
    """Name or URL, without credentials and platform; empty where none is recorded."""
    subdir: str = ""
    """Platform that it was built for: ``linux-64``, ``noarch``."""
    files: Files = Files()
    """How far they agree with ``paths_data`` of the record."""


class Environment(Model, frozen=True, kw_only=True):
    """An interpreter with the distributions that it sees."""

    id: str
    """The prefix, as the target sees it."""
    kind: EnvironmentKind
    """``conda``: there is a ``conda-meta`` below the prefix."""
    on_path: bool = False
    """``python3`` of the configured ``PATH``, or the interpreter that was named."""
    python: Python | None = None
    search_path: tuple[str, ...] = ()
    """``sys.path`` as Python would compute it at start, without the script's own directory."""
    packages: tuple[Package, ...] = ()
    """Sorted by name, then location."""
    pth: tuple[PathFile, ...] = ()
    conda: tuple[CondaPackage, ...] | None = None
    """What conda installed, sorted by name; a Python distribution among it stands in ``packages`` as well. Empty
    where conda has no hand in it; ``None`` in snapshots of versions that did not read it (no gap)."""


class OsPackage(Model, frozen=True, kw_only=True):
    """A package of the operating system."""

    manager: Literal["dpkg", "rpm", "apk"]
    """Whose database it stands in."""
    name: str
    """As the manager has it. Keys that rpm imported (``gpg-pubkey``) are no packages."""
    version: str
    """As the manager prints it; of rpm ``[EPOCH:]VERSION-RELEASE``."""
    architecture: str
    """As the manager names it: ``amd64``, ``x86_64``, ``all``; empty where none is recorded."""
    files: Files = Files()
    """How far they agree with dpkg's sums; those of other managers are not compared."""


class CudaLibrary(Model, frozen=True, kw_only=True):
    """One copy of a library of the CUDA family, reached by whatever names."""

    component: str
    """``cudart``, ``cublas``, ``cublasLt``, ``cudnn``, ``nccl``, ``nvinfer``, ``nvrtc``, ``cuda`` (the driver's) …"""
    version: str | None
    """As far as it is known: ``8.9.2`` from a header, ``8`` from a soname; ``None``: nothing tells it."""
    path: str
    """Links resolved; in an environment with a named root, as ``Package.location``."""
    source: Literal["wheel", "package", "header", "version file", "file name", "soname", "none"]
    """What told the version. ``package``: of conda or dpkg."""
    owner: str
    """``python:nvidia-cudnn-cu12 8.9.2.26``, ``dpkg:libcudnn8 8.9.2.26-1+cuda12.1``, ``conda:cudnn 8.9.2.26``;
    ``none``: no installer recorded it."""
    environment: str | None = None
    """Id of the environment whose prefix or site directory holds it; ``None``: the system's (no gap)."""


class Loaded(Model, frozen=True, kw_only=True):
    """Which file the dynamic linker takes for one library, predicted."""

    component: str
    """As in :class:`CudaLibrary`."""
    name: str
    """The name that is asked for: ``libcudnn.so.8``."""
    status: Literal["found", "missing", "unknown"]
    """``unknown``: it can't be told."""
    path: str | None
    """Links resolved, as ``CudaLibrary.path``; ``None`` unless it is found."""
    reason: str
    """Why this one: ``RUNPATH of libtorch_cuda.so``; or why none, or why it can't be told."""


class Framework(Model, frozen=True, kw_only=True):
    """A machine learning framework and what it was built with."""

    name: str
    """Normalised name of its distribution."""
    version: str
    """Verbatim."""
    environment: str
    """Id of its environment."""
    built_with: dict[str, str] | None = None
    """``cuda``, ``cudnn``, ``rocm``, ``tensorrt`` with their versions, as its files say; empty: built for the processor
    alone; ``None``: not known."""
    gpu_targets: tuple[str, ...] = ()
    """``sm_80``, ``compute_80``; empty where its files don't tell them."""
    loads: tuple[Loaded, ...] = ()
    """By component."""


class MissingLibrary(Model, frozen=True, kw_only=True):
    """A shared library that an installed distribution needs and that was not found."""

    library: str
    """As ``DT_NEEDED`` names it: ``libxcb.so.1``."""
    owner: str
    """As ``CudaLibrary.owner``."""
    environment: str | None
    """Id of the environment; ``None``: of none (no gap)."""
    needed_by: str
    """The file that names it, with a named root."""
    module: str | None
    """The extension module that can't be imported without it: ``cv2``; ``None``: no module is linked to it."""
    certain: bool
    """The whole target was searched, and nothing of this name is in it."""


class Accelerator(Model, frozen=True, kw_only=True):
    """CUDA family libraries in the target's files, the frameworks that load them, and libraries that are missing."""

    cuda: tuple[CudaLibrary, ...] = ()
    """By component and path."""
    frameworks: tuple[Framework, ...] = ()
    """By environment and name."""
    missing: tuple[MissingLibrary, ...] = ()
    """By owner and library."""

    def copy_at(self, path: str | None, environment: str | None) -> CudaLibrary | None:
        """Give the library at a place; the environment's own first: others may have one there below their prefix."""
        copies = (one for one in self.cuda if one.path == path)
        return min(copies, key=lambda one: one.environment != environment, default=None)


class Cpu(Model, frozen=True, kw_only=True):
    """/proc/cpuinfo."""

    model: str
    """``model name``, or ``CPU part`` on ARM."""
    features: tuple[str, ...] = ()
    """``flags``, or ``Features`` on ARM."""


class Driver(Model, frozen=True, kw_only=True):
    """The NVIDIA kernel driver, as far as it can be seen."""

    version: str
    """``none`` where no driver is visible."""
    source: str
    """What said so: ``/proc/driver/nvidia/version``, ``libcuda``, ``nvidia-smi``, or ``not visible``."""


class Device(Model, frozen=True, kw_only=True):
    """A GPU."""

    name: str
    """As ``nvidia-smi`` names it."""
    compute_capability: str
    """``8.6``."""
    memory_bytes: int | None = None
    """Total memory; ``None`` where the driver does not tell it (no gap)."""


class Machine(Model, frozen=True, kw_only=True):
    """What the machine says; live routes only."""

    kernel: str | None = None
    """``uname -r``."""
    cpu: Cpu | None = None
    driver: Driver | None = None
    devices: tuple[Device, ...] = ()


class Image(Model, frozen=True, kw_only=True):
    """Settings of the image or container (OCI image configuration), secrets withheld."""

    user: str = ""
    """Empty: root."""
    entrypoint: tuple[str, ...] = ()
    """Arguments that could carry a secret are shown as ``***``."""
    cmd: tuple[str, ...] = ()
    """As ``entrypoint``."""
    command_sha256: str | None = None
    """SHA-256 over the unmasked entrypoint and cmd, so that a change is seen; ``None`` when both are empty (no gap)."""
    exposed_ports: tuple[str, ...] = ()
    """``8888/tcp``."""
    labels: dict[str, str | None] = {}
    """``None``: withheld, the name alone is shown (no gap)."""
    volumes: tuple[str, ...] = ()
    """Paths."""
    workdir: str = ""
    """Empty: ``/``."""
    notebook: Literal["open", "closed"] | None = None
    """Whether the command starts a Jupyter without token and password; ``None``: it says nothing of them, and Jupyter
    makes a token of its own (no gap)."""


class Mount(Model, frozen=True, kw_only=True):
    """What is mounted into a container."""

    destination: str
    """Path in the container."""
    kind: str
    """``bind``, ``volume``, ``tmpfs`` …, as the engine calls it."""
    writable: bool
    """What runs in the container can write to it, as far as the mount goes."""
    lasting: bool
    """It stays when the container is removed: a directory of the host, or a volume with a name."""


class Container(Model, frozen=True, kw_only=True):
    """How a container was started, and what runs in it."""

    memory_bytes: int | None = None
    """The limit; ``None``: there is none (no gap)."""
    privileged: bool = False
    """It can do with the host's devices what root can."""
    gpus: bool = False
    """GPUs were passed in."""
    network: str = ""
    """``bridge``, ``host``, ``none`` …, as the engine calls it."""
    published: tuple[str, ...] = ()
    """``0.0.0.0:2222->22/tcp``."""
    mounts: tuple[Mount, ...] = ()
    """By destination."""
    engine_socket: bool = False
    """The socket of a container engine is mounted."""
    services: tuple[str, ...] | None = None
    """Programs among its processes that let others in: ``sshd``; ``None``: its processes were not seen (no gap)."""


class Gap(Model, frozen=True, kw_only=True):
    """Something that could not be read or judged."""

    what: str
    """A fact path: ``environments[/opt/venv].packages[numpy].requires``."""
    where: str
    """Path in the target, or the target."""
    reason: str
    """Why, in words."""


class Note(Model, frozen=True, kw_only=True):
    """Something worth saying that is no gap."""

    what: str
    """A fact path, as in :class:`Gap`."""
    where: str
    """Path in the target, or the target."""
    reason: str
    """What is worth saying."""


class Layer(Model, frozen=True, kw_only=True):
    """One layer and the instruction that made it (OCI image configuration, ``rootfs`` and ``history``)."""

    index: int
    """Position in ``rootfs.diff_ids``, from 0."""
    diff_id: str
    """Digest of the uncompressed layer."""
    instruction: str | None = None
    """The Dockerfile instruction, secrets masked; ``None`` where it can't be told (no gap)."""
    bytes: int | None = None
    """Size as the engine's history gives it; ``None`` where it can't be told (no gap)."""


class Provenance(Model, frozen=True, kw_only=True):
    """How the target was built, and remarks bound to this capture.

    ``None`` where the target has no such thing (no gap).

    In ``authors``, ``rewritten``, ``edited`` and ``removed`` the outer key is the id of an environment,
    ``environments``, ``environments[ID].python`` (its version), ``environments[ID].conda``,
    ``environments[ID].copies`` (each of several copies of a package), ``os_packages``, ``accelerator`` (CUDA libraries
    outside every environment) or ``system``; the inner one is the name of what stands there, of an OS package of a
    foreign architecture ``NAME:ARCHITECTURE``, of a copy :func:`copy_of`, of a ``.pth`` file its path, of a library
    that the dynamic linker's cache has ``ld.so.cache NAME``; the value is a layer's index. They are empty where layers
    could not be told apart.
    """

    image_id: str | None = None
    """The engine's id of the image: the digest of its configuration or, in a containerd image store, of a manifest."""
    image_name: str | None = None
    """The name that the container was started with, or the image's first tag."""
    config_digest: str | None = None
    """Digest of the image configuration; ``None`` where the route does not surely tell it."""
    repo_digests: tuple[str, ...] = ()
    """``NAME@sha256:…``, of registries that the image was pulled from or pushed to."""
    layers: tuple[Layer, ...] = ()
    authors: dict[str, dict[str, int]] = {}
    """The layer that first brought what is there, in the version that is there."""
    rewritten: dict[str, dict[str, int]] = {}
    """The layer that last wrote it, where that is a later one."""
    edited: dict[str, dict[str, int]] = {}
    """The layer that last edited or removed one of its files since it was installed."""
    removed: dict[str, dict[str, int]] = {}
    """The layer that removed what is not there any more; in ``accelerator``, a library that is missing."""
    times: dict[str, dict[str, str]] = {}
    """When the container itself wrote what no layer of its image brought; UTC, RFC 3339."""
    engine: str | None = None
    """Address of the engine, where it is not the default one."""
    probe_sha256: str | None = None
    """SHA-256 of the probe's source, hex; ``None`` where no probe ran."""
    mounts: tuple[str, ...] = ()
    """Where something else than the root file system is seen: no environment was searched for below."""
    container: Container | None = None
    """How it was started; ``None``: it is no container."""
    denied: tuple[str, ...] = ()
    """What whoever read the target had no permission to enter or to run: no environment was found below."""
    notes: tuple[Note, ...] = ()


def copy_of(name: str, version: str, location: str) -> str:
    """What a copy of a package is called in :class:`Provenance`."""
    return f"{name} {version} {location}"


class Snapshot(Model, frozen=True, kw_only=True):
    """The facts of one target."""

    schema: str = SCHEMA
    header: Header
    subject: Subject
    coverage: dict[FactClass, Coverage]
    system: System = System()
    environments: tuple[Environment, ...] = ()
    os_packages: tuple[OsPackage, ...] = ()
    accelerator: Accelerator = Accelerator()
    machine: Machine = Machine()
    variables: dict[str, str | None] = {}
    """Allow-listed names with their value, others with ``None``: withheld (no gap)."""
    image: Image = Image()
    smoke: tuple[dict[str, str], ...] = ()
    """Results of smoke tests; this version runs none."""
    gaps: tuple[Gap, ...] = ()
    provenance: Provenance = field(default_factory=Provenance)

    def was_read(self, name: FactClass) -> bool:
        """Whether a fact class was read, in whole or in part."""
        coverage = self.coverage.get(name)
        return coverage is not None and coverage.state in {"complete", "partial"}

    def hides(self, what: Environment | CudaLibrary) -> tuple[str, str] | None:
        """Where something of another side would lie that was not looked into on this one, and why not.

        A library of no environment; the others lie where theirs does.
        """
        if isinstance(what, CudaLibrary):
            paths = [what.path] if what.environment is None else []
        else:
            paths = [what.id, *([what.python.executable] if what.python else ())]
        places = [(mount, "mounted from elsewhere") for mount in self.provenance.mounts]
        places += [(closed, "permission denied") for closed in self.provenance.denied]
        for place, reason in places:
            if any(f"{path}/".startswith(f"{place.rstrip('/')}/") for path in paths):
                return place, reason
        return None

    def reads_less(self, other: Snapshot, name: FactClass) -> bool:
        """Whether an older extractor read a fact class here than on the other side."""
        if not (self.was_read(name) and other.was_read(name)):
            return False
        return self.coverage[name].version < other.coverage[name].version
