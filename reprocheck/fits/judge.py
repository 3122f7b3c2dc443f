"""The image as a whole: its programs, the start of its container, what would be seen, what to do."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING

from reprocheck import __version__
from reprocheck.errors import ExitCode
from reprocheck.fits.needs import Need, compat, others, programs
from reprocheck.fits.numbers import parse
from reprocheck.fits.program import NO_DRIVER, UNSUPPORTED_PTX, Judgement, judge, text, worst
from reprocheck.fits.start import start
from reprocheck.model.fits import Answer, Expectation, Fits, FitsHost, FitsVerdict, Program, Statement
from reprocheck.model.report import MadeBy
from reprocheck.model.snapshot import ONE_ENVIRONMENT, Gap

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from reprocheck.knowledge import Knowledge
    from reprocheck.model.report import Side
    from reprocheck.model.snapshot import Snapshot

EXIT_CODES: dict[FitsVerdict, ExitCode] = {
    "fits": ExitCode.OK,
    "does-not-fit": ExitCode.DRIFT,
    "cannot-tell": ExitCode.UNVERIFIED,
}
_YES: frozenset[Answer] = frozenset({"fits", "fits-by-minor-version-compatibility", "fits-by-forward-compatibility"})


def fits(snapshot: Snapshot, target: Side, host: FitsHost, knowledge: Knowledge, *, named: bool) -> Fits:
    """Judge whether an image runs on a host.

    Args:
        snapshot: the image's facts.
        target: what the image is, for the report.
        host: its driver and GPUs, as far as they were asked for.
        knowledge: what is known of CUDA releases, drivers and devices.
        named: whether driver or GPU were named, so that the two need not go together.
    """
    found = [
        Judgement(need=need, host=host, knowledge=knowledge, compat=list(compat(snapshot)), named=named)
        for need in programs(snapshot, knowledge)
    ]
    judged = [judge(one) for one in found]
    gaps = [gap for one in found for gap in one.gaps]
    absent = [one.need for one in found if one.need.runtime == "absent"]
    statements, unread = _as_a_whole(snapshot, judged)
    answer, checks = worst([one.answer for one in judged]), tuple[Expectation, ...]()
    if unread:
        gaps += unread
        answer = worst([answer, "cannot-tell"]) if judged else "cannot-tell"
    elif not judged:
        answer = "cpu-only"
    if host.driver != NO_DRIVER and snapshot.subject.kind not in ONE_ENVIRONMENT:
        begun = start(snapshot, host, knowledge)
        statements += begun.statements
        gaps += begun.gaps
        checks = begun.expect
        if any(one.holds is False for one in begun.statements):
            answer = worst([answer, "refused-at-start"])
        if begun.gaps:
            answer = worst([answer, "cannot-tell"])
    other = _other_architecture(snapshot, host)
    if other is not None:
        statements.append(other)
        answer = "other-architecture"
    verdict = _verdict(answer, host)
    return Fits(
        made_by=MadeBy(reprocheck=__version__, date=datetime.datetime.now(datetime.timezone.utc).date().isoformat()),
        target=target,
        host=host,
        verdict=verdict,
        answer=answer,
        programs=tuple(judged),
        statements=tuple(statements),
        expect=(*checks, *_expected(judged, absent, answer, started=not checks)) if verdict != "fits" else (),
        repair=_repair(answer, judged, found) if verdict == "does-not-fit" else None,
        gaps=tuple(dict.fromkeys(gaps)),
    )


_FAMILIES = {
    "x86_64": "x86",
    "i386": "x86",
    "i486": "x86",
    "i586": "x86",
    "i686": "x86",
    "aarch64": "ARM",
    "armv7l": "ARM",
    "ppc64le": "POWER",
    "s390x": "z",
    "riscv64": "RISC-V",
}


def _other_architecture(snapshot: Snapshot, host: FitsHost) -> Statement | None:
    own, there = snapshot.system.architecture, host.architecture
    families = {_FAMILIES.get(one or "") for one in (own, there)}
    if len(families) == 1 or None in families:
        return None
    return Statement(about="machine", holds=False, said=f"the image is for {own}, the host is {there}")


def _verdict(answer: Answer, host: FitsHost) -> FitsVerdict:
    if answer in _YES:
        return "fits"
    if answer == "cpu-only" and host.driver in {None, NO_DRIVER} and not host.devices:
        # Nobody asked for a GPU.
        return "fits"
    return "cannot-tell" if answer == "cannot-tell" else "does-not-fit"


def _as_a_whole(snapshot: Snapshot, judged: Sequence[Program]) -> tuple[list[Statement], list[Gap]]:
    """What is said of the frameworks that use no CUDA; and what of the image was not read."""
    statements, gaps = [], []
    coverage = snapshot.coverage.get("accelerator")
    where = snapshot.header.target
    for framework in snapshot.accelerator.frameworks:
        if framework.built_with is None:
            reason = f"what {framework.name} {framework.version} was built with is not known"
            gaps.append(Gap(what="accelerator.frameworks", where=framework.environment, reason=reason))
    for framework, built_for in others(snapshot):
        said = f"{framework.name} {framework.version} was built for {built_for}"
        statements.append(Statement(about="needs", holds=None, said=said))
    if coverage is None or not snapshot.was_read("accelerator"):
        gaps.append(Gap(what="accelerator", where=where, reason="its CUDA libraries and frameworks were not read"))
    elif coverage.state == "partial" and not judged:
        gaps.append(Gap(what="accelerator", where=where, reason="not all of its CUDA libraries could be read"))
    elif not judged and not statements and not gaps:
        said = "no CUDA runtime and no framework that was built for CUDA is in the image"
        statements.append(Statement(about="needs", holds=None, said=said))
    return statements, gaps


# What would be seen, and what to do.

_NODE = "another node (capture it there, then --host FILE)"
TEXTS: dict[Answer, str] = {
    "driver-too-old": '"CUDA driver version is insufficient for CUDA runtime version"',
    "no-kernels": '"no kernel image is available for execution on the device"',
    "gpu-not-served-by-driver": 'nvidia-smi lists no such GPU; "no CUDA-capable device is detected"',
}


def _expected(
    judged: Sequence[Program], absent: Sequence[Need], answer: Answer, *, started: bool
) -> Iterator[Expectation]:
    where = "Docker, Apptainer" if started else "once it runs"
    if answer == "no-driver":
        text = 'could not select device driver "" with capabilities: [[gpu]], where the NVIDIA runtime is missing too'
        yield Expectation(where="Docker --gpus", text=text)
        yield Expectation(
            where="Apptainer --nv", text="a warning that it finds no NVIDIA files; the programs run on the CPU"
        )
    if answer == "other-architecture":
        yield Expectation(where="Docker, Apptainer", text='"exec format error", or that the architecture could not run')
        return
    for library in dict.fromkeys(library for need in absent for library in need.missing[:1]):
        text = f'"{library}: cannot open shared object file: No such file or directory"'
        yield Expectation(where=where, text=text)
    if answer == "cpu-only" and judged:
        yield Expectation(where=where, text="it starts, and no GPU is found: the programs run on the CPU")
    if any(program.answer == "driver-too-old" and program.name == "torch" for program in judged):
        yield Expectation(where=where, text='PyTorch: "The NVIDIA driver on your system is too old"')
    for one in dict.fromkeys(program.answer for program in judged):
        if one in TEXTS:
            yield Expectation(where=where, text=TEXTS[one])
    if any(program.answer == "no-kernels" and _is_about_ptx(program) for program in judged):
        yield Expectation(where=where, text=f'or "{UNSUPPORTED_PTX}"')


def _is_about_ptx(program: Program) -> bool:
    return any(one.about == "GPU" and one.holds is False and "PTX" in one.said for one in program.statements)


def _repair(answer: Answer, judged: Sequence[Program], found: Sequence[Judgement]) -> str | None:
    concerned = [(program, one.need) for program, one in zip(judged, found, strict=True) if program.answer == answer]
    names = " and ".join(program.name for program, _ in concerned)
    lowest = max(
        (program.lowest_driver or "" for program, _ in concerned), key=lambda text: parse(text) or (), default=""
    )
    wanted = " and ".join(_wanted(need) for _, need in concerned) or "a framework that was built for CUDA"
    outdated = any(
        one.about == "driver" and one.holds is False for program, _ in concerned for one in program.statements
    )
    newer = f", and driver >= {lowest}" if outdated and lowest else ""
    works = all(program.answer in _YES for program in judged)
    refused = "a newer driver" + (
        "; docker run -e NVIDIA_DISABLE_REQUIRE=1 starts it without the check" if works else ""
    )
    lacking = ", ".join(dict.fromkeys(library for _, need in concerned for library in need.missing))
    repairs: dict[Answer, str] = {
        "other-architecture": "an image for the host's architecture (docker build --platform)",
        "libraries-missing": f"a package that brings {lacking}",
        "no-driver": f"{_NODE}, or name what is meant: --driver, --gpu",
        "driver-too-old": f"driver >= {lowest}, or {_NODE}; until then CPU only",
        "gpu-not-served-by-driver": "a driver of a branch that serves the GPU, or another node",
        "no-kernels": f"a build of {names} that has code for this GPU, or another GPU",
        "refused-at-start": refused,
        "cpu-only": f"an image that has {wanted}{newer}; on the CPU it runs as it is",
    }
    return repairs.get(answer)


def _wanted(need: Need) -> str:
    libraries = f"CUDA {text(need.built or need.cuda or ())}" + (f" and cuDNN {need.cudnn}" if need.cudnn else "")
    return f"{libraries} for {need.name} {need.version}"
