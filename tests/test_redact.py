from __future__ import annotations

import os
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reprocheck import redact

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


# History: what both builders write, as the author wrote it.

CLASSIC = "/bin/sh -c "
NOP = "/bin/sh -c #(nop)  "


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("", None),
        ("  ", None),
        (f"{CLASSIC}pip3 install numpy", "RUN pip3 install numpy"),
        ("RUN /bin/sh -c pip3 install numpy # buildkit", "RUN pip3 install numpy"),
        (f"|1 TOKEN={SECRET} {CLASSIC}pip3 install x", "RUN pip3 install x"),
        (f"|2 A=x y TOKEN={SECRET} {CLASSIC}pip3 install x", "RUN pip3 install x"),
        (f"RUN |1 TOKEN={SECRET} /bin/sh -c pip3 install x # buildkit", "RUN pip3 install x"),
        (f"|1 TOKEN={SECRET} pip3 install x", "RUN ***"),
        ("RUN /bin/bash -o pipefail -c curl h | tar x # buildkit", "RUN curl h | tar x"),
        (f"RUN |1 A={SECRET} /bin/bash -eo pipefail -c make # buildkit", "RUN make"),
        ("/bin/bash -euxo pipefail -c make", "RUN make"),
        ("/bin/bash -c make", "RUN make"),
        ("/busybox/sh -c make", "RUN make"),
        (f'{NOP}CMD ["python3"]', 'CMD ["python3"]'),
        (f'{NOP}CMD ["python3" "train.py"]', 'CMD ["python3", "train.py"]'),
        ('CMD ["python3" "train.py"]', 'CMD ["python3", "train.py"]'),
        (f'ENTRYPOINT ["/x" "--token" "{SECRET}"]', 'ENTRYPOINT ["/x", "--token", "***"]'),
        (f'HEALTHCHECK &{{["CMD-SHELL" "curl u:{SECRET}"] "30s"}}', 'HEALTHCHECK ["CMD-SHELL", "***", "***"]'),
        (f"CMD serve {SECRET}", "CMD ***"),
        (f"{NOP}COPY file:abc123 in /app ", "COPY file:abc123 in /app"),
        ("COPY . /app # buildkit", "COPY . /app"),
        (f"ADD https://u:{SECRET}@h/x.tgz / # buildkit", "ADD https://h/x.tgz /"),
        (f"{NOP}ENV PYTHON_VERSION=3.9.2", "ENV PYTHON_VERSION=3.9.2"),
        (f"ENV API_KEY={SECRET}", "ENV API_KEY=***"),
        (f"ENV PATH=/bin API_KEY={SECRET}", "ENV PATH=***"),
        (f"ENV NAME {SECRET}", "ENV NAME ***"),
        (f"ENV TF_VAR_x={SECRET}", "ENV TF_VAR_x=***"),
        (f"LABEL token={SECRET}", "LABEL token=***"),
        (f"LABEL map[token:{SECRET}]", "LABEL token ***"),
        ("ARG TOKEN", "ARG TOKEN"),
        (f"ARG TOKEN={SECRET}", "ARG TOKEN=***"),
        ("WORKDIR /work", "WORKDIR /work"),
        ("USER 1000", "USER 1000"),
        ("EXPOSE map[80/tcp:{}]", "EXPOSE map[80/tcp:{}]"),
    ],
)
def test_instruction(written: str, shown: str | None) -> None:
    assert redact.instruction(written) == shown
    assert shown is None or SECRET not in shown


KEPT = [
    "pip3 install opencv-python transformers scikit-learn seaborn",
    "pip install tokenizers==0.13.3 transformers",
    "pip install tokenizers transformers keyring authlib",
    "pip install keyring>=23 tokenizers!=0.14",
    "conda install tokenizers=0.13 keyring=23",
    "pip install \"numpy<2\" 'protobuf==3.19.6'",
    "apt-get update &&     apt-get install -y --no-install-recommends python3 &&     rm -rf /var/lib/apt/lists/*",
    "apt-get install --allow-unauthenticated foo",
    "apt-key add key.asc && apt-key list",
    "set -eux;\n\techo 'a  b'\t;\n\tmake -j4",
    "gpg --batch --keyserver hkps://keys.openpgp.org --recv-keys A035C8C19219BA821ECEA86B64E628F8D684696D",
    "python3 -c 'import sys; print(sys.path)'",
    "--mount=type=secret,id=pip_token pip install x",
    "TOKEN= pip install x",
    '[ "$TOKEN" == "x" ]',
    "git clone ssh://git@h/x.git",
    "useradd -u 1000:1000 me",
    "curl -fsSL https://example.org/monkey.tar.gz | tar xz",
]


@pytest.mark.parametrize("words", KEPT)
@pytest.mark.parametrize("shape", ["/bin/sh -c {}", "RUN /bin/sh -c {} # buildkit", "|1 A=1 /bin/sh -c {}"])
def test_run_lines_keep_their_authors_words(words: str, shape: str) -> None:
    assert redact.instruction(shape.format(words)) == f"RUN {words}"


@pytest.mark.parametrize(
    "words",
    [
        f"TOKEN={SECRET} make",
        f"export AWS_SECRET_ACCESS_KEY={SECRET}",
        f"export DB_PASS='{SECRET}' X=1",
        f'PASSWORD="a \\" {SECRET}" make',
        f"PASSWORD=a\"b\"'{SECRET}' make",
        f"TOKEN_GITHUB={SECRET} make",
        f"GITHUB_TOKEN1={SECRET} make",
        f"my_password_main={SECRET}",
        f"apikey={SECRET}",
        f"mysql --password {SECRET}",
        f"mysql --password={SECRET}",
        f"x --api-key  '{SECRET}'",
        f"curl -H 'Authorization: token {SECRET}' h",
        f'curl -H "Authorization: Bearer {SECRET}" h',
        f"curl -H 'X-Api-Key: {SECRET}' h",
        f"curl -H PRIVATE-TOKEN:{SECRET} h",
        f"curl -u me:{SECRET} h",
        f"curl --user me:{SECRET} h",
        f"pip install -i https://me:{SECRET}@h/simple x",
        f"pip install git+https://{SECRET}@h/x.git",
        f"curl 'https://h/x?access_token={SECRET}&y=1'",
        f"echo 'machine h login me password {SECRET}' > ~/.netrc",
        f'echo \'{{"token": "{SECRET}"}}\' > x.json',
        f"echo 'password = {SECRET}' > x.ini",
    ],
)
def test_run_lines_lose_their_secrets(words: str) -> None:
    shown = redact.instruction(f"RUN /bin/sh -c {words} # buildkit")
    assert shown is not None
    assert shown.startswith("RUN ")
    assert SECRET not in shown


@given(st.text(max_size=60))
def test_any_history_is_read_and_once_is_enough(text: str) -> None:
    shown = redact.instruction(text)
    assert (shown is None) == (not text.strip().removesuffix("# buildkit").strip())
    assert redact.url(redact.url(text)) == redact.url(text)


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
