"""GPUs by their names, as people, ``nvidia-smi`` and data sheets write them, and by compute capability."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from reprocheck.errors import UsageError
from reprocheck.fits.numbers import parse
from reprocheck.model.fits import FitsDevice
from reprocheck.model.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from reprocheck.knowledge import Knowledge
    from reprocheck.knowledge.rows import Gpu
    from reprocheck.model.snapshot import Device

_CAPABILITY = re.compile(
    r"(?:(?:sm|compute)_(?P<digits>\d{2,3})[af]?|(?P<dotted>\d{1,2}\.\d))", re.ASCII | re.IGNORECASE
)
_WORD = re.compile(r"[a-z0-9]+")
_VARIANT = re.compile(
    # Memory, form and place of a card, and words without a meaning: none of them changes what code runs on it.
    r"\d+g(?:b|ib)?|hbm\d\w?|sxm\d?|pcie|pci|nvl\d*|laptop|mobile|notebook|max|q|gpu|generation|edition|server"
    r"|workstation|graphics|card|nvidia|tesla|d"
)
_MAKERS = frozenset({"geforce", "quadro", "gtx", "rtx", "gt", "pro", "titan"})
"""Words that name a line of products: one that people leave out is no other device."""
_LINES = {"geforce": False, "quadro": False, "titan": False, "tesla": True}
"""Whether the GPUs of a line of products are for data centres."""
_MOST = 8


def named(text: str, knowledge: Knowledge) -> FitsDevice:
    """The GPU that somebody named, by name or compute capability.

    Raises:
        UsageError: it is not known, or the name can mean GPUs that differ in what runs on them.
    """
    capability = _capability(text)
    if capability is not None:
        return FitsDevice(compute_capability=capability)
    found = _matching(text, knowledge.gpus)
    said = printable(text)[:80]
    if not found:
        raise UsageError(f"--gpu {said}: no GPU of that name is known; give its compute capability, as in --gpu 8.6")
    if differ(found):
        names = [f"{one.gpu} ({one.compute_capability})" for one in found]
        listed = ", ".join(names[:_MOST]) + (f" and {len(names) - _MOST} more" if len(names) > _MOST else "")
        raise UsageError(f"--gpu {said} can mean {listed}; write the one that you mean, or its compute capability")
    return _device(found[0].gpu, found)


def observed(device: Device, knowledge: Knowledge) -> FitsDevice:
    """A GPU of a host: its compute capability is what the driver said, the rest is known by its name."""
    named_so = _matching(device.name, knowledge.gpus)
    found = [one for one in named_so if one.compute_capability == device.compute_capability]
    known = parse(device.compute_capability) is not None
    told = _device(device.name, found)
    words = _WORD.findall(device.name.lower())
    line = next((_LINES[word] for word in words if word in _LINES and "quadro rtx" not in " ".join(words)), None)
    return FitsDevice(
        name=device.name,
        compute_capability=device.compute_capability if known else None,
        data_centre=told.data_centre if line is None else line,
        brands=told.brands,
    )


def _capability(text: str) -> str | None:
    found = _CAPABILITY.fullmatch(text.strip())
    if found is None:
        return None
    digits = found["digits"]
    return found["dotted"] or f"{digits[:-1]}.{digits[-1]}"


def _device(name: str, rows: Sequence[Gpu]) -> FitsDevice:
    lines = {row.data_centre for row in rows}
    brands = {brand for row in rows for brand in row.brands}
    return FitsDevice(
        name=name,
        compute_capability=rows[0].compute_capability if rows else None,
        data_centre=lines.pop() if len(lines) == 1 else None,
        brands=tuple(sorted(brands)) if all(row.brands for row in rows) else (),
    )


def _matching(text: str, gpus: Iterable[Gpu]) -> list[Gpu]:
    """The GPUs that a name can mean: of that very name; else those whose name has all its words.

    Of several, the ones with the fewest other words: ``3080`` is no ``3080 Ti``.
    """
    words = _words(text)
    if not words:
        return []
    rows = [(row, _words(row.gpu)) for row in gpus]
    exact = [row for row, own in rows if own == words]
    if exact:
        return exact
    partly = sorted(((row, own) for row, own in rows if words <= own), key=lambda one: len(one[1] - words - _MAKERS))
    found = [row for row, _ in partly]
    # Whoever leaves out a word that tells devices apart may mean either: "RTX 4000" is a Quadro or an Ada.
    return found if differ(found) else found[:1]


def differ(rows: Sequence[Gpu]) -> bool:
    """Whether it matters which of them is meant."""
    return len({(row.compute_capability, row.data_centre) for row in rows}) > 1


def _words(text: str) -> frozenset[str]:
    return frozenset(word for word in _WORD.findall(text.lower()) if _VARIANT.fullmatch(word) is None)
