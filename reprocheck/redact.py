"""What must not leave a target: credentials in URLs, values of variables, build arguments, command arguments.

Everything that an engine says passes through here before it becomes evidence. The probe holds its own
copy of the URL rule (it imports nothing of ours); a test keeps the two alike.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence

MASK = "***"

_SECRETIVE = "KEY|TOKEN|SECRET|PASSW|PWD|CREDENTIAL|AUTH|SIGNATURE"
ALLOWED_VARIABLES: tuple[str, ...] = tuple(
    rf"(?!.*(?i:{_SECRETIVE}))(?!TF_(?:VAR|CLI|HTTP)_)(?:{rule})\Z"
    for rule in (
        # Accelerator stack and frameworks (Terraform's TF_ variables are none of these).
        r"(?:CUDA|CUDNN|CUBLAS|NCCL|NV|NVIDIA|TF|XLA|JAX|TORCH|PYTORCH|KERAS|TENSORRT)(?:_.*)?",
        r"ROCR_VISIBLE_DEVICES|HIP_VISIBLE_DEVICES|HSA_OVERRIDE_GFX_VERSION",
        # Interpreter and its environments.
        r"PYTHON.*|VIRTUAL_ENV|CONDA_PREFIX|CONDA_DEFAULT_ENV|PATH",
        # Threads and numerical libraries.
        r"(?:OMP|MKL|OPENBLAS|KMP|GOMP|GOTO|BLIS|NUMEXPR|VECLIB|DNNL|ONEDNN)_.*",
        # Locale and loader.
        r"LANG|LANGUAGE|LC_.*|TZ|LD_LIBRARY_PATH|LD_PRELOAD|LD_BIND_NOW|MALLOC_ARENA_MAX",
        r"PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION",
    )
)
"""Variables whose values are facts; a name that looks like a secret's is never among them."""
_ALLOWED = re.compile("|".join(f"(?:{rule})" for rule in ALLOWED_VARIABLES))

_ALLOWED_LABELS = re.compile(
    r"org\.opencontainers\.image\.(?:title|version|revision|created|source|url|documentation|vendor|licenses"
    r"|description|base\.name|base\.digest|ref\.name)$|com\.nvidia\.[a-z.]*version$|dev\.reprocheck\..*$|maintainer$"
)

# The slashes may be escaped, as some write JSON. Userinfo ends at the last @: a password may hold others.
_USERINFO = re.compile(r"(:(?:\\?/){2})([^/\s'\"\\<>]*)@", re.ASCII)
_QUERY_SECRET = re.compile(
    r"([?&;][^=&#?;\s'\"]{0,80}(?:token|secret|passw|pwd|key|sig|auth|credential)[^=&#?;\s'\"]{0,80}=)[^&#;\s'\"]+",
    re.IGNORECASE | re.ASCII,
)
# In a shell's words a secret has a name that ends in such a word (`tokenizers==0.13` and `keyring` have not).
_NAMED = "KEY|TOKEN|SECRET|PASSW(?:OR)?D|PASSPHRASE|PWD|CREDENTIALS?|AUTH|SIGNATURE|(?<![A-Z])PASS"
_VALUE = r"(?:\"(?:[^\"\\]|\\.)*\"|'[^']*'|[^\s;&|\"'])+"
_SECRETS_OF_COMMANDS = tuple(
    re.compile(rule, re.IGNORECASE)
    for rule in (
        r"(\bAuthorization:[ \t]*)[^\"'\n]+",
        r"\b((?:Bearer|Basic)[ \t]+)[A-Za-z0-9._~+/=-]+",
        rf"((?:{_NAMED})S?\d*(?:[_-][\w-]*)?[\"']?(?:=(?!=)|[ \t]+=[ \t]+|:[ \t]*)){_VALUE}",
        rf"(\s--?[\w-]*(?:{_NAMED})[ \t]+)(?!-){_VALUE}",
        rf"(\b(?:password|passwd)[ \t]+)(?!-){_VALUE}",
        r"(\b(?:curl|wget)\b[^\n;|&]*?\s(?:-u|--user)[ =]?[^\s:/=]+:)[^\s\"']+",
    )
)


def url(text: str) -> str:
    """Take credentials out of every URL in a text; a bare ``git@`` stays."""
    if ":/" not in text and ":\\/" not in text:
        return text
    text = _USERINFO.sub(lambda m: m[0] if m[2] == "git" else m[1], text)
    return _QUERY_SECRET.sub(rf"\1{MASK}", text)


def variables(assignments: Iterable[str]) -> dict[str, str | None]:
    """``NAME=value`` strings as a mapping, values of names that are not allow-listed withheld."""
    shown: dict[str, str | None] = {}
    for assignment in assignments:
        name, _, value = assignment.partition("=")
        shown[name] = url(value) if _ALLOWED.match(name) else None
    return shown


def labels(given: Mapping[str, str]) -> dict[str, str | None]:
    """Labels, values of names that are not allow-listed withheld."""
    return {name: url(value) if _ALLOWED_LABELS.match(name) else None for name, value in given.items()}


def command(argv: Sequence[str]) -> tuple[str, ...]:
    """A command line: the program, option names, paths and numbers; every other argument is masked."""
    return tuple(url(word) if position == 0 else _argument(word) for position, word in enumerate(argv))


def _argument(word: str) -> str:
    option, equals, _ = word.partition("=")
    if re.fullmatch(r"--?[A-Za-z][A-Za-z0-9-]*", option):
        return f"{option}={MASK}" if equals else option
    if re.fullmatch(r"/[\w./+-]*|[\w./-]+\.(?:py|sh)|\d{1,6}|infinity|-", word):
        return word
    return MASK


def command_digest(entrypoint: Sequence[str], cmd: Sequence[str]) -> str | None:
    """SHA-256 that changes with any argument, so that a masked change is still seen; ``None`` for no command."""
    if not entrypoint and not cmd:
        return None
    return hashlib.sha256(json.dumps([list(entrypoint), list(cmd)]).encode()).hexdigest()


_ARGUMENTS = re.compile(r"(?:RUN )?\|(\d+) ")
_SHELL = re.compile(r"(?:/\S+/)?(?:ba|da|a|z|k)?sh(?: -\w*o \w+| -\S+)*? -\w*c ")


def instruction(created_by: str) -> str | None:
    """The Dockerfile instruction of a history entry as its author wrote it, secrets masked; ``None`` for an empty one.

    The classic builder writes ``/bin/sh -c #(nop)  CMD …`` and ``|1 ARG=value /bin/sh -c …``, BuildKit
    ``RUN |1 ARG=value /bin/sh -c … # buildkit``.
    """
    text = created_by.strip().removesuffix("# buildkit").strip()
    if not text:
        return None
    nop = re.match(r"(?:\S+sh )?(?:-\S+ )*#\(nop\)\s*", text)
    if nop:
        text = text[nop.end() :]
    elif arguments := _ARGUMENTS.match(text):
        shell = _SHELL.search(text, arguments.end())
        text = f"RUN {text[shell.end() :]}" if shell else f"RUN {MASK}"
    elif shell := re.match(rf"(?:RUN )?{_SHELL.pattern}", text):
        text = f"RUN {text[shell.end() :]}"
    word, _, rest = text.partition(" ")
    return f"{word} {_operands(word.upper(), rest.strip())}".strip()


def _operands(word: str, rest: str) -> str:
    match word:
        case "ENV" | "LABEL" | "ARG":
            return _names(rest, word)
        case "CMD" | "ENTRYPOINT" | "HEALTHCHECK" | "ONBUILD":
            return _masked_command(rest)
        case _:
            rest = url(rest)
            for rule in _SECRETS_OF_COMMANDS:
                rest = rule.sub(rf"\1{MASK}", rest)
            return rest


def _names(rest: str, word: str) -> str:
    # Names alone: a value may hold spaces and quotes, and where one ends can't be told from the history.
    found = re.match(r"(?:map\[)?([A-Za-z_][\w.-]*)(?:=(.*))?", rest, re.DOTALL)
    if found is None:
        return MASK
    name, value = found[1], found[2]
    if value is None:
        return name if word == "ARG" else f"{name} {MASK}"
    if word == "ENV" and _ALLOWED.match(name) and not re.search(r"\s\S+=", value):
        return f"{name}={url(value)}"
    return f"{name}={MASK}"


def _masked_command(rest: str) -> str:
    try:
        argv = json.loads(rest)
    except ValueError:
        # The classic builder prints a Go slice: ["python3" "train.py"].
        argv = re.findall(r'"((?:[^"\\]|\\.)*)"', rest)
    if not isinstance(argv, list) or not argv:
        return MASK
    return json.dumps(list(command([str(word) for word in argv])))
