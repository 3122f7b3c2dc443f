"""How a target is read: target → evidence → snapshot."""

from __future__ import annotations

from pathlib import Path

import msgspec

from reprocheck.errors import IncompleteError
from reprocheck.extractors.assemble import assemble, wants
from reprocheck.model import codec
from reprocheck.model.evidence import Document, Evidence, unanswered
from reprocheck.model.snapshot import Snapshot
from reprocheck.targets.address import Address
from reprocheck.targets.resolve import Access, open_target
from reprocheck.targets.session import Session

ROUNDS = 5
"""Answers lead to questions: pyvenv.cfg names a home, .pth files name directories. No further than this."""


def gather(address: Address, access: Access) -> Evidence:
    """Collect a target's evidence; where the layer cache lacks something, all of it by the route behind it."""
    try:
        return _gathered(address, access, cached=True)
    except IncompleteError as lack:
        if access.route is not None:
            raise
        access.tell(f"{lack}; it is read by another route")
        return _gathered(address, access, cached=False)


def _gathered(address: Address, access: Access, *, cached: bool) -> Evidence:
    with open_target(address, access, cached=cached) as session:
        return ask(session, deep=access.deep)


def ask(session: Session, *, deep: bool = False) -> Evidence:
    """Ask for all that every extractor wants, in rounds; ``deep``: contents of files are compared as well."""
    document = session.document
    evidence = Evidence(msgspec.structs.replace(document, deep=deep or document.deep))
    for _ in range(ROUNDS):
        questions = unanswered(evidence, wants(evidence))
        answer = session.answer(questions) if questions else None
        if answer is None:
            break
        evidence.add(answer)
    # Some of what is wrong with layers comes out only when they are asked.
    evidence.document = msgspec.structs.replace(evidence.document, problems=session.document.problems)
    return evidence


def collect(address: Address, access: Access) -> tuple[Document, Snapshot]:
    """Collect a target's evidence, to be kept, and read the facts in it."""
    evidence = gather(address, access)
    return evidence.document, assemble(evidence)


def capture(address: Address, access: Access) -> Snapshot:
    """Read the facts of a target, or load those that were saved."""
    if address.kind == "snapshot":
        return codec.load_snapshot(Path(address.value))
    return collect(address, access)[1]
