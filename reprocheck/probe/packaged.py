# -*- coding: utf-8 -*-
"""The part of the probe that compares installed files with what dpkg and conda have recorded of them.

dpkg keeps the MD5 of each file of a package (``/var/lib/dpkg/info/PACKAGE.md5sums``, deb-md5sums(5)), conda the
SHA-256 and mostly the size (``conda-meta/NAME-VERSION-BUILD.json``, "PrefixRecord"). As in ``record.py``, whose rules
for the probe hold here too, a false alarm is worse than a miss: only files that are run, loaded or imported are judged.
Images are rid of the others (documentation, locales, static libraries), and programs write caches among them.

What looks wrong to dpkg's list may be right by what else dpkg knows: the package has lost the file to another one, the
file is configuration or diverted, or it was left out when it was unpacked. Its other lists are read only then.
"""

import fnmatch
import hashlib
import json
import os
import re

from reprocheck.probe.record import Claim, Records, inside

PREFIX_RECORD_LIMIT = 8 << 20
"""A larger record of conda's is not compared: read as JSON it takes ten times as many bytes."""
EXCUSE_LIMIT = 4 << 20
"""Bytes that are read of one of dpkg's other lists."""
RULE_LIMIT = 200
"""Rules on what dpkg leaves out; if there are more, any file may have been left out."""
STAR_LIMIT = 8
"""Stars of a rule, which may take exponential time; one with more fits anything."""
RULE = re.compile(br"\s*path-(ex|in)clude(?:\s*=\s*|\s+)(\S.*?)\s*\Z")
CODE = re.compile(
    br"(?!.*(?:/__pycache__/|\.(?:py[co]|l?a|js\.map)\Z))"
    br"(?:.*/)?(?:(?:s?bin|libexec)/[^/]+|[^/]+\.so(?:\.[^/]+)?|lib/(?:python|pypy)[^/]*/.+)\Z",
    re.S,
)
"""Files that are run, loaded or imported, by their path."""
SUM = re.compile(br"([0-9a-f]{32}) [ *](?:\./)?(.+)\Z", re.S)
SHA256 = re.compile(r"[0-9a-f]{64}\Z")
# What conda itself writes anew when it is set up (`conda init`).
SET_UP = frozenset([b"bin/conda", b"bin/activate", b"bin/deactivate"])


class Sum(Claim):
    """What one record of a package manager says of one file; its hash is written in hexadecimal digits."""

    __slots__ = ()

    def hashed(self):
        name, _, value = self.digest.decode("ascii").partition("=")
        try:
            hashlib.new(name)
        except ValueError:  # MD5, where the machine's rules forbid it
            return None
        return name, bytes.fromhex(value)


class Packaged(Records):
    """Lists of a package manager, compared with the files that they name."""

    limit = 32 << 20
    claim = Sum

    def take(self, path, raw, told):
        """Read a list; `told` is where it is told what came of it."""
        self.begin(told)
        judged = 0
        for where, shown, name, size, digest in self.listed(path, raw, told):
            if judged == self.rows:
                told["problem"] = "more than %d files in all, so not compared to its end" % self.rows
                break
            judged += 1
            self.claimed(where, told, shown, name, digest, size)
        self.rows -= judged
        told["rows"] = judged

    def wanted(self, sizes, found):
        # That it is there is all that can be told of a file without its hash.
        return [int(size or (there if isinstance(there, int) else -1)) for size, there in zip(sizes, found)]

    def by_size(self, claims, size):
        Records.by_size(self, claims, size)
        for claim in claims:
            if claim.state == "unverifiable":
                claim.state = "same"


class Sums(Packaged):
    """dpkg's lists of MD5 sums; a file is shown by its whole path."""

    def __init__(self, files, deep):
        Packaged.__init__(self, files, deep)
        self.lists = {}
        self.doubtful = []

    def listed(self, path, raw, told):
        root = path.rsplit(b"/", 5)[0]  # of /var/lib/dpkg/info/PACKAGE.md5sums
        self.lists[id(told)] = path[: -len(b".md5sums")]
        for line in raw.split(b"\n"):
            # Most files are no code, which is told sooner without the expressions.
            if not (b"bin/" in line or b".so" in line or b"lib/p" in line or b"libexec/" in line):
                continue
            found = SUM.match(line)
            if found and CODE.match(found.group(2)) and b"\0" not in line:
                shown, name = os.path.split(os.path.normpath(b"/" + found.group(2)))
                yield root + shown, shown, name, b"", b"md5=" + found.group(1)

    def settle(self, claims):
        if all(claim.state == "same" for claim in claims):
            Records.settle(self, claims)
        else:
            self.doubtful.append(claims)

    def compare(self):
        Records.compare(self)
        if not self.doubtful:
            return
        excuses = Excuses(self.on, set(self.lists[id(claim.told)] for claims in self.doubtful for claim in claims))
        for claims in self.doubtful:
            for claim in claims:
                if claim.state in ("missing", "modified"):
                    path = os.path.join(claim.where, claim.name)
                    if excuses.hold(self.lists[id(claim.told)], path, claim.state == "missing"):
                        claim.state = "unverifiable"
            Records.settle(self, claims)
        self.sort()


class Excuses(object):
    """What else dpkg knows of files that are not as its sums say."""

    def __init__(self, files, lists):
        self.on = files
        self.root = min(lists).rsplit(b"/", 5)[0]
        options, more = [self.root + b"/etc/dpkg/dpkg.cfg"], self.root + b"/etc/dpkg/dpkg.cfg.d"
        try:
            options += [os.path.join(more, name) for name in sorted(files.names(more))]
        except OSError:
            pass
        diversions = self.root + b"/var/lib/dpkg/diversions"
        files.fetch([one + end for one in sorted(lists) for end in (b".list", b".conffiles")] + options + [diversions])
        self.mounts = files.mounts()
        self.owned = dict((one, frozenset(self.lines(one + b".list"))) for one in lists)
        self.configuration = dict((one, frozenset(self.lines(one + b".conffiles"))) for one in lists)
        moved = self.lines(diversions)
        # Three lines each: a name, the name it has now, who diverted it. Either may have its /usr in front.
        self.diverted = frozenset(map(self.short, moved[::3] + moved[1::3]))
        self.left_out = [rule for option in options for rule in self.rules(option)]
        if len(self.left_out) > RULE_LIMIT:
            self.left_out = [(True, re.compile(b""))]

    def hold(self, one, path, missing):
        """Whether a file of a package may rightly be another one than its sum says, or not be there."""
        return (
            path not in self.owned[one]
            or path in self.configuration[one]
            or self.short(path) in self.diverted
            or self.root + path in self.mounts
            or (missing and self.excluded(path))
        )

    def excluded(self, path):
        """Whether dpkg leaves out such files (dpkg(1), `--path-exclude`): the last rule that fits decides."""
        for exclude, pattern in reversed(self.left_out):
            if pattern.match(path):
                return exclude
        return False

    def rules(self, option):
        for line in self.lines(option):
            found = RULE.match(line)
            if found:
                shell = re.sub(r"\*+", "*", found.group(2).strip(b"\"'").decode("latin-1"))
                try:
                    fits = "" if shell.count("*") > STAR_LIMIT else fnmatch.translate(shell)
                    yield found.group(1) == b"ex", re.compile(fits.encode("latin-1"))
                except re.error:
                    pass  # a range from a later character to an earlier one: Python before 3.9 refuses it

    def short(self, path):
        return path[4:] if path.startswith(b"/usr/") else path

    def lines(self, path):
        try:
            regular, _, read, close = self.on.open(path)
            try:
                return read(EXCUSE_LIMIT, 0).split(b"\n") if regular else []
            finally:
                close()
        except OSError:
            return []


class PrefixRecords(Packaged):
    """conda's records; a file is shown by its path in the prefix."""

    limit = PREFIX_RECORD_LIMIT

    def listed(self, path, raw, told):
        prefix = os.path.dirname(os.path.dirname(path))
        for row in self.paths(raw):
            name = row.get("_path")
            if not isinstance(name, type("")) or row.get("path_type", "hardlink") != "hardlink" or row.get("no_link"):
                continue  # links and what conda makes itself (entry points, bytecode) may be any
            try:
                shown = os.path.normpath(name.encode("utf-8"))
            except UnicodeError:  # half of a pair, which JSON can write and no file has in its name
                continue
            file = os.path.normpath(os.path.join(prefix, shown))
            if not CODE.match(shown) or shown in SET_UP or b"\0" in shown or not inside(file, prefix):
                continue
            size, digest = self.size_and_digest(row)
            if size or digest:
                yield os.path.dirname(file), os.path.dirname(shown), os.path.basename(shown), size, digest

    def paths(self, raw):
        try:
            # No number here has many digits; Python takes long over those that do.
            record = json.loads(raw.decode("utf-8"), parse_int=lambda digits: int(digits) if len(digits) < 19 else None)
            found = record["paths_data"]["paths"]
        except (ValueError, KeyError, TypeError, RecursionError):
            return []
        return [row for row in found if isinstance(row, dict)] if isinstance(found, list) else []

    def size_and_digest(self, row):
        """The size is the package's: it does not count where the prefix was put in."""
        packed, installed = row.get("sha256"), row.get("sha256_in_prefix")
        put_in = row.get("prefix_placeholder") or (installed and installed != packed)
        size, digest = row.get("size_in_bytes"), installed or (None if put_in else packed)
        sized = isinstance(size, int) and size >= 0 and not put_in
        hashed = isinstance(digest, type("")) and SHA256.match(digest)
        return b"%d" % size if sized else b"", b"sha256=" + digest.encode("ascii") if hashed else b""
