# -*- coding: utf-8 -*-
"""The probe: runs in the target's own interpreter, answers a request with raw evidence, writes nothing.

Standard library only. It must parse on Python 2.7, so that it can say politely that 2.7 is too old, and
collect on 3.6 and newer; hence no annotations, no f-strings, no imports of reprocheck but of its own parts. It knows no format
beyond what one pass needs; the host interprets. It is meant to be run with ``-I -S -B``: no start-up file
of the target is executed.

Session: one JSON request a line on standard input, one answer for each, until the end of input.
By hand (``reprocheck probe``): one request stands in the file, one answer goes to standard output.

A request is a list of wants; their shapes and the answer's are documented in ``reprocheck/model/evidence.py``.
An answer travels between unguessable markers, with its length, as base64 of zlib of JSON; bytes of the
target are Latin-1 text inside that JSON, which loses nothing.
"""

import sys

TOO_OLD_EXIT = 79
TOO_OLD_MARK = "reprocheck-probe: Python is too old"
if sys.version_info < (3, 6):
    sys.stderr.write("%s: %s\n" % (TOO_OLD_MARK, ".".join(map(str, sys.version_info[:3]))))
    sys.exit(TOO_OLD_EXIT)

import base64
import errno
import fnmatch
import gc
import hashlib
import json
import os
import re
import select
import signal
import stat
import struct
import subprocess
import time
import zlib

# Parts in files of their own: when the probe is sent, their text stands in place of these lines.
from reprocheck.probe.itself import SELF
from reprocheck.probe.urls import cut_url, scrub
from reprocheck.probe.record import Records
from reprocheck.probe.packaged import PrefixRecords, Sums

FILE_LIMIT = 16 << 20
"""No file is carried beyond this many bytes, whatever is asked."""
WANT_LIMIT = 4 << 20
"""What a want that names no limit means; `Read.limit` of `model/evidence.py` says the same."""
TOTAL_LIMIT = 48 << 20
"""Nor all files of one answer together."""
DIGEST_LIMIT = 256 << 20
"""Nor is a larger file read for its digest."""
WALK_LIMIT = 2000000
"""Entries looked at in one walk."""
RECORDS = {"wheel": Records, "dpkg": Sums, "conda": PrefixRecords}
"""Of whom a record of installed files is."""
COMMAND_LIMIT = 1 << 20
"""Bytes kept of what a command prints."""
COMMAND_SECONDS = 10
ELF_LIMIT = 1 << 20
"""Bytes read of one ELF file, however large it is."""
ELF_FILES = 20000
"""ELF files looked at for one answer."""


def text(raw):
    """Bytes as Latin-1 text: JSON carries it, nothing is lost."""
    return raw.decode("latin-1")


def problem(error):
    """The name of an OSError: ENOENT, EACCES."""
    return errno.errorcode.get(getattr(error, "errno", None), type(error).__name__)


def entry_type(mode):
    for name, test in (("file", stat.S_ISREG), ("dir", stat.S_ISDIR), ("link", stat.S_ISLNK)):
        if test(mode):
            return name
    return "other"


class Disk(object):
    """The file system of this process; a host that reads layers puts one of its own in the same shape here."""

    def mounts(self):
        """Where something else than the root file system begins."""
        return mount_points()

    def is_image(self):
        return in_container()

    def scan(self, where):
        """Name, and whether it is a directory and no link, of each entry."""
        with os.scandir(where) as scan:
            for entry in scan:
                yield entry.name, entry.is_dir(follow_symlinks=False)

    def names(self, where):
        return os.listdir(where)

    def lstat(self, path):
        """Mode (with its type), size, and the target of a link."""
        facts = os.lstat(path)
        return facts.st_mode, facts.st_size, os.readlink(path) if stat.S_ISLNK(facts.st_mode) else None

    def is_dir(self, path):
        return os.path.isdir(path)

    def sizes(self, where, names):
        """Sizes of files of one directory, links followed; None: no regular file; where it can't be told, the error's name."""
        try:
            handle = os.open(where, getattr(os, "O_PATH", 0) | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            return [problem(error)] * len(names)
        try:
            return [self.size(handle, name) for name in names]
        finally:
            os.close(handle)

    def size(self, directory, name):
        try:
            facts = os.stat(name, dir_fd=directory)
        except OSError as error:
            return problem(error)
        return facts.st_size if stat.S_ISREG(facts.st_mode) else None

    def fetch(self, paths):
        """Nothing: files are at hand."""

    def streams(self, paths):
        """None: each file can be read on its own."""
        return []

    def contents(self, paths):
        """Path and bytes of each piece of these files."""
        for path in paths:
            regular, size, read, close = self.open(path)
            try:
                at = 0
                while regular and at < size:
                    piece = read(1 << 20, at)
                    if not piece:
                        break
                    yield path, piece
                    at += len(piece)
            finally:
                close()

    def real(self, path):
        """Links resolved, if it is a file."""
        return os.path.realpath(path) if os.path.isfile(path) else None

    def open(self, path):
        """Whether it is a regular file, its size, what reads it (length, offset) and what closes it."""
        # O_NONBLOCK: a FIFO that carries the name of a metadata file must not stop the probe.
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))
        facts = os.fstat(handle)
        return stat.S_ISREG(facts.st_mode), facts.st_size, lambda n, at: os.pread(handle, n, at), lambda: os.close(handle)


class Answer(object):
    """Collects the answers to one request."""

    file_limit, total_limit = FILE_LIMIT, TOTAL_LIMIT

    def __init__(self, state, files=Disk()):
        self.state = state
        self.on = files
        self.begin()

    def begin(self):
        parts = ("found", "files", "listings", "records", "interpreters", "commands", "searches", "elf")
        self.out = dict((part, {}) for part in parts)
        self.out.update(walk=None, process=None)
        self.scans = {}
        self.room = self.total_limit

    # Wants, one method each.

    def walk(self, want):
        """Search below a root for names; mounts and the named trees are not entered, leaves are not opened."""
        report = {"searched": True, "reason": None, "mounts": [], "denied": []}
        found = dict((key, []) for key in want["find"])
        if want["search"] == "never" or (want["search"] == "container" and not self.on.is_image()):
            report["searched"] = False
            self.state["found"] = found
            for key, patterns in want["otherwise"].items():
                found[key] = [text(path) for pattern in patterns for path in self.expand(pattern) if self.there(path)]
        else:
            self.search(want, found, report)
        self.out["walk"] = report
        self.out["found"] = self.state["found"] = dict((key, sorted(set(found[key]))) for key in found)

    def search(self, want, found, report):
        names = [(key, re.compile(os.fsencode(rule))) for key, rule in sorted(want["find"].items())]
        anything = re.compile(os.fsencode("|".join("(?:%s)" % rule for rule in want["find"].values())))
        leaves = set(os.fsencode(name) for name in want["leaves"])
        beside = dict((os.fsencode(name), os.fsencode(mark)) for name, mark in want.get("leaves_beside", {}).items())
        marks = set(beside.values())
        mounts = self.on.mounts()
        stack, entries = [os.fsencode(want["root"])], 0
        while stack:
            where, inner, seen = stack.pop(), [], set()
            try:
                for name, directory in self.on.scan(where):
                    entries += 1
                    if name in marks:
                        seen.add(name)
                    if anything.match(name):
                        for key, rule in names:
                            if rule.match(name):
                                found[key].append(text(os.path.join(where, name)))
                    if directory and name not in leaves:
                        path = os.path.join(where, name)
                        if path in mounts:
                            report["mounts"].append(text(path))
                        else:
                            inner.append(path)
            except OSError as error:
                if error.errno not in (errno.ENOENT, errno.ENOTDIR):
                    report["denied"].append(text(where))
            stack.extend(path for path in inner if beside.get(os.path.basename(path)) not in seen)
            if entries > WALK_LIMIT:
                report["reason"] = "stopped after %d entries" % WALK_LIMIT
                break
        report["mounts"].sort()
        report["denied"].sort()

    def find(self, want):
        """Search below directories for names, also where a walk does not enter; they are a group like those of a walk."""
        report, entries = {"searched": True, "reason": None, "mounts": [], "denied": []}, 0
        rule, leaves = re.compile(want["name"].encode("latin-1")), set(os.fsencode(name) for name in want["leaves"])
        found, stack = set(), self.expand(want["at"])
        while stack:
            where = stack.pop()
            try:
                for name, directory in self.on.scan(where):
                    entries += 1
                    if directory:
                        if name not in leaves:
                            stack.append(os.path.join(where, name))
                    elif rule.match(name):
                        found.add(text(os.path.join(where, name)))
            except OSError as error:
                if error.errno not in (errno.ENOENT, errno.ENOTDIR):
                    report["denied"].append(text(where))
            if entries > WALK_LIMIT:
                report["reason"] = "stopped after %d entries" % WALK_LIMIT
                break
        report["denied"].sort()
        self.out["searches"][want["group"]] = report
        self.out["found"][want["group"]] = self.state["found"][want["group"]] = sorted(found)

    def list(self, want):
        """The entries of each directory that the pattern matches."""
        for path in self.expand(want["at"]):
            self.listing(path)

    def read(self, want):
        """Each file that the pattern matches: whole, its header up to the first blank line, or its digest."""
        for path in self.expand(want["at"]):
            if text(path) not in self.out["files"]:
                self.out["files"][text(path)] = self.file(path, want)

    def record(self, want):
        """Each record of installed files that the pattern matches: its digest, and how these files agree with it."""
        records = RECORDS[want.get("by", "wheel")](self.on, want.get("deep", False))
        for path in self.expand(want["at"]):
            if text(path) not in self.out["records"]:
                self.out["records"][text(path)] = self.one_record(path, want, records)
        records.compare()

    def one_record(self, path, want, records):
        try:
            regular, size, read, close = self.on.open(path)
        except OSError as error:
            return {"problem": problem(error)}
        try:
            if not regular:
                return {"problem": "not a regular file"}
            raw = [] if size <= records.limit else None
            told = self.digest(read, size, want.get("keep"), raw)
        except OSError as error:
            return {"problem": problem(error)}
        finally:
            close()
        if raw is None:
            told["problem"] = told["problem"] or "larger than the limit of %d bytes, so not compared" % records.limit
        else:
            records.take(path, scrub(b"".join(raw)), told)
        return told

    def elf(self, want):
        """What the dynamic linker is told by each ELF file that the pattern matches."""
        for path in self.expand(want["at"]):
            if text(path) in self.out["elf"]:
                continue
            if len(self.out["elf"]) >= ELF_FILES:
                raise ValueError("more than %d ELF files" % ELF_FILES)
            self.out["elf"][text(path)] = self.linked(path)

    def interpreter(self, want):
        """Each interpreter that the pattern matches says of itself what it is."""
        ran = self.state["interpreters"]
        for path in self.expand(want["at"]):
            real = self.on.real(path)
            if real is None:
                continue
            if real not in ran:
                ran[real] = self.ask(real)
            self.out["interpreters"][text(path)] = dict(ran[real], real=text(real))

    def process(self, want):
        """This process: the allow-listed variables, home, user, kernel."""
        allowed = [re.compile(rule) for rule in want["variables"]]
        variables = {}
        for name, value in initial_environment():
            shown = any(rule.match(os.fsdecode(name)) for rule in allowed)
            variables[text(name)] = text(scrub(value)) if shown else None
        names = os.uname()
        try:
            cwd = os.getcwdb()
        except OSError:  # it was removed
            cwd = b""
        self.out["process"] = {
            "variables": variables,
            "home": text(os.fsencode(os.path.expanduser("~"))),
            "cwd": text(cwd),
            "executable": text(os.fsencode(sys.executable or "")),
            "kernel": names.release,
            "machine": names.machine,
        }

    def command(self, want):
        """What a program that reports facts prints; it is found on PATH, never through a shell."""
        code, printed, trouble = run(want["argv"])
        answer = {"problem": trouble} if trouble else {"exit": code, "output": text(scrub(printed))}
        self.out["commands"][want["argv"][0]] = answer

    # How they are answered.

    def expand(self, pattern):
        """Paths that a pattern means: absolute, or `@NAME/…` below what a walk found; `*`, `?`, `[` match in one component."""
        roots, rest = self.roots(pattern)
        rest = rest.encode("latin-1")
        paths = roots
        for part in rest.split(b"/") if rest else []:
            paths = [path for root in paths for path in self.step(root, part)]
        return sorted(set(paths))

    def roots(self, pattern):
        """Where a pattern begins, and what is left of it."""
        exe = os.fsencode(sys.executable or "")
        if pattern == "@self":
            return [exe] if exe else [], ""
        if pattern.startswith("@prefix/"):
            base = os.fsencode(getattr(sys, "base_prefix", sys.prefix))
            return [os.path.dirname(os.path.dirname(exe)), base], pattern[len("@prefix/") :]
        if pattern.startswith("@home/"):
            return [os.fsencode(os.path.expanduser("~"))], pattern[len("@home/") :]
        if pattern.startswith("@"):
            name, _, rest = pattern[1:].partition("/")
            return [path.encode("latin-1") for path in self.state["found"].get(name, ())], rest
        return [b"/"], pattern.lstrip("/")

    def step(self, root, part):
        if not any(mark in part for mark in (b"*", b"?", b"[")):
            return [os.path.join(root, part)]
        rule = re.compile(fnmatch.translate(text(part)), re.S)
        return [
            os.path.join(root, name)
            for name in self.names(root)
            if rule.match(text(name)) and not (name.startswith(b".") and not part.startswith((b".", b"[.")))
        ]

    def there(self, path):
        try:
            self.on.lstat(path)
        except OSError:
            return False
        return True

    def names(self, where):
        if where not in self.scans:
            try:
                self.scans[where] = self.on.names(where)
            except OSError:
                self.scans[where] = []
        return self.scans[where]

    def listing(self, path):
        if text(path) in self.out["listings"]:
            return
        entries, trouble = [], None
        try:
            names = self.on.names(path)
        except OSError as error:
            self.out["listings"][text(path)] = {"problem": problem(error), "entries": []}
            return
        for name in names:
            where = os.path.join(path, name)
            try:
                mode, size, link = self.on.lstat(where)
            except OSError as error:
                # Gone meanwhile; or a directory whose names may be seen, and nothing else of it.
                trouble = "EACCES" if error.errno == errno.EACCES else trouble
                continue
            directory = stat.S_ISDIR(mode) if link is None else self.on.is_dir(where)
            entries.append([text(name), entry_type(mode), size, directory, None if link is None else text(link)])
        entries.sort(key=lambda entry: entry[0])
        self.out["listings"][text(path)] = {"problem": trouble, "entries": entries}

    def file(self, path, want):
        try:
            regular, size, read, close = self.on.open(path)
        except OSError as error:
            return {"problem": problem(error)}
        try:
            if not regular:
                return {"problem": "not a regular file"}
            if want.get("part") == "digest":
                return self.digest(read, size)
            limit = min(want.get("limit", WANT_LIMIT), self.file_limit, max(self.room, 0))
            # A file below /proc has size 0 and contents all the same.
            raw, header = b"", want.get("part") == "header"
            while len(raw) <= limit:
                piece = read(min(1 << 16 if header else 1 << 20, limit + 1 - len(raw)), len(raw))
                if not piece:
                    break
                raw += piece
                if header and blank_line(raw) is not None:
                    break
        except OSError as error:
            return {"problem": problem(error)}
        finally:
            close()
        cut = len(raw) > limit
        end = blank_line(raw) if header else None
        if end is not None:
            raw, cut = raw[:end], False
        raw = raw[:limit]
        if cut:
            raw = cut_url(raw)
        self.room -= len(raw)
        return {"problem": None, "size": size, "cut": cut, "content": text(scrub(raw))}

    def digest(self, read, size, keep=None, pieces=None):
        """SHA-256 and count of lines, and the lines that hold a text."""
        if size > DIGEST_LIMIT:
            return {"problem": "larger than the limit of %d bytes" % DIGEST_LIMIT, "size": size}
        seen, lines, at, rest, kept = hashlib.sha256(), 0, 0, b"", []
        last, mark = b"\n", (keep or "").encode("latin-1")
        while True:
            piece = read(1 << 20, at)
            if not piece:
                break
            at += len(piece)
            if pieces is not None:
                pieces.append(piece)
            seen.update(piece)
            lines += piece.count(b"\n")
            last = piece[-1:]
            if mark:
                whole, _, rest = (rest[-4096:] + piece).rpartition(b"\n")
                kept += lines_with(mark, whole)
        answer = {"problem": None, "size": size, "sha256": seen.hexdigest(), "lines": lines + (last != b"\n")}
        if mark:
            raw = b"\n".join(kept + [rest] if mark in rest else kept)[: max(self.room, 0)]
            self.room -= len(raw)
            answer["content"] = text(scrub(raw))
        return answer

    def linked(self, path):
        try:
            regular, size, read, close = self.on.open(path)
        except OSError as error:
            return {"problem": problem(error)}
        try:
            # Nothing beyond the end is asked for: offsets are whatever the file says.
            part = lambda length, at: read(min(length, size - at), at) if at < size else b""
            summary = Elf(part).summary if regular else {"problem": "not a regular file"}
        except OSError as error:
            summary = {"problem": problem(error)}
        finally:
            close()
        return dict(summary, size=size, real=text(self.on.real(path) or path))

    def ask(self, real):
        """Run an interpreter, isolated, and let it describe itself; only a real program, never a wrapper script."""
        if os.path.realpath(os.fsencode(sys.executable or "")) == real and isolated():
            scope = {}
            exec(SELF, scope)
            return {"problem": None, "facts": scope["facts"]}
        try:
            with open(real, "br") as program:
                if program.read(4) not in (b"\x7fELF", b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe"):
                    return {"problem": "not a program but a script"}
        except OSError as error:
            return {"problem": problem(error)}
        # Python 2 knows no -I: it would import from the working directory.
        isolation, program = ["-I"], SELF + "\nprint(json.dumps(facts))"
        if b"python2" in os.path.basename(real):
            isolation, program = ["-E", "-s"], "import sys; del sys.path[0]\n" + program
        code, printed, trouble = run([real] + isolation + ["-S", "-B", "-c", program])
        if trouble:
            return {"problem": trouble}
        try:
            return {"problem": None, "facts": json.loads(printed.decode("utf-8"))}
        except ValueError:
            return {"problem": "does not start (exit code %s)" % code}


class Elf(object):
    """The summary of an ELF file (System V ABI, "Object Files" and "Program Loading and Dynamic Linking").

    Only its headers, its dynamic section and the strings that this names are read, wherever they stand. What is
    wrong is `problem`; what was read before that is kept.
    """

    def __init__(self, read):
        self.read, self.left, self.window = read, ELF_LIMIT, (0, b"")
        self.summary = {"problem": None}
        try:
            self.headers()
        except (ValueError, struct.error) as error:
            self.summary["problem"] = "not a valid ELF file: %s" % error

    def some(self, length, at):
        """Up to so many bytes of the file; a window from where was read last is kept."""
        start, held = self.window
        if not start <= at <= at + length <= start + len(held):
            ask = max(length, 4096)
            self.left -= ask
            if self.left < 0:
                raise ValueError("too scattered: more than %d bytes to read" % ELF_LIMIT)
            start, held = self.window = at, self.read(ask, at)
        return held[at - start : at - start + length]

    def bytes(self, length, at, what):
        raw = self.some(length, at)
        if len(raw) < length:
            raise ValueError("%s outside the file" % what)
        return raw

    def headers(self):
        ident = self.bytes(20, 0, "a header")
        if ident[:4] != b"\x7fELF":
            raise ValueError("bad magic number")
        if ident[4] not in (1, 2) or ident[5] not in (1, 2):
            raise ValueError("bad class or byte order")
        wide, order = ident[4] == 2, "<" if ident[5] == 1 else ">"
        kind = order + ("HHIQQQIHHH" if wide else "HHIIIIIHHH")
        _, machine, _, _, table, _, flags, _, entry, count = struct.unpack(
            kind, self.bytes(struct.calcsize(kind), 16, "a header")
        )
        self.summary.update(bits=64 if wide else 32, order=order, machine=machine, flags=flags)
        kind = order + ("IIQQQQQQ" if wide else "IIIIIIII")
        if count and entry != struct.calcsize(kind):
            raise ValueError("program headers of %d bytes" % entry)
        if count * entry > 1 << 16:
            raise ValueError("%d program headers" % count)
        raw = self.bytes(count * entry, table, "program headers") if count else b""
        segments = []
        for at in range(0, len(raw), entry or 1):
            told = struct.unpack_from(kind, raw, at)
            # Type, offset, address, size in the file.
            segments.append((told[0], told[2], told[3], told[5]) if wide else (told[0], told[1], told[2], told[4]))
        for kind, offset, _, length in segments:
            if kind == 3:  # PT_INTERP
                self.summary["interpreter"] = text(self.bytes(min(length, 4096), offset, "the interpreter").split(b"\0")[0])
        for kind, offset, _, length in segments:
            if kind == 2:  # PT_DYNAMIC
                self.dynamic(offset, length, order + ("QQ" if wide else "II"), [one for one in segments if one[0] == 1])

    def dynamic(self, offset, length, kind, loads):
        if length > 1 << 16:
            raise ValueError("a dynamic section of %d bytes" % length)
        raw = self.bytes(length, offset, "the dynamic section")
        single, strings = {}, []
        for at in range(0, len(raw) - struct.calcsize(kind) + 1, struct.calcsize(kind)):
            tag, value = struct.unpack_from(kind, raw, at)
            if tag == 0:
                break
            if tag in (1, 14, 15, 29):  # DT_NEEDED, DT_SONAME, DT_RPATH, DT_RUNPATH
                strings.append((tag, value))
            single[tag] = value
        self.summary["nodeflib"] = bool(single.get(0x6FFFFFFB, 0) & 0x800)  # DT_FLAGS_1, DF_1_NODEFLIB
        if not strings:
            return
        table, room = single.get(5), single.get(10, 0)  # DT_STRTAB, DT_STRSZ
        starts = [at + table - address for _, at, address, size in loads if table and address <= table < address + size]
        if not starts:
            raise ValueError("the string table is in no segment")
        found = {}
        for value in sorted(set(value for _, value in strings)):
            if value >= room:
                raise ValueError("a string outside the string table")
            found[value] = self.string(starts[0] + value, room - value)
        for tag, key in ((1, "needed"), (14, "soname"), (15, "rpath"), (29, "runpath")):
            values = [found[value] for each, value in strings if each == tag]
            if values:
                self.summary[key] = values if tag == 1 else values[-1]

    def string(self, at, room):
        for length in (256, 4096):  # most are short
            raw = self.some(min(length, room), at)
            if b"\0" in raw:
                return text(scrub(raw[: raw.index(b"\0") + 1])[:-1])
        raise ValueError("a string without an end")


def run(argv):
    """Exit code, output and, where it did not end well within its limits, what the matter is."""
    try:
        ran = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True
        )
    except OSError as error:
        return None, b"", problem(error)
    printed, code, trouble = b"", None, None
    deadline = time.monotonic() + COMMAND_SECONDS
    try:
        while True:
            left = max(deadline - time.monotonic(), 0)
            if not select.select([ran.stdout], [], [], left)[0]:
                raise subprocess.TimeoutExpired(argv, COMMAND_SECONDS)
            piece = os.read(ran.stdout.fileno(), 1 << 16)
            if not piece:
                break
            printed += piece
            if len(printed) > COMMAND_LIMIT:
                trouble = "more than %d bytes of output" % COMMAND_LIMIT
                break
        if not trouble:
            code = ran.wait(max(deadline - time.monotonic(), 0.1))
    except subprocess.TimeoutExpired:
        trouble = "no answer in %g s" % COMMAND_SECONDS
    # With all that it started.
    try:
        os.killpg(ran.pid, signal.SIGKILL)
    except OSError:
        pass
    ran.stdout.close()
    ran.wait()
    return code, printed, trouble


def lines_with(mark, raw):
    """The lines of a text that hold another text, without their ends."""
    at = raw.find(mark)
    while at >= 0:
        end = raw.find(b"\n", at)
        end = len(raw) if end < 0 else end
        yield raw[raw.rfind(b"\n", 0, at) + 1 : end]
        at = raw.find(mark, end)


def blank_line(raw):
    """Offset of the first blank line, or None."""
    ends = [found for found in (raw.find(b"\n\n"), raw.find(b"\n\r\n")) if found >= 0]
    return min(ends) + 1 if ends else None


def initial_environment():
    """The variables as they were handed over: Python itself adds LC_CTYPE later on (PEP 538)."""
    try:
        with open("/proc/self/environ", "br") as block:
            pairs = [pair.partition(b"=") for pair in block.read().split(b"\0") if pair]
        return [(name, value) for name, _, value in pairs]
    except OSError:
        return list(os.environb.items())


def isolated():
    return bool(sys.flags.isolated and sys.flags.no_site)


def mount_points():
    """Where something else than the root file system begins."""
    points = set()
    try:
        with open("/proc/self/mountinfo", "br") as table:
            for line in table:
                path = line.split(b" ")[4]
                points.add(re.sub(br"\\([0-7]{3})", lambda m: bytes([int(m.group(1), 8)]), path))
    except (OSError, IndexError):
        points |= {b"/proc", b"/sys", b"/dev"}
    points.discard(b"/")
    return points


def in_container():
    """Whether the root file system is an image's: a marker of an engine, or a layered or read-only image as root."""
    if any(os.path.exists(mark) for mark in ("/.dockerenv", "/run/.containerenv", "/.singularity.d")):
        return True
    try:
        with open("/proc/self/mountinfo", "br") as table:
            for line in table:
                fields = line.split(b" ")
                if fields[4] == b"/":
                    kind = fields[fields.index(b"-") + 1]
                    return kind in (b"overlay", b"squashfs", b"fuse-overlayfs", b"fuse.fuse-overlayfs", b"aufs")
    except (OSError, IndexError, ValueError):
        pass
    return False


def answer(request, collected):
    """Answer each want; one that fails spoils no other."""
    collected.out["failed"] = []
    began = int(time.time())
    for want in request["wants"]:
        try:
            getattr(collected, want["want"])(want)
        except Exception as error:
            said = "%s: %s" % (type(error).__name__, error)
            collected.out["failed"].append([want, said.encode("ascii", "backslashreplace").decode("ascii")])
    collected.out["wants"] = request["wants"]
    collected.out["time"] = began
    return collected.out


def frame(out, marker, level):
    """Pack an answer between its markers, with its length."""
    packed = base64.b64encode(zlib.compress(json.dumps(out).encode("ascii"), level)).decode("ascii")
    return "\n%s begin %d\n%s\n%s end\n" % (marker, len(packed), packed, marker)


def session(stdin, stdout):
    """Answer request after request until the input ends."""
    state = {"found": {}, "interpreters": {}}
    for line in iter(stdin.readline, b""):
        request = json.loads(line.decode("ascii"))
        if hasattr(signal, "alarm"):
            signal.alarm(request["seconds"])
        # Markers come reversed: an echo of the request is no answer.
        stdout.write(frame(answer(request, Answer(state)), request["marker"][::-1], 1))
        stdout.flush()


def by_hand(request):
    """Answer the request that stands in this file, for `evidence:FILE`."""
    marker = "reprocheck-evidence-" + hashlib.sha256(os.urandom(32)).hexdigest()
    sys.stdout.write(frame(answer(request, Answer({"found": {}, "interpreters": {}})), marker, 9))
    sys.stdout.flush()


REQUEST = None
"""`reprocheck probe` puts its request here."""

if __name__ == "__main__":
    gc.set_threshold(100000)  # what is read lives to the end: looking for garbage in it is a tenth of the time
    if REQUEST is None:
        session(getattr(sys.stdin, "buffer", sys.stdin), sys.stdout)
    else:
        by_hand(REQUEST)
