"""Whether an image fits a host, as text: the verdict first, then why, what to expect and what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reprocheck.formats.layout import Page
from reprocheck.formats.words import side

if TYPE_CHECKING:
    from reprocheck.model.fits import Answer, Fits, FitsDevice, FitsHost, FitsVerdict

_WORDS: dict[FitsVerdict, tuple[str, str]] = {
    "fits": ("fits", "verified"),
    "does-not-fit": ("does not fit", "drift"),
    "cannot-tell": ("cannot tell", "unverified"),
}
_HOW: dict[Answer, str] = {
    "fits-by-minor-version-compatibility": "through minor-version compatibility",
    "fits-by-forward-compatibility": "through forward compatibility",
    "cpu-only": "on the CPU only",
    "no-kernels": "no kernels for this GPU",
    "refused-at-start": "refused at start",
    "driver-too-old": "the driver is too old",
    "other-architecture": "built for another architecture",
    "libraries-missing": "libraries are missing",
    "gpu-not-served-by-driver": "the driver does not serve this GPU",
}
_MOST_DEVICES = 4
_MOST_GAPS = 12


def render(fits: Fits, *, width: int = 100, color: bool = False) -> str:
    """Lay out what was judged."""
    page = Page(width=width, color=color)
    word, style = _WORDS[fits.verdict]
    how = f", {_HOW[fits.answer]}" if fits.answer in _HOW else ""
    page.line((word, style), f"  {side(fits.target)} on {_host(fits.host)}{how}")
    apart = len({program.environment for program in fits.programs}) > 1
    for program in fits.programs:
        if len(fits.programs) > 1:
            where = f" in {program.environment}" if apart and program.environment is not None else ""
            answer = _HOW.get(program.answer, program.answer.replace("-", " "))
            page.line((f"{program.name} {program.version}", "strong"), f"{where}: {answer}")
        for statement in program.statements:
            page.row(statement.about, statement.said)
    for statement in fits.statements:
        page.row(statement.about, statement.said)
    label = "expect"
    for one in fits.expect:
        page.row(label, f"{one.where}: {one.text}")
        label = ""
    if fits.repair is not None:
        page.row("repair", fits.repair)
    label = "gap"
    for gap in fits.gaps[:_MOST_GAPS]:
        page.row(label, f"{gap.where}: {gap.reason}")
        label = ""
    if len(fits.gaps) > _MOST_GAPS:
        page.row(label, f"and {len(fits.gaps) - _MOST_GAPS:,} more (--format json)")
    return page.render()


def _host(host: FitsHost) -> str:
    parts = []
    if host.driver is not None:
        parts.append("no NVIDIA driver" if host.driver == "none" else f"driver {host.driver}")
    devices = [_device(one) for one in host.devices or ()]
    counted = {device: devices.count(device) for device in dict.fromkeys(devices)}
    shown = [f"{count} of {device}" if count > 1 else device for device, count in counted.items()]
    parts += shown[:_MOST_DEVICES]
    if len(shown) > _MOST_DEVICES:
        parts.append(f"{len(shown) - _MOST_DEVICES} more")
    told = ", ".join(parts)
    return told if host.name == "as named" else f"{host.name}: {told}" if told else host.name


def _device(one: FitsDevice) -> str:
    capability = f"compute capability {one.compute_capability or 'not known'}"
    return capability if one.name is None else f"{one.name} ({capability})"
