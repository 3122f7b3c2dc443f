from __future__ import annotations

import os
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reprocheck import redact
from reprocheck.probe import urls

SECRET = "hunter2"

# Variables.

SHOWN = [
    "PATH", "LANG", "LC_ALL", "TZ", "CUDA_VERSION", "CUDA_HOME", "NVIDIA_VISIBLE_DEVICES", "NV_CUDNN_VERSION",
    "TF_CPP_MIN_LOG_LEVEL", "XLA_FLAGS", "OMP_NUM_THREADS", "PYTHONPATH", "PYTHON_VERSION", "VIRTUAL_ENV",
    "CONDA_PREFIX", "LD_LIBRARY_PATH", "LD_PRELOAD", "HIP_VISIBLE_DEVICES", "PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION",
]  # fmt: skip
WITHHELD = [
    "NVIDIA_API_KEY", "NV_TOKEN", "TF_SECRET", "CUDA_PASSWORD", "PYTHON_KEYRING_BACKEND", "OMP_AUTH",
    "nvidia_api_key", "TF_api_key", "TF_VAR_db_password", "TF_VAR_region", "TF_CLI_ARGS", "TF_HTTP_USERNAME",
    "LANGFUSE_SALT", "LANGCHAIN_API_KEY", "LC_SECRET_TOKEN", "LANGUAGE_PWD", "TZ_PASSWORD", "VIRTUAL_ENV_TOKEN",
    "CONDA_PREFIX_SECRET", "VIRTUAL_ENV_PROMPT", "CONDA_TOKEN", "LD_PRELOADED", "HIP_VISIBLE_DEVICES_X",
    "AWS_SECRET_ACCESS_KEY", "HF_TOKEN", "PIP_INDEX_URL", "MY_PATH", "HOME", "", "PATH\n", "XPYTHON",
]  # fmt: skip


@pytest.mark.parametrize("name", SHOWN)
def test_a_variable_that_is_a_fact(name: str) -> None:
    assert redact.variables([f"{name}=1.2=x"]) == {name: "1.2=x"}


@pytest.mark.parametrize("name", WITHHELD)
def test_a_variable_that_is_not(name: str) -> None:
    assert redact.variables([f"{name}={SECRET}"]) == {name: None}
    # The probe is given the rules one by one.
    assert not any(re.match(rule, name) for rule in redact.ALLOWED_VARIABLES)


def test_a_shown_variable_still_loses_credentials() -> None:
    assert redact.variables([f"PYTHONPATH=https://u:{SECRET}@h/x", "PATH"]) == {"PYTHONPATH": "https://h/x", "PATH": ""}


def test_a_token_that_tells_itself_is_taken_out_of_what_is_shown() -> None:
    token = "ghp_" + "a1B2" * 9
    assert redact.variables([f"PYTHON_X=a:{token}"]) == {"PYTHON_X": "a:***"}
    assert redact.labels({"maintainer": f"me {token}"}) == {"maintainer": "me ***"}
    assert redact.command([f"/{token}", f"/x/{token}"]) == ("/***", "***")


# Labels and commands.


def test_labels() -> None:
    given = {
        "org.opencontainers.image.source": f"https://u:{SECRET}@h/x",
        "org.opencontainers.image.sources": SECRET,
        "com.nvidia.cudnn.version": "8",
        "maintainer": "x",
        "maintainer.token": SECRET,
        "com.example.token": SECRET,
        "dev.reprocheck.test": "1",
    }
    assert redact.labels(given) == {
        "org.opencontainers.image.source": "https://h/x",
        "org.opencontainers.image.sources": None,
        "com.nvidia.cudnn.version": "8",
        "maintainer": "x",
        "maintainer.token": None,
        "com.example.token": None,
        "dev.reprocheck.test": "1",
    }


@pytest.mark.parametrize(
    ("argv", "shown"),
    [
        ([], ()),
        (["python3", "train.py", "--epochs", "10"], ("python3", "train.py", "--epochs", "10")),
        (["x", f"--token={SECRET}"], ("x", "--token=***")),
        (["x", "--token", SECRET], ("x", "--token", "***")),
        (["x", "-p", SECRET], ("x", "-p", "***")),
        (["x", f"-p{SECRET}!"], ("x", "***")),
        (["x", f"-p{SECRET}", "-u", "-lc", "-p4321"], ("x", "***", "-u", "-lc", "***")),
        ([f"https://u:{SECRET}@h"], ("https://h",)),
        (["x", f"KEY={SECRET}"], ("x", "***")),
        (["/bin/sh", "-c", f"serve {SECRET}"], ("/bin/sh", "-c", "***")),
        (["tini", "--", "/usr/bin/run.sh"], ("tini", "***", "/usr/bin/run.sh")),
    ],
)
def test_command(argv: list[str], shown: tuple[str, ...]) -> None:
    assert redact.command(argv) == shown


@given(st.lists(st.text(max_size=5), max_size=3), st.lists(st.text(max_size=5), max_size=3))
def test_a_masked_change_of_a_command_is_still_seen(entrypoint: list[str], cmd: list[str]) -> None:
    digest = redact.command_digest(entrypoint, cmd)
    assert (digest is None) == (not entrypoint and not cmd)
    assert redact.command_digest(entrypoint, [*cmd, "x"]) != digest
    assert redact.command_digest(["x", *entrypoint], cmd) != digest
    if entrypoint:
        assert redact.command_digest(entrypoint[:-1], [entrypoint[-1], *cmd]) != digest


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        (rf'"https:\/\/us\u0065r:{SECRET}@h.org\/n.git"', r'"https:\/\/h.org\/n.git"'),
        (rf'"https:\u002F\u002fuser:{SECRET}@h.org/n"', r'"https:\u002F\u002fh.org/n"'),
        (rf'"https\u003A//user:{SECRET}\u0040h.org/n"', r'"https\u003A//h.org/n"'),
        (r'"ssh://git\u0040h.org/n"', r'"ssh://git\u0040h.org/n"'),
        (r'"https://h.org/n", "a\u0040b"', r'"https://h.org/n", "a\u0040b"'),
        (r'"https://h.org\u002fa\u0040b"', r'"https://h.org\u002fa\u0040b"'),
    ],
)
def test_a_url_in_the_escapes_of_json(written: str, shown: str) -> None:
    assert redact.url(written) == shown
    assert urls.scrub(written.encode()) == shown.encode()  # type: ignore[no-untyped-call]
    for end in range(len(written)):
        assert "hunt" not in redact.url(redact.cut_url(written[:end]))


@given(
    st.lists(
        st.sampled_from(
            ["a", ":", "/", "\\", "\\u", "0065", "002f", "003a", "0040", "@", "'", " ", "git", "/t/", "\0", "\xff"]
        )
    )
)
def test_of_other_letters_than_those_of_ascii_urls_are_scrubbed_alike(pieces: list[str]) -> None:
    text = "".join(pieces)
    raw = text.encode("latin-1")
    assert redact.url(text) == urls.scrub(raw).decode("latin-1")  # type: ignore[no-untyped-call]
    assert redact.cut_url(text) == urls.cut_url(raw).decode("latin-1")  # type: ignore[no-untyped-call]


@given(st.text(max_size=60))
def test_once_is_enough(text: str) -> None:
    assert redact.url(redact.url(text)) == redact.url(text)


@given(st.text(alphabet="a:/\\\\@'< \n\0\xff", max_size=30))
def test_urls_are_cut_alike(text: str) -> None:
    cut = urls.cut_url(text.encode("latin-1"))  # type: ignore[no-untyped-call]
    assert redact.cut_url(text) == cut.decode("latin-1")


def test_the_urls_of_packagings_tests() -> None:
    """Ours agrees, and is stricter with ${VARIABLES}: a name may be a secret's own."""
    root = os.environ.get("REPROCHECK_CORPUS")
    if not root:
        pytest.skip("REPROCHECK_CORPUS is not set")
    import json
    from pathlib import Path

    table = json.loads((Path(root) / "packaging/EXPECTED.json").read_bytes())["strip_url"]
    assert len(table) >= 8
    for given_url, shown in table:
        want = "https://g.c/user/repo.git" if "${" in shown else shown.partition(" ")[0]
        assert redact.url(given_url) == want
