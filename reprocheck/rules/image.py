"""RC5xx: variables and settings of the image or container."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reprocheck.rules.base import Comparison, Rule, finding
from reprocheck.rules.determinism import settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reprocheck.model.change import Change
    from reprocheck.model.report import Finding, Severity

LOADER_VARIABLES = ("LD_LIBRARY_PATH", "LD_PRELOAD", "PYTHONHOME", "PYTHONPATH")
"""Variables that decide which code is loaded."""
_LOCALE_VARIABLES = ("LC_ALL", "LC_CTYPE", "LANG")
_SETTINGS = {"cmd": "command", "workdir": "working directory", "volumes": "volumes"}


def variable_changed(comparison: Comparison) -> Iterator[Finding]:
    """An environment variable that matters was added, changed or removed.

    ## What it checks
    The variables of the target's own configuration. Those that decide which code is loaded (LD_LIBRARY_PATH,
    LD_PRELOAD, PYTHONHOME, PYTHONPATH) are major, others whose value is recorded minor; of the rest the name
    alone is known, and a name that came or went is info. LC_ALL, LC_CTYPE and LANG: see `locale-changed`; what
    affects numbers: see `determinism-setting-changed`.

    ## Why it matters
    Variables choose libraries, devices and paths without a trace in any package.

    ## Example
    `LD_LIBRARY_PATH`: `/usr/local/cuda/lib64` → `/usr/local/cuda/lib64:/opt/old`.

    ## What to do
    Set it in the Dockerfile as the baseline has it.

    ## When it is noise
    When the runner that starts the container adds variables of its own.
    """
    changes = comparison.at("variables")
    elsewhere = {*_LOCALE_VARIABLES, *(settings(comparison.knowledge) if changes else ())}
    for change in changes:
        name = change.path[1]
        if name in elsewhere:
            continue
        before, after = _variable(change, change.before), _variable(change, change.after)
        severity: Severity = "minor"
        if name in LOADER_VARIABLES:
            severity = "major"
        elif before is None and after is None:
            severity = "info"
        message = f"variable {name} was {change.kind}"
        if change.kind == "changed":
            message = f"variable {name}: {before} → {after}"
        elif before is not None or after is not None:
            message += f": {before if before is not None else after}"
        yield finding("variable", name, severity, message, before=before, after=after)


def became_root(comparison: Comparison) -> Iterator[Finding]:
    """The target now runs as root.

    ## What it checks
    The configured user: another one before, root (or none configured, which means root) now.

    ## Why it matters
    File ownership, `pip`'s target directory and what a fault can do all depend on it.

    ## Example
    `app → root`, after a `USER app` line was lost.

    ## What to do
    Put `USER` back.

    ## When it is noise
    In throw-away images of a build.
    """
    for change in comparison.at("image", "user"):
        if is_root(change.after) and not is_root(change.before):
            yield finding(
                "image-config",
                "user",
                "major",
                f"runs as root now, as {change.before} before",
                before=change.before,
                after=change.after or "root",
            )


def port_exposed(comparison: Comparison) -> Iterator[Finding]:
    """A further port is exposed.

    ## What it checks
    `EXPOSE`d ports that the baseline does not have.

    ## Why it matters
    Something new may be listening, and `docker run -P` publishes it.

    ## Example
    `8888/tcp`, brought by a notebook layer.

    ## What to do
    Remove the `EXPOSE` line, or lock a new baseline.

    ## When it is noise
    When the service is wanted.
    """
    for change in comparison.at("image", "exposed_ports"):
        if change.kind == "added":
            port = change.path[2]
            yield finding("image-config", f"port {port}", "minor", f"port {port} is exposed now", after=port)


def entrypoint_changed(comparison: Comparison) -> Iterator[Finding]:
    """The entrypoint is another one.

    ## What it checks
    The entrypoint; and, by a hash over entrypoint and command, a change in an argument that is withheld.

    ## Why it matters
    The same image starts another program, or prepares its surroundings in another way.

    ## Example
    `[]` → `["/opt/nvidia/nvidia_entrypoint.sh"]`.

    ## What to do
    Set `ENTRYPOINT` as the baseline has it.

    ## When it is noise
    When only a wrapper such as `tini` came.
    """
    shown = comparison.at("image", "entrypoint")
    for change in shown:
        yield finding(
            "image-config",
            "entrypoint",
            "minor",
            f"entrypoint: {change.before} → {change.after}",
            before=change.before,
            after=change.after,
        )
    if not shown and not comparison.at("image", "cmd") and comparison.at("image", "command_sha256"):
        yield finding(
            "image-config",
            "entrypoint",
            "minor",
            "entrypoint or command differ in an argument that is withheld",
        )


def image_setting_changed(comparison: Comparison) -> Iterator[Finding]:
    """Another setting of the image changed.

    ## What it checks
    Command, working directory, volumes, the user where it did not become root, ports that are exposed no
    more. Never labels, build order or times.

    ## Why it matters
    Relative paths and default commands behave otherwise.

    ## Example
    Working directory `""` → `/workspace`.

    ## What to do
    Usually nothing.

    ## When it is noise
    Mostly; so it is info. A container started with a command of its own always has it.
    """
    for name, said in _SETTINGS.items():
        for change in comparison.at("image", name):
            yield _setting(name, said, change.before, change.after)
    for change in comparison.at("image", "user"):
        if not is_root(change.after):
            yield _setting("user", "user", change.before, change.after)
    for change in comparison.at("image", "exposed_ports"):
        if change.kind == "removed":
            port = change.path[2]
            message = f"port {port} is exposed no more"
            yield finding("image-config", f"port {port}", "info", message, before=port)


def _setting(name: str, said: str, before: str, after: str) -> Finding:
    shown = f"{before or chr(34) * 2} → {after or chr(34) * 2}"
    return finding("image-config", name, "info", f"{said}: {shown}", before=before, after=after)


def _variable(change: Change, value: dict[str, str | None] | str | None) -> str | None:
    """The value, out of a whole item or as it is; ``None`` where it is absent or withheld."""
    if isinstance(value, dict):
        return value["value"]
    return value if change.kind == "changed" else None


def is_root(user: str) -> bool:
    """Whether a user of an image's configuration is root: ``name`` or ``uid``, each with an optional ``:group``."""
    return user.split(":", 1)[0] in {"", "0", "root"}


RULES = (
    Rule(code="RC501", name="variable-changed", level="stack", check=variable_changed),
    Rule(code="RC502", name="became-root", level="stack", check=became_root),
    Rule(code="RC503", name="port-exposed", level="stack", check=port_exposed),
    Rule(code="RC504", name="entrypoint-changed", level="stack", check=entrypoint_changed),
    Rule(code="RC505", name="image-setting-changed", level="stack", check=image_setting_changed),
)
