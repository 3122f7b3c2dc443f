"""``container:``: a container of the engine, by the first route that its state and this machine allow.

Nothing is ever started or unpaused.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import msgspec

from reprocheck.errors import TargetError
from reprocheck.layers.tree import Tree
from reprocheck.model.evidence import Document
from reprocheck.model.snapshot import Subject
from reprocheck.targets.address import Address
from reprocheck.targets.configuration import variable
from reprocheck.targets.engine import Engine
from reprocheck.targets.mounts import Mounts
from reprocheck.targets.session import SECONDS, Session, header, routed
from reprocheck.targets.static import StaticSession
from reprocheck.targets.storage import Unreadable, open_storage, refused
from reprocheck.targets.traced import Traced

_SETTLED = 10.0
"""Seconds after which the engine itself takes a restart for a success (Docker, "restart policies")."""


@contextmanager
def open_container(
    address: Address, engine: Engine, *, route: str | None = None, no_exec: bool = False, seconds: float = SECONDS
) -> Iterator[Session]:
    """Look at the container's state and choose the route: exec where it runs, else its storage, else single files.

    Raises:
        TargetError: there is no such container, or the route that was asked for can't be taken.
    """
    inspected: dict[str, Any] = engine.container(address.value)
    facts = engine.container_facts(inspected)
    if _is_restarting(inspected):
        facts = msgspec.structs.replace(facts, state="restarting")
    name = inspected["Name"].lstrip("/")
    document = Document(
        header=header(f"container:{name}", "archive endpoint", executed=False),
        subject=Subject(kind="container", name=name, platform=facts.platform or None),
        engine=facts,
    )
    with ExitStack() as stack:
        tree = _storage(inspected, engine, stack, name, asked=route == "storage")
        mounts = None if tree is None else Mounts(tree, _mounts(inspected))
        session: Session
        if facts.state == "running" and not no_exec and route in {None, "exec"}:
            from reprocheck.targets.exec import ExecSession

            session = stack.enter_context(ExecSession.open(document, engine, inspected["Id"], seconds))
        elif route == "exec":
            why = "nothing of it may be run" if no_exec else f"it is {facts.state}"
            raise TargetError(f"container:{name}: can't be read by exec: {why}; leave out --route")
        elif tree is not None and route != "archive":
            home = variable((inspected.get("Config") or {}).get("Env"), "HOME")
            session = StaticSession(routed(document, "engine storage"), tree, home=home, mounts=mounts)
        else:
            from reprocheck.targets.archive_endpoint import ArchiveSession

            session = ArchiveSession(document, engine, inspected["Id"])
        yield session if tree is None else Traced(session, tree, mounts=mounts)


def _storage(inspected: Mapping[str, Any], engine: Engine, stack: ExitStack, name: str, *, asked: bool) -> Tree | None:
    try:
        return stack.enter_context(open_storage(inspected, local=engine.local))
    except Unreadable as reason:
        if asked:
            raise refused(f"container:{name}", str(reason)) from None
        return None


def _mounts(inspected: Mapping[str, Any]) -> list[str]:
    """Where something else than the container's layers is seen: volumes, bind mounts, tmpfs."""
    temporary = (inspected.get("HostConfig") or {}).get("Tmpfs") or {}
    return [*(mount["Destination"] for mount in inspected.get("Mounts") or []), *temporary]


def _is_restarting(inspected: dict[str, Any]) -> bool:
    """Whether a container is started again and again: between two of its ends the engine says that it runs."""
    if inspected["State"]["Status"] != "running" or not inspected.get("RestartCount"):
        return False
    # To the second: the fraction has more digits than Python 3.10 takes.
    started = datetime.datetime.fromisoformat(f"{inspected['State']['StartedAt'][:19]}+00:00")
    return (datetime.datetime.now(datetime.timezone.utc) - started).total_seconds() < _SETTLED
