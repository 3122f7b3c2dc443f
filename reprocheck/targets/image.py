"""``image:``: an image of the engine, by the first route that this machine lets it be read by."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

from reprocheck.errors import TargetError
from reprocheck.model.evidence import Document
from reprocheck.model.snapshot import Subject
from reprocheck.targets.address import Address
from reprocheck.targets.configuration import variable
from reprocheck.targets.engine import Engine
from reprocheck.targets.session import SECONDS, Session, header, routed
from reprocheck.targets.storage import Unreadable, open_storage, refused
from reprocheck.targets.traced import traced


@contextmanager
def open_image(
    address: Address,
    engine: Engine,
    *,
    route: str | None = None,
    no_exec: bool = False,
    cached: bool = True,
    seconds: float = SECONDS,
    tell: Callable[[str], None] = lambda _: None,
) -> Iterator[Session]:
    """Find the image and choose the route: the engine's storage, the layer cache, a throw-away container, the stream.

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
        read: Session | None = None
        if route in {None, "storage"}:
            read = _from_storage(document, engine, inspected, stack, home=home, asked=route is not None)
        if read is None and route in {None, "cache"}:
            read = _from_cache(document, inspected, cached=cached, home=home, asked=route is not None)
        if read is not None:
            yield read
            return
        if no_exec and route == "container":
            raise TargetError(f"{address}: can't be read in a container: nothing of it may be run; leave out --route")
        if no_exec or route == "save":
            from reprocheck.targets.save import open_saved

            tell(f"{address}: the engine sends {_worded(inspected['Size'])}, all of which is read")
            yield stack.enter_context(open_saved(document, engine, home=home))
        else:
            from reprocheck.targets.throw_away import ThrowAwaySession

            yield stack.enter_context(ThrowAwaySession.open(document, engine, inspected["Id"], seconds))


def _from_storage(
    document: Document,
    engine: Engine,
    inspected: Mapping[str, Any],
    stack: ExitStack,
    *,
    home: str | None,
    asked: bool,
) -> Session | None:
    try:
        tree = stack.enter_context(open_storage(inspected, local=engine.local))
    except Unreadable as reason:
        if asked:
            raise refused(document.header.target, str(reason)) from None
        return None
    return traced(routed(document, "engine storage"), tree, home=home)


def _from_cache(
    document: Document, inspected: Mapping[str, Any], *, cached: bool, home: str | None, asked: bool
) -> Session | None:
    from reprocheck.layers.cache import of_user
    from reprocheck.targets.cached import CachedSession

    try:
        if not cached:
            raise Unreadable("it serves neither --deep nor --no-verify")  # noqa: TRY301
        return CachedSession.open(document, inspected, of_user(), home=home)
    except Unreadable as reason:
        if asked:
            target = document.header.target
            raise TargetError(f"{target}: can't be read from the layer cache: {reason}; leave out --route") from None
        return None


def _worded(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"  # noqa: PLR2004 - a gigabyte
