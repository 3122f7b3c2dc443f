"""From the members of a layer's tar to its index (OCI image specification, "Image Layer Filesystem Changeset").

The index is what a container engine would make of the layer in a directory of its own, before the kernel stacks
it on others: whiteouts and opaque markers count wherever they stand, of entries with one name the last one wins,
and the links of the layer itself are followed inside it, never outside.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from msgspec.structs import replace

from reprocheck.layers.entry import ROOT, SPARSE, Entry, joined
from reprocheck.layers.index import LayerIndex
from reprocheck.layers.problem import Problem, shown
from reprocheck.layers.tar import MEMBERS, WHITEOUT, Member

LINKS = 40
"""As many links as the kernel follows for one path (path_resolution(7))."""
LISTED = 1000
"""Losses that are listed, and notes; beyond, they are counted."""
_NAME_MAX = 255
_PATH_MAX = 4096
_PATHS_MOST = 32 << 20
"""Bytes of the paths of all directories: one name in a tar can bring two thousand of them."""
_LOOKED_UP_MOST = 4 << 30
"""Bytes of the paths that are looked up in all: links to links make much of little, and so do names that are deep."""
_NAME_COST = 200
"""Bytes of a path that take as long to be looked up as its last name."""
_KNOWN_MOST = 10_000
_WHITEOUT = b".wh."
_OPAQUE = b".wh..wh..opq"
_AUFS = b".wh..wh."
_IMPLIED = ROOT
_IMPLIED_OPAQUE = replace(ROOT, opaque=True)
_HIDDEN = Entry(type="whiteout")
_DEVICE = Entry(type="whiteout")
"""A whiteout that is an entry like any other: it is replaced, and makes no directory opaque. Told by its identity."""
_NOTHING: Mapping[bytes, Entry] = MappingProxyType({})
_OTHER = frozenset({b"3", b"4", b"6"})
_KINDS = {
    "file": "file",
    "dir": "directory",
    "link": "symbolic link",
    "other": "special file",
    "whiteout": "special file",
}

_Children = dict[bytes, Entry]


class _RefusedError(Exception):
    """This member has no place in a layer."""


class IndexBuilder:
    """Takes the members in the order of the tar."""

    def __init__(self) -> None:
        self._root = _IMPLIED
        self._directories: dict[bytes, _Children] = {b"": {}}
        self._whiteouts: dict[bytes, set[bytes]] = {}
        """By directory: in its ``Entry`` the mark would be lost when the name is written twice."""
        self._known: dict[bytes, tuple[bytes, _Children, int]] = {}
        """Directories by their names in the tar, links followed, and how many these were; forgotten when a directory
        or link is replaced."""
        self._repeated: set[bytes] = set()
        self._problems: list[Problem] = []
        self._counts = {True: 0, False: 0}
        self._implied = 0
        self._paths = 0
        self._looked_up = 0

    def report(self, problem: Problem) -> None:
        """Take note of what is wrong with the layer."""
        self._counts[problem.lost] += 1
        if self._counts[problem.lost] <= LISTED:
            self._problems.append(problem)

    def add(self, member: Member) -> None:
        """Put a member where it belongs; one that belongs nowhere is reported."""
        name = member.name
        if member.marks:
            self._report_marks(member)
        if name[-1:] == b"/":
            name = name.rstrip(b"/")
        above, _, base = name.rpartition(b"/")
        try:
            known = self._known.get(above) or self._step(above)
            # Names that begin with a dot may be whiteouts, and they may be the dots themselves.
            if known is None or base[:1] in {b"", b"."} or len(base) > _NAME_MAX or b"\x00" in base:
                self._add_checked(member, name, above, base)
            elif len(name) >= _PATH_MAX:
                raise _too_long(name)
            else:
                path, children, _ = known
                entry = self._entry(member, path, base)
                if base in children:
                    self._put(path, children, base, entry)
                else:
                    children[base] = entry
        except _RefusedError as error:
            self.report(Problem(shown(member.name), str(error), lost=True))

    def finish(self) -> LayerIndex:
        """The index; nothing can be added any more."""
        for lost, count in self._counts.items():
            if count > LISTED:
                what = "problems that lose something" if lost else "notes"
                self._problems.append(Problem("", f"{count - LISTED} more {what}", lost=lost))
        return LayerIndex(self._root, self._directories, tuple(self._problems))

    def _step(self, above: bytes) -> tuple[bytes, _Children, int] | None:
        """A directory that the layer has an entry of, in one whose name in the tar is known."""
        outer, _, name = above.rpartition(b"/")
        known = self._known.get(outer)
        entry = known[1].get(name) if known else None
        if known is None or entry is None or entry.type != "dir":
            return None
        path = joined(known[0], name)
        return self._learn(above, path, self._children(path), known[2]) if len(path) < _PATH_MAX else None

    def _learn(self, above: bytes, path: bytes, children: _Children, links: int) -> tuple[bytes, _Children, int]:
        if len(self._known) >= _KNOWN_MOST:
            self._known.clear()
        self._known[above] = known = (path, children, links)
        return known

    def _add_checked(self, member: Member, name: bytes, above: bytes, base: bytes) -> None:
        if len(name) >= _PATH_MAX:
            raise _too_long(name)
        if b"\x00" in name:
            raise _RefusedError("a NUL in its name")
        parts = [part for part in name.split(b"/") if part not in {b"", b"."}]
        self._look_up(len(parts), 0)
        if b".." in parts:
            raise _RefusedError("'..' in its name")
        if any(len(part) > _NAME_MAX for part in parts):
            raise _RefusedError(f"a part of its name is longer than {_NAME_MAX} bytes")
        is_directory = member.kind == b"5"
        if not parts:
            if not is_directory:
                raise _RefusedError(f"the root can't be replaced by a {self._said(member)}")
            self._put_root(member)
            return
        last = parts.pop()
        marker = last == _OPAQUE and not is_directory
        if any(part.startswith(_AUFS) for part in parts) or (last.startswith(_AUFS) and not marker):
            return  # what aufs kept for itself
        path, children = self._directory(above if base == last else None, parts)
        if marker:
            self._make_opaque(path)
        elif last.startswith(_WHITEOUT) and not is_directory:
            self._hide(path, children, last[len(_WHITEOUT) :])
        else:
            self._put(path, children, last, self._entry(member, path, last))

    def _said(self, member: Member) -> str:
        if member.kind == b"1":
            return "hard link"
        return _KINDS["file" if member.kind == b"0" else "link" if member.kind == b"2" else "other"]

    def _entry(self, member: Member, path: bytes, name: bytes) -> Entry:
        kind = member.kind
        if kind == b"0":
            offset = member.offset
            if member.sparse:
                reason = f"a sparse file of {member.size} bytes: its contents are not read"
                self.report(Problem(shown(member.name), reason, lost=True))
                offset = SPARSE
            return Entry("file", member.mode, member.size, member.mtime, b"", offset)
        if kind == b"5":
            return Entry("dir", member.mode, 0, member.mtime)
        if kind == b"2":
            if not member.link or b"\x00" in member.link or len(member.link) >= _PATH_MAX:
                raise _RefusedError("a symbolic link with a target that none can have")
            return Entry("link", member.mode, 0, member.mtime, member.link)
        if kind == b"1":
            return self._linked(member, joined(path, name))
        if kind in _OTHER:
            return Entry("other", member.mode, 0, member.mtime)
        if kind == WHITEOUT:
            reason = "a character device 0/0: a whiteout in the storage of engines, if not by the specification"
            self.report(Problem(shown(member.name), reason, lost=False))
            return _DEVICE
        raise _RefusedError(f"an entry of unknown type {shown(kind)}")

    def _report_marks(self, member: Member) -> None:
        """Docker sets such attributes and the kernel heeds them; containerd leaves out those of the administrator."""
        marks = ", ".join(mark.decode() for mark in member.marks)
        reason = f"has {marks}, marks of the overlay file system: what is seen there depends on the engine"
        self.report(Problem(shown(member.name), reason, lost=True))

    def _linked(self, member: Member, place: bytes) -> Entry:
        """What a hard link links to: its target's path is resolved but for the last name, as link(2) does it."""
        parts = [part for part in member.link.split(b"/", _PATH_MAX) if part not in {b"", b"."}]
        last = parts.pop() if parts else b".."
        path = self._resolve(b"", parts, 0)[0] if last != b".." and len(member.link) < _PATH_MAX else b""
        entry = self._directories.get(path, _NOTHING).get(last)
        if entry is None or entry is _HIDDEN:
            raise _RefusedError(f"dangling hard link: {shown(member.link)} is not in this layer")
        if entry.type == "dir":
            raise _RefusedError(f"hard link to a directory: {shown(member.link)}")
        if (joined(path, last) + b"/").startswith(place + b"/"):
            # What is there would make way for the link first.
            raise _RefusedError(f"dangling hard link: {shown(member.link)} is what the link would replace")
        return entry

    def _put_root(self, member: Member) -> None:
        if self._root is not _IMPLIED and self._root is not _IMPLIED_OPAQUE:
            self._repeat(b"", "dir", "dir")
        self._root = Entry("dir", member.mode, 0, member.mtime, opaque=self._root.opaque)

    def _put(self, path: bytes, children: _Children, name: bytes, entry: Entry) -> None:
        """Give a directory an entry; what has that name makes way."""
        there = children.get(name)
        if there is None:
            children[name] = entry
            return
        if there is _HIDDEN:
            children[name] = _opaque(entry) if entry.type == "dir" else entry
            return
        whole = joined(path, name)
        if there.type == entry.type == "dir":
            if there is not _IMPLIED and there is not _IMPLIED_OPAQUE:
                self._repeat(whole, "dir", "dir")
            children[name] = _opaque(entry) if there.opaque else entry
            return
        self._repeat(whole, there.type, entry.type)
        if there.type == "dir":
            self._drop(whole)
        if there.type in {"dir", "link"}:
            self._known.clear()
        if entry.type == "dir" and name in self._whiteouts.get(path, ()):
            entry = _opaque(entry)
        children[name] = entry

    def _repeat(self, path: bytes, first: str, second: str) -> None:
        if path not in self._repeated:
            self._repeated.add(path)
            reason = f"duplicate entry: a {_KINDS[first]}, then a {_KINDS[second]}; the last one counts"
            self.report(Problem(shown(path), reason, lost=False))

    def _drop(self, path: bytes) -> None:
        """Forget what is in a directory and below."""
        left = [path]
        while left:
            path = left.pop()
            self._whiteouts.pop(path, None)
            children = self._directories.pop(path, None)
            if children is None:
                continue
            self._paths -= len(path)
            left += [joined(path, name) for name, entry in children.items() if entry.type == "dir"]

    def _hide(self, path: bytes, children: _Children, name: bytes) -> None:
        """A whiteout hides what lies below; an entry of its own layer stands (layer.md, "Whiteouts")."""
        if name in {b"", b".", b".."}:
            raise _RefusedError("a whiteout of no name")
        self._whiteouts.setdefault(path, set()).add(name)
        there = children.get(name)
        if there is None:
            children[name] = _HIDDEN
        elif there.type == "dir":
            children[name] = _opaque(there)

    def _make_opaque(self, path: bytes) -> None:
        if not path:
            # By the specification all layers below are hidden, by the kernel's overlay file system nothing is.
            if not self._root.opaque:
                reason = "an opaque marker in the root: storage by overlay takes no notice of it, other storage does"
                self.report(Problem(shown(_OPAQUE), reason, lost=False))
            self._root = _opaque(self._root)
            return
        above, _, name = path.rpartition(b"/")
        siblings = self._directories[above]
        siblings[name] = _opaque(siblings[name])

    def _directory(self, above: bytes | None, parts: list[bytes]) -> tuple[bytes, _Children]:
        """The directory that a name of the tar means; those that the tar does not have are implied.

        ``above`` is its spelling in the tar, ``None`` where ``parts`` are not just that.
        """
        known = self._known.get(above.rpartition(b"/")[0]) if above else None
        if above and known and parts and above.endswith(b"/" + parts[-1]):
            path, links = self._resolve(known[0], parts[-1:], known[2])
        else:
            path, links = self._resolve(b"", parts, 0)
        self._imply(path)
        children = self._children(path)
        if above is not None:
            self._learn(above, path, children, links)
        return path, children

    def _resolve(self, path: bytes, parts: list[bytes], links: int) -> tuple[bytes, int]:
        """Follow names and links from a directory of the layer; what is not there is taken for a directory.

        Returns:
            The path, and how many links were followed from the root on.
        """
        left = parts[::-1]
        while left:
            name = left.pop()
            self._look_up(1, len(path))
            if name == b"..":
                path = path.rpartition(b"/")[0]
                continue
            entry = self._directories.get(path, _NOTHING).get(name)
            if entry is None or entry.type == "dir" or entry is _HIDDEN:
                path = joined(path, name)
                if len(path) >= _PATH_MAX or len(name) > _NAME_MAX:
                    raise _RefusedError("links lead to a path that is too long")
            elif entry.type == "link":
                links += 1
                if links > LINKS:
                    raise _RefusedError(f"too many links: more than {LINKS} on its way")
                path = b"" if entry.link.startswith(b"/") else path
                left += [part for part in reversed(entry.link.split(b"/")) if part not in {b"", b"."}]
            else:
                raise _RefusedError(f"{shown(joined(path, name))} is no directory")
        return path, links

    def _look_up(self, names: int, length: int) -> None:
        """Count names that are looked up in a path of this length."""
        self._looked_up += names * _NAME_COST + length
        if self._looked_up > _LOOKED_UP_MOST:
            raise _RefusedError(
                f"too much to look up: names and links of the layer make more than {_LOOKED_UP_MOST} bytes"
            )

    def _imply(self, path: bytes) -> None:
        """Make a directory that the tar has no entry for, and those above it."""
        missing = []
        while path:
            above, _, name = path.rpartition(b"/")
            there = self._directories.get(above, _NOTHING).get(name)
            if there is not None and there.type == "dir":
                break
            missing.append((above, name))
            path = above
        for above, name in reversed(missing):
            self._implied += 1
            if self._implied > MEMBERS:
                raise _RefusedError(f"more than {MEMBERS} directories that only names imply")
            hidden = name in self._whiteouts.get(above, ())
            self._children(above)[name] = _IMPLIED_OPAQUE if hidden else _IMPLIED

    def _children(self, path: bytes) -> _Children:
        children = self._directories.get(path)
        if children is None:
            self._paths += len(path)
            if self._paths > _PATHS_MOST:
                self._paths -= len(path)
                raise _RefusedError(f"the paths of the layer's directories have more than {_PATHS_MOST} bytes")
            children = self._directories[path] = {}
        return children


def _too_long(name: bytes) -> _RefusedError:
    return _RefusedError(f"a name of {len(name)} bytes, more than {_PATH_MAX - 1}")


def _opaque(directory: Entry) -> Entry:
    if directory.opaque:
        return directory
    # An implied directory stays one that can be told by its identity.
    return _IMPLIED_OPAQUE if directory is _IMPLIED else replace(directory, opaque=True)
