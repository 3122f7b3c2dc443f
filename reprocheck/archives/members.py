"""Members of an image archive by name, links followed inside the archive."""

from __future__ import annotations

import posixpath

from reprocheck.errors import TargetError
from reprocheck.layers.problem import Problem, shown
from reprocheck.layers.tar import Member
from reprocheck.model.text import printable

LIMIT = 1 << 16
"""Members of an image archive that are read; 5,000 layers in the oldest shape are 20,000."""
_LINKS = 40
"""As many as the kernel follows for one path (path_resolution(7))."""
_OF_A_ROOT = frozenset({"bin", "boot", "dev", "etc", "home", "lib", "opt", "proc", "root", "sbin", "usr", "var"})
_ENOUGH = 4
_NOTED = 5


class Members:
    """What an archive holds; of members of one name the last counts, as tar(1) unpacks them."""

    def __init__(self, where: str) -> None:
        self._repeated: dict[str, None] = {}
        self._where = where
        self._members: dict[str, Member] = {}
        self._root: set[str] = set()

    def add(self, member: Member) -> None:
        """Take one in.

        Raises:
            TargetError: this is the archive of a root file system.
        """
        name = plain_name(member.name)
        if name is None:
            return
        if name in self._members and member.kind == b"0":
            self._repeated[name] = None
        self._members[name] = member
        top = name.partition("/")[0]
        if top in _OF_A_ROOT:
            self._root.add(top)
            if len(self._root) == _ENOUGH:
                raise TargetError(
                    f"{self._where}: not a docker-save or OCI archive: it looks like a root file system"
                    " (docker export); unpack it and name the directory as rootfs:DIR"
                )

    @property
    def notes(self) -> tuple[str, ...]:
        """Names that came more than once."""
        names = [shown(name.encode("utf-8", "surrogateescape")) for name in list(self._repeated)[:_NOTED]]
        return tuple(f"{name}: stands in the archive more than once; the last one counts" for name in names)

    def resolve(self, name: str) -> tuple[str, Member] | None:
        """The regular file that a name leads to, with its own name; ``None`` where there is none.

        Raises:
            TargetError: links lead in a circle or outside; it is no regular file.
        """
        at = name
        for _ in range(_LINKS):
            member = self._members.get(at)
            if member is None:
                return None
            if member.kind == b"0" and not member.sparse:
                return at, member
            if member.kind not in {b"1", b"2"}:
                raise TargetError(f"{self._where}: {printable(name[:200])}: is no regular file")
            # A hard link names a member from the top, a symbolic one from where it stands.
            base = posixpath.dirname(at) if member.kind == b"2" else ""
            target = posixpath.normpath(posixpath.join(base, member.link.decode("utf-8", "surrogateescape")))
            if target.startswith(("/", "../")) or target == "..":
                raise TargetError(f"{self._where}: {printable(name[:200])}: is a link that leads out of the archive")
            at = target
        raise TargetError(f"{self._where}: {printable(name[:200])}: too many links, or links in a circle")


def plain_name(raw: bytes) -> str | None:
    """A member's name as a path from the top; ``None`` for one that stands for nothing inside."""
    if raw.startswith(b"/") or b".." in raw.split(b"/"):
        return None
    name = posixpath.normpath(raw.decode("utf-8", "surrogateescape"))
    return None if name == "." else name


def damaged(problem: Problem) -> str:
    """What is wrong with an archive whose walk ended early."""
    return f"the archive is damaged: {problem.reason.removeprefix('layer ')}"
