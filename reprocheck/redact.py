"""What must not leave a target: credentials in URLs, values of variables and labels, command arguments.

Everything that an engine says passes through here before it becomes evidence, instructions by way of ``history``.
The rules for URLs are a part of the probe, which is sent to where nothing else of ours is.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence

from reprocheck.probe import urls

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
        r"NPY_DISABLE_CPU_FEATURES|NUMBA_CPU_NAME|NUMBA_CPU_FEATURES|HOROVOD_FUSION_THRESHOLD",
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

# Credentials that tell themselves by their shape, as those who give them out document it.
_BEGINS = r"(?:(?<![A-Za-z0-9])|(?<=\\[nrt]))"
_TOKENS = re.compile(
    rf"{_BEGINS}(?:"
    r"gh[pousr]_[A-Za-z0-9]{16,255}|github_pat_\w{16,255}|gl(?:pat|oas|dt|rt|cbt|ptt|ft|imt|agent|soat|ffct)-[\w-]{16,255}"
    r"|hf_[A-Za-z0-9]{16,255}|api_org_[A-Za-z]{16,255}|sk-(?=[\w-]{0,255}\d)[\w-]{16,255}"
    r"|[sr]k_(?:live|test)_[A-Za-z0-9]{10,255}"
    r"|xox[a-z]-[A-Za-z0-9-]{10,255}|xapp-[A-Za-z0-9-]{10,255}|(?:AKIA|ASIA)[A-Z0-9]{16}(?![A-Z0-9])|AIza[\w-]{35}"
    r"|ya29\.[\w-]{16,2048}|eyJ[\w-]{8,4096}\.[\w-]{8,8192}(?:\.[\w-]{0,4096}){0,3}|npm_[A-Za-z0-9]{30,255}"
    r"|pypi-AgE[\w-]{16,2048}|dckr_[a-z]{2,5}_[\w-]{16,255}|do[opr]_v1_[a-f0-9]{32,255}|hv[sbr]\.[\w-]{16,2048}"
    r"|SG\.[\w-]{16,64}\.[\w-]{16,64}|nvapi-[\w-]{16,255}|tskey-[\w-]{16,255}|glsa_[\w-]{16,255}"
    r"|-----BEGIN [A-Z ]{0,40}PRIVATE KEY(?: BLOCK)?-----(?s:.*?)(?:-----END [A-Z ]{0,40}-----|\Z)"
    r")",
    re.ASCII,
)


def url(text: str) -> str:
    """Take credentials out of every URL in a text; a bare ``git@`` stays."""
    return _by_the_probe(urls.scrub, text)


def cut_url(text: str) -> str:
    """Take out the end of a text that was cut, if it lies in a URL: the ``@`` that tells what is secret may be gone."""
    return _by_the_probe(urls.cut_url, text)


def _by_the_probe(rule: Callable[[bytes], bytes], text: str) -> str:
    return rule(text.encode("utf-8", "surrogatepass")).decode("utf-8", "surrogatepass")


def scrubbed(text: str) -> str:
    """Take out of a value that is shown what is a credential nevertheless."""
    return tokens(url(text))


def tokens(text: str) -> str:
    """Take out what is a credential by its shape: access tokens of known services, private keys."""
    return _TOKENS.sub(MASK, text)


def is_shown(name: str) -> bool:
    """Whether the value of a variable is a fact and no secret."""
    return _ALLOWED.match(name) is not None


def variables(assignments: Iterable[str]) -> dict[str, str | None]:
    """``NAME=value`` strings as a mapping, values of names that are not allow-listed withheld."""
    known: dict[str, str | None] = {}
    for assignment in assignments:
        name, _, value = assignment.partition("=")
        known[name] = scrubbed(value) if is_shown(name) else None
    return known


def labels(given: Mapping[str, str]) -> dict[str, str | None]:
    """Labels, values of names that are not allow-listed withheld."""
    return {name: scrubbed(value) if _ALLOWED_LABELS.match(name) else None for name, value in given.items()}


def command(argv: Sequence[str]) -> tuple[str, ...]:
    """A command line: the program, option names, paths and numbers; every other argument is masked."""
    return tuple(scrubbed(word) if position == 0 else _argument(word) for position, word in enumerate(argv))


def _argument(word: str) -> str:
    option, equals, _ = word.partition("=")
    if tokens(word) != word:
        return MASK
    # What stands behind one letter may be its value: `mysql -phunter2`.
    if re.fullmatch(r"--[A-Za-z][A-Za-z0-9-]*|-[A-Za-z]{1,2}", option):
        return f"{option}={MASK}" if equals else option
    if re.fullmatch(r"/[\w./+-]*|[\w./-]+\.(?:py|sh)|\d{1,6}|infinity|-", word):
        return word
    return MASK


def command_digest(entrypoint: Sequence[str], cmd: Sequence[str]) -> str | None:
    """SHA-256 that changes with any argument, so that a masked change is still seen; ``None`` for no command."""
    if not entrypoint and not cmd:
        return None
    return hashlib.sha256(json.dumps([list(entrypoint), list(cmd)]).encode()).hexdigest()
