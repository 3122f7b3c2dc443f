# -*- coding: utf-8 -*-
"""The part of the probe that an interpreter runs to describe itself; its text stands in the probe when that is sent."""

# What another interpreter says of itself. Parses and runs on 2.7 as well. `site` is imported, never run:
# under -S that executes nothing of the target's own.
SELF = r"""
import json, os, platform, re, sys
def text(f, *a):
    try:
        return f(*a)
    except Exception:
        return None
try:
    from importlib.machinery import EXTENSION_SUFFIXES as suffixes
except ImportError:
    suffixes = []
def path(p):
    return (os.fsencode(p) if hasattr(os, "fsencode") else p).decode("latin-1")
def version_file():
    with open("/proc/self/maps", "rb") as maps:
        shared = re.search(br" (/[^\n]*/lib(?:python|pypy)[23]\.[^/\n]*\.so[\d.]*)\n", maps.read())
    return shared.group(1).decode("latin-1") if shared else path(os.path.realpath("/proc/self/exe"))
impl = getattr(sys, "implementation", None)
def number(v):
    out = "%d.%d.%d" % (v[0], v[1], v[2])
    return out if v[3] == "final" else out + v[3][0] + str(v[4])
facts = {
    "version": "%d.%d.%d" % tuple(sys.version_info[:3]) + ("" if sys.version_info[3] == "final" else {"alpha": "a", "beta": "b", "candidate": "rc"}[sys.version_info[3]] + str(sys.version_info[4])),
    "implementation": impl.name if impl else platform.python_implementation().lower(),
    "cache_tag": getattr(impl, "cache_tag", None),
    "abiflags": getattr(sys, "abiflags", ""),
    "base_prefix": path(getattr(sys, "base_prefix", sys.prefix)),
    "base_exec_prefix": path(getattr(sys, "base_exec_prefix", sys.exec_prefix)),
    "platlibdir": getattr(sys, "platlibdir", "lib"),
    "standard_path": [path(p) for p in sys.path],
    "suffixes": list(suffixes),
    "libc": text(os.confstr, "CS_GNU_LIBC_VERSION") if hasattr(os, "confstr") else None,
    "markers": {
        "implementation_name": impl.name if impl else "",
        "implementation_version": number(impl.version) if impl else "0",
        "os_name": os.name,
        "platform_machine": platform.machine(),
        "platform_python_implementation": platform.python_implementation(),
        "platform_release": platform.release(),
        "platform_system": platform.system(),
        "platform_version": platform.version(),
        "python_full_version": platform.python_version(),
        "python_version": ".".join(platform.python_version_tuple()[:2]),
        "sys_platform": sys.platform,
    },
    "version_file": text(version_file),
}
"""
