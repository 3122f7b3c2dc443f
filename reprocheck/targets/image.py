"""``image:``: an image of the engine, by the first route that this machine lets it be read by."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from reprocheck.errors import TargetError
from reprocheck.model.evidence import Document
from reprocheck.model.snapshot import Subject
from reprocheck.targets import probe
from reprocheck.targets.address import Address
from reprocheck.targets.configuration import variable
from reprocheck.targets.engine import Engine
from reprocheck.targets.save import saved
from reprocheck.targets.session import Session, header, routed
from reprocheck.targets.static import StaticSession
from reprocheck.targets.storage import Unreadable, open_storage, refused
from reprocheck.targets.throw_away import ThrowAwaySession
from reprocheck.targets.traced import Traced


@contextmanager
def open_image(
    address: Address,
    engine: Engine,
    *,
    route: str | None = None,
    no_exec: bool = False,
    seconds: float = probe.SECONDS,
    tell: Callable[[str], None] = lambda _: None,
) -> Iterator[Session]:
    """Find the image and choose the route: the engine's storage, else a throw-away container, else the save stream.

    Raises:
        TargetError: there is no such image, or the route that was asked for can't be taken.
    """
    inspected = engine.image(address.value)
    facts = engine.image_facts(inspected)
    home = variable((inspected.get("Config") or {}).get("Env"), "HOME")
    document = Document(
        header=header(str(address), "", executed=False),
        subject=Subject(kind="image", name=address.value, platform=facts.platform),
        engine=facts,
    )
    with ExitStack() as stack:
        if route in {None, "storage"}:
            try:
                tree = stack.enter_context(open_storage(inspected, local=engine.local))
            except Unreadable as reason:
                if route == "storage":
                    raise refused(str(address), str(reason)) from None
            else:
                static = StaticSession(routed(document, "engine storage"), tree, user=facts.user, home=home)
                yield Traced(static, tree)
                return
        if no_exec and route == "container":
            raise TargetError(f"{address}: can't be read in a container: nothing of it may be run; leave out --route")
        if no_exec or route == "save":
            tell(f"{address}: the engine sends {inspected['Size'] / 1e9:.1f} GB, all of which is read")
            yield saved(document, engine, user=facts.user, home=home)
        else:
            yield stack.enter_context(ThrowAwaySession.open(document, engine, inspected["Id"], seconds))
