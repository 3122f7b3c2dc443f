# -*- coding: utf-8 -*-
"""The part of the probe that compares installed files with RECORD (PyPA, "Recording installed projects").

Its text stands in the probe when that is sent (``reprocheck/targets/probe.py``), so it keeps the probe's rules:
standard library only, parses on Python 2.7, works on 3.6. It asks for the size of each file once, a directory at a
time, opens none but scripts unless hashes were asked for, and looks at nothing that a RECORD names outside of the
environment that it stands in.

No false alarms are worth more here than a last bit of sharpness. Not judged: rows without size and hash, bytecode in
``__pycache__`` (whichever Python runs next writes it), what the installer tells of itself beside RECORD. Compared
without their first line: scripts, if that is where the difference lies. A file that several distributions have
written agrees if it agrees with one of them.
"""

import base64
import hashlib
import os
import re
import threading

RECORD_LIMIT = 32 << 20
"""A larger RECORD is not compared."""
ROW_LIMIT = 400000
"""Nor are more rows than this for one want; each takes some 230 bytes."""
LINE_LIMIT = 1 << 16
"""Bytes of one row; a path has 4096 at most."""
PLAIN_LIMIT = 4 << 20
"""Bytes of a RECORD whose rows are all held at once."""
NAME_LINES = 8
"""Lines that a quoted name may go over."""
HASH_LIMIT = 64 << 30
"""Bytes that are hashed for one want."""
NAMED = 200
"""Files that are named for one RECORD."""
SCRIPT_LIMIT = 1 << 20
"""What is larger, or should be, is no script."""
WORKERS = 8

# "Recording installed projects": sha256 or better. All of these are guaranteed to be there since Python 3.6.
ALGORITHMS = frozenset("sha256 sha384 sha512 sha3_256 sha3_384 sha3_512 blake2b blake2s".split())
GONE = frozenset(["ENOENT", "ENOTDIR", "ENAMETOOLONG"])
# Facts of their own, which also are rewritten by whoever packages an environment anew (conda does); and RECORD itself
# with its signatures.
TOLD = frozenset(
    [b"RECORD", b"RECORD.jws", b"RECORD.p7s", b"INSTALLER", b"REQUESTED", b"direct_url.json"]
)  # fmt: skip
# First lines of a script in a wheel that an installer rewrites (PyPA, "Binary distribution format", "Scripts").
PLACEHOLDERS = (b"#!python\n", b"#!pythonw\n", b"#!python3\n", b"#!python\r\n", b"#!pythonw\r\n")
AS_IT_IS = (b"",)
ODD = (b'"', b"\\", b"\0")
BOM = b"\xef\xbb\xbf"
NO_NAME = frozenset([b"", b".", b".."])
FIELD = re.compile(br'(?:"([^"]*(?:""[^"]*)*)"|([^",][^,]*|))(,|\Z)')
SITE = re.compile(br"(.*)/lib[^/]*/(?:python|pypy)[^/]*(?:/(?:site|dist)-packages)?\Z", re.S)


def cells(row):
    """The fields of a row as the csv module reads them; None where a quoted one does not end."""
    if b'"' not in row:
        return row.split(b",")
    if len(row) > LINE_LIMIT:
        return None
    found, at = [], 0
    while True:
        part = FIELD.match(row, at)
        if part is None:
            return None
        quoted, plain, end = part.groups()
        found.append(plain if quoted is None else quoted.replace(b'""', b'"'))
        at = part.end()
        if not end:
            return found


def rows(raw):
    """Each row of a RECORD: its number, fields (None: can't be told), and the line that it begins with."""
    raw = raw[len(BOM) :] if raw.startswith(BOM) else raw
    if b'"' not in raw and raw.count(b"\n") <= ROW_LIMIT and len(raw) < ROW_LIMIT * 100:
        for number, line in enumerate(raw.split(b"\n"), 1):
            if line.endswith(b"\r"):
                line = line[:-1]
            if line:
                yield number, line.split(b","), line
        return
    at = number = 0
    while at < len(raw):
        number += 1
        begin, end = at, raw.find(b"\n", at) + 1 or len(raw)
        at, lines = end, 1
        line = raw[begin:end].rstrip(b"\r\n")
        found = cells(line)
        while found is None and lines < NAME_LINES and end < len(raw) and end - begin < LINE_LIMIT:
            # Perhaps a name that holds the end of a line. If not, only this line is lost.
            lines += 1
            end = raw.find(b"\n", end) + 1 or len(raw)
            found = cells(raw[begin:end].rstrip(b"\r\n"))
        if line:
            yield number, found, line
        if found is not None:
            at, number = end, number + lines - 1


def plain_rows(raw):
    """How many rows there are, and by directory the names, hashes and sizes of those that have a hash or a size.

    None if anything is odd about any of them, which is rare.
    """
    if len(raw) > PLAIN_LIMIT or raw.startswith(BOM) or any(odd in raw for odd in ODD):
        return None
    lines = raw.splitlines()
    if b"\r" in raw and len(lines) != raw.count(b"\n") + (not raw.endswith(b"\n")):
        return None  # an end of a line within a line
    lines = list(filter(None, lines))
    if lines and max(map(len, lines)) > 4096:
        return None
    found, last = {}, None
    try:
        for line in lines:
            path, digest, size = line.split(b",")
            head, slash, name = path.rpartition(b"/")
            if name in NO_NAME or (slash and not head):
                return None
            if head != last:
                names, digests, sizes = found.setdefault(head, ([], [], []))
                last = head
            if size or digest:
                names.append(name)
                digests.append(digest)
                sizes.append(size)
    except ValueError:  # not three fields
        return None
    for _, _, sizes in found.values():
        if sizes and (max(map(len, sizes)) > 18 or not (b"0" + b"".join(sizes)).isdigit()):
            return None
    return len(lines), found


def fault(found):
    """What is wrong with a row, if anything."""
    if found is None:
        return "a quote without its end"
    if len(found) != 3:
        return "%d columns" % len(found)
    path, _, size = found
    if len(path) > 4096:
        return "a name of more than 4096 bytes"
    if b"\0" in path:
        return "a NUL in the name"
    if b"\\" in path:
        return "a backslash in the name"
    if path.rpartition(b"/")[2] in NO_NAME:
        return "no name of a file"
    if size and not (size.isdigit() and len(size) < 19):
        return "a size that is no number"
    return None


def inside(path, directory):
    """Whether a path without `..` is a directory or stands below it."""
    return path == directory or path.startswith(directory.rstrip(b"/") + b"/")


def moves(head):
    """Whether `pip install --target` may have moved what it recorded in this directory."""
    return head.startswith(b"../../") and not head.startswith(b"../../..")


def prefix_of(base):
    """The environment that a directory of distributions belongs to; itself, where its path tells none."""
    found = SITE.match(base)
    if found:
        return found.group(1) or b"/"
    return os.path.dirname(base) if os.path.basename(base) in (b"site-packages", b"dist-packages") else base


class Claim(object):
    """What one RECORD says of one file."""

    __slots__ = ("told", "where", "name", "size", "digest", "state", "first_lines")

    def __init__(self, told, where, name, size, digest):
        self.told = told
        self.where = where
        self.name = name
        self.size = int(size) if size else None
        self.digest = digest
        self.state = None
        self.first_lines = AS_IT_IS

    def shown(self):
        return os.path.join(self.where, self.name).decode("latin-1")

    def hashed(self):
        """Algorithm and bytes of the hash; None where it can't be compared."""
        algorithm, _, encoded = self.digest.partition(b"=")
        name = algorithm.decode("latin-1")
        try:
            # Without padding; and the one way to write these bytes, lest a match be missed.
            value = base64.b64decode(encoded + b"=" * (-len(encoded) % 4), b"-_", True)
        except ValueError:
            return None
        if base64.urlsafe_b64encode(value).rstrip(b"=") != encoded or name not in ALGORITHMS:
            return None
        return (name, value) if len(value) == hashlib.new(name).digest_size else None


class Unhashed(object):
    """A file that is to be hashed, in one pass for all who ask, once for each algorithm and first line."""

    __slots__ = ("claims", "wanted", "size", "first", "at", "sums")

    def __init__(self, claims, wanted, size, first):
        self.claims = claims
        self.wanted = wanted
        self.size = size
        self.first = first  # bytes of its first line, where others may have stood in its place
        self.at = 0
        self.sums = None
        self.forget()

    def forget(self):
        """Until all of it has gone by, nothing is known."""
        for claim in self.wanted:
            claim.state = "unreadable"

    def take(self, piece):
        """Bytes of it, in order; hashes are held only while its bytes go by."""
        if self.sums is None:
            sums = set((claim.hashed()[0], line) for claim in self.wanted for line in claim.first_lines)
            self.sums = dict(((name, line), hashlib.new(name, line)) for name, line in sums)
        body = piece[max(self.first - self.at, 0) :]
        for (_, line), total in self.sums.items():
            total.update(body if line else piece)
        self.at += len(piece)
        if self.at == self.size:
            found = dict((key, total.digest()) for key, total in self.sums.items())
            for claim in self.wanted:
                name, value = claim.hashed()
                claim.state = "same" if any(found[name, line] == value for line in claim.first_lines) else "modified"
            self.sums = None


class Records(object):
    """The RECORD files of one want, compared with the files that they name."""

    limit = RECORD_LIMIT
    claim = Claim

    def __init__(self, files, deep):
        self.on = files
        self.deep = deep
        self.rows = ROW_LIMIT
        self.bytes = HASH_LIMIT
        self.places = {}
        self.scripts = set()
        self.owners = []
        self.unhashed = {}

    def take(self, path, raw, told):
        """Read a RECORD; `told` is where it is told what came of it."""
        base, info = os.path.split(os.path.normpath(os.path.dirname(path)))
        prefix = prefix_of(base)
        self.scripts.update((os.path.join(base, b"bin"), os.path.join(prefix, b"bin")))
        self.begin(told)
        told.update({"rows": 0, "bad": 0, "first_bad": None, "outside": 0, "first_outside": None})
        if not self.take_plain(raw, told, base, info, prefix):
            self.take_rows(raw, told, base, info, prefix)

    def take_plain(self, raw, told, base, info, prefix):
        """Take a RECORD a directory at a time; False, and nothing is done, where its rows have to be looked at singly."""
        count, columns = plain_rows(raw) or (ROW_LIMIT + 1, {})
        heads = [(head, self.where(head, base, prefix)) for head in columns]
        if count > self.rows or any(where is None or moves(head) for head, (where, _, _) in heads):
            return False
        self.rows -= count
        told["rows"] = count
        for head, (where, shown, judged) in heads:
            if judged and shown == info:
                for name, digest, size in zip(*columns[head]):
                    if name not in TOLD:
                        self.claimed(where, told, shown, name, digest, size)
            elif judged and columns[head][0]:
                self.places.setdefault(where, []).append((told, shown) + columns[head])
        return True

    def take_rows(self, raw, told, base, info, prefix):
        heads = {}
        for head, name, digest, size in self.good_rows(raw, told):
            told["rows"] += 1
            if head not in heads:
                heads[head] = self.where(head, base, prefix)
            where, shown, judged = heads[head]
            if where is None or moves(head):
                where = self.moved(head, name, base) or where
            if where is None:
                told["outside"] += 1
                told["first_outside"] = told["first_outside"] or os.path.join(head, name)[:200].decode("latin-1")
            elif judged and (size or digest) and not (shown == info and name in TOLD):
                self.claimed(where, told, shown, name, digest, size)

    def begin(self, told):
        """Nothing is known yet of what a record names."""
        told.update({"deep": self.deep, "unreadable": 0, "first_unreadable": None, "checked": 0, "unverifiable": 0})
        told.update({"modified": [], "missing": [], "unnamed": 0})
        self.owners.append(told)

    def claimed(self, where, told, shown, name, digest, size):
        """Take down what a record says of a file; several may name it."""
        said = self.places.setdefault(where, [])
        if not said or said[-1][0] is not told or said[-1][1] != shown:
            said.append((told, shown, [], [], []))
        _, _, names, digests, sizes = said[-1]
        names.append(name)
        digests.append(digest)
        sizes.append(size)

    def good_rows(self, raw, told):
        """Directory, name, hash and size of each row that nothing is wrong with; the others are told here."""
        for number, found, line in rows(raw):
            if not self.rows:
                told["problem"] = "more than %d rows in all, so not compared to its end" % ROW_LIMIT
                break
            self.rows -= 1
            wrong = fault(found)
            if wrong:
                told["bad"] += 1
                told["first_bad"] = told["first_bad"] or "row %d, %s: %s" % (number, wrong, line[:80].decode("latin-1"))
                continue
            path, digest, size = found
            head, _, name = path.rpartition(b"/")
            yield (head or b"/" if path.startswith(b"/") else head), name, digest, size

    def where(self, head, base, prefix):
        """The directory of a row, None where it is outside; how it is written best; whether its files are judged.

        `..` is taken as it is written, before any link is followed.
        """
        slashed = b"/" + head + b"/"
        if b"/." not in slashed and b"//" not in slashed:  # nearly all of them
            return base.rstrip(b"/") + slashed[:-1], head, not slashed.endswith(b"/__pycache__/")
        shown = os.path.normpath(head)
        where = os.path.normpath(os.path.join(base, shown))
        if head.startswith(b"/") or not inside(where, prefix):
            where = None
        return where, b"" if shown == b"." else shown, shown.rpartition(b"/")[2] != b"__pycache__"

    def moved(self, head, name, base):
        """Where `pip install --target` has put what it recorded as `../../bin/x`: RECORD is older than the move."""
        where = os.path.normpath(os.path.join(base, head[6:]))
        if not moves(head) or not inside(where, base):
            return None
        try:
            self.on.lstat(os.path.join(where, name))
        except OSError:
            return None
        return where

    def compare(self):
        """Look at the files, a directory at a time; what agrees is only counted."""
        scripts = []
        for where in sorted(self.places):
            for name, found, claims in self.differing(where, self.places[where]):
                if self.is_script(where, claims, found):
                    scripts.append((os.path.join(where, name), claims, found))
                else:
                    self.judge(os.path.join(where, name), claims, found)
        self.on.fetch([path for path, _, _ in scripts])
        for path, claims, size in scripts:
            self.judge_script(path, claims, size)
        self.hash_all()
        self.sort()

    def differing(self, where, said):
        """The files of a directory that are not simply as is recorded: what is there, and what is said of each."""
        names, sizes = [name for one in said for name in one[2]], [size for one in said for size in one[4]]
        found = self.on.sizes(where, names)
        wanted = self.wanted(sizes, found)
        simple = not self.deep and len(set(names)) == len(names)
        if simple and found == wanted:  # nearly all of them
            for one in said:
                one[0]["checked"] += len(one[2])
            return []
        claims, at = {}, 0
        for told, shown, names, digests, sizes in said:
            for name, digest, size in zip(names, digests, sizes):
                if simple and found[at] == wanted[at]:
                    told["checked"] += 1
                else:
                    claims.setdefault(name, (name, found[at], []))[2].append(self.claim(told, shown, name, size, digest))
                at += 1
        return [claims[name] for name in sorted(claims)]

    def wanted(self, sizes, found):
        """What has to be found for a file to agree without a look at its hash."""
        return [int(size or -1) for size in sizes]

    def sort(self):
        for told in self.owners:
            told["modified"].sort()
            told["missing"].sort()

    def is_script(self, where, claims, found):
        """Whether it is of another size than is recorded, and where scripts are, which installers rewrite."""
        if where not in self.scripts or not isinstance(found, int):
            return False
        sizes = [claim.size for claim in claims if claim.size not in (None, found)]
        return bool(sizes) and max(sizes + [found]) <= SCRIPT_LIMIT

    def judge(self, path, claims, found):
        if isinstance(found, str):
            if found in GONE and path.endswith((b".pyc", b".pyo")):
                return  # images are rid of them, and nothing needs them
            for claim in claims:
                claim.state = "missing" if found in GONE else "unreadable"
            self.settle(claims)
            return
        self.by_size(claims, found)
        self.to_hash(path, claims, found, 0)

    def judge_script(self, path, claims, size):
        self.by_size(claims, size)
        first = self.first_line(path)
        if first is None:
            for claim in claims:
                claim.state = "unreadable"
        elif first.startswith(b"#!"):
            self.rewritten(claims, size - len(first))
        self.to_hash(path, claims, size, len(first or b""))

    def by_size(self, claims, size):
        for claim in claims:
            if size is None or claim.size not in (None, size):
                claim.state = "modified"
            else:
                claim.state = "same" if claim.size is not None else "unverifiable"

    def rewritten(self, claims, body):
        """Scripts of which only the first line is another one; where that can't be, nobody can tell what is."""
        for claim in claims:
            if claim.state == "modified":
                claim.first_lines = [line for line in PLACEHOLDERS if len(line) + body == claim.size]
                claim.state = "same" if claim.first_lines else "unverifiable"

    def to_hash(self, path, claims, size, first):
        wanted = [claim for claim in claims if self.deep and claim.digest and self.can_hash(claim, size)]
        if wanted:
            self.bytes -= size
            self.unhashed[path] = Unhashed(claims, wanted, size, first)
        else:
            self.settle(claims)

    def can_hash(self, claim, size):
        if claim.state in ("modified", "unreadable") or not claim.first_lines:
            return False
        claim.state = "unverifiable"
        if claim.hashed() is None:
            return False
        if size > self.bytes:
            claim.told["problem"] = "more than %d bytes to hash, so not compared to its end" % HASH_LIMIT
            return False
        return True

    def hash_all(self):
        left = set(self.unhashed)
        for paths in self.on.streams(sorted(left)):
            self.hash(paths)
            left.difference_update(paths)
        in_parallel(self.hash, [[path] for path in sorted(left)])
        for one in self.unhashed.values():
            self.settle(one.claims)

    def hash(self, paths):
        """Hash files that are read together; runs in threads."""
        files = dict((path, self.unhashed[path]) for path in paths)
        try:
            for path, piece in self.on.contents(paths):
                files[path].take(piece)
        except OSError:
            for one in files.values():
                one.forget()
            return
        for one in files.values():
            if not one.size:
                one.take(b"")

    def first_line(self, path):
        """The first line of a script, with its end; empty where it is too long for one, None where it can't be read."""
        try:
            regular, _, read, close = self.on.open(path)
            try:
                line = read(1 << 12, 0) if regular else b""
            finally:
                close()
        except OSError:
            return None
        return line[: line.find(b"\n") + 1]

    def settle(self, claims):
        """Tell the RECORDs of a file what came of it."""
        agreed = any(claim.state == "same" for claim in claims)
        seen = set()
        for claim in claims:
            state = "same" if agreed and claim.state == "modified" else claim.state
            told, mark = claim.told, (id(claim.told), state)
            if mark in seen:
                continue
            seen.add(mark)
            if state in ("unverifiable", "unreadable"):
                told[state] += 1
                if state == "unreadable":
                    told["first_unreadable"] = told["first_unreadable"] or claim.shown()
                continue
            told["checked"] += 1
            if state != "same":
                if len(told["modified"]) + len(told["missing"]) < NAMED:
                    told[state].append(claim.shown())
                else:
                    told["unnamed"] += 1


def in_parallel(work, items):
    """Do each item's work, in as many threads as there are processors: hashing lets them run."""
    left, lock = iter(items), threading.Lock()

    def run():
        while True:
            with lock:
                item = next(left, None)
            if item is None:
                return
            work(item)

    threads = [threading.Thread(target=run) for _ in range(min(WORKERS, os.cpu_count() or 1, len(items)) - 1)]
    started = []
    for thread in threads:
        try:
            thread.start()
        except RuntimeError:  # no more of them are allowed here
            break
        started.append(thread)
    run()
    for thread in started:
        thread.join()
