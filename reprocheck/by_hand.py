"""The probe with its request inside, to be run by hand where reprocheck can't be installed."""

from __future__ import annotations

import json

import msgspec

from reprocheck.extractors.assemble import wants
from reprocheck.model.evidence import Document, Evidence
from reprocheck.model.snapshot import Subject
from reprocheck.targets import probe
from reprocheck.targets.session import header

_PLACE = "\nREQUEST = None\n"


def program() -> bytes:
    """The program: it asks in one pass all that can be asked without knowing an answer."""
    nothing = Document(header=header("evidence:", "probe", executed=True), subject=Subject(kind="evidence", name=""))
    request = json.loads(msgspec.json.encode({"wants": wants(Evidence(nothing))}))
    source = probe.program().decode("utf-8")
    if source.count(_PLACE) != 1:
        raise ValueError("the probe has no place for a request")
    # JSON in a string, not a literal: true and null are no Python.
    filled = f"\nREQUEST = json.loads({json.dumps(json.dumps(request))})\n"
    return source.replace(_PLACE, filled).encode("utf-8")
