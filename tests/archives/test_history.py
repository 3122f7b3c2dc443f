from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reprocheck.archives.history import from_config, instruction, instructions
from reprocheck.archives.manifest import HistoryEntry

SECRET = "hunter2"

Entry = tuple[str, int]

BASE: Entry = ("/bin/sh -c #(nop) ADD file:abc in / ", 100)
SETTINGS: list[Entry] = [
    ("/bin/sh -c #(nop)  ENV A=1", 0),
    ('/bin/sh -c #(nop)  CMD ["bash"]', 0),
    ("EXPOSE 8888/tcp", 0),
    ("ARG X", 0),
]
RUN: Entry = ("RUN /bin/sh -c pip3 install six # buildkit", 7)
WORKDIR: Entry = ("WORKDIR /work", 0)
NOTHING: Entry = ("RUN /bin/sh -c true # buildkit", 0)
COPY: Entry = ("COPY app /app # buildkit", 3)

ADDED, RAN, COPIED = ("ADD file:abc in /", 100), ("RUN pip3 install six", 7), ("COPY app /app", 3)
UNKNOWN = (None, None)


@pytest.mark.parametrize(
    ("history", "layers", "made"),
    [
        ([], 0, []),
        ([BASE], 1, [ADDED]),
        ([BASE, *SETTINGS, RUN], 2, [ADDED, RAN]),
        # An instruction that wrote nothing made a layer (BuildKit) or none (the classic builder).
        ([BASE, WORKDIR, RUN], 3, [ADDED, ("WORKDIR /work", 0), RAN]),
        ([BASE, WORKDIR, RUN], 2, [ADDED, RAN]),
        ([BASE, NOTHING, COPY], 3, [ADDED, ("RUN true", 0), COPIED]),
        # One of the two did: what stands between them is not certain, the ends are.
        ([BASE, WORKDIR, RUN, NOTHING, COPY], 4, [ADDED, UNKNOWN, UNKNOWN, COPIED]),
        # A history of something else, or none at all: nothing is claimed.
        ([BASE, RUN], 3, [UNKNOWN] * 3),
        ([BASE, RUN, COPY], 2, [UNKNOWN] * 2),
        ([], 2, [UNKNOWN] * 2),
        ([("", 0), ("", 5)], 1, [(None, 5)]),
    ],
)
def test_each_layer_has_its_instruction(
    history: list[Entry], layers: int, made: list[tuple[str | None, int | None]]
) -> None:
    assert instructions(history, layers) == made


def entry(text: str | None, *, empty: bool | None = None) -> HistoryEntry:
    return HistoryEntry(created_by=text, empty_layer=empty)


def test_a_configurations_own_history_is_exact() -> None:
    history = [
        entry("/bin/sh -c #(nop) ADD file:abc in / "),
        entry("ENV A=1", empty=True),
        entry("WORKDIR /work"),
        entry("RUN /bin/sh -c true # buildkit"),
        entry("RUN |1 TOKEN=hidden /bin/sh -c pip3 install six # buildkit", empty=False),
        entry(None),
        entry('CMD ["bash"]', empty=True),
    ]
    made = ("ADD file:abc in /", "WORKDIR /work", "RUN true", "RUN pip3 install six", None)
    assert from_config(history, 5) == made
    assert from_config([], 0) == ()


@pytest.mark.parametrize("layers", [0, 1, 3])
def test_a_configurations_history_of_something_else_claims_nothing(layers: int) -> None:
    assert from_config([entry("RUN a"), entry("RUN b"), entry("USER c", empty=True)], layers) is None


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
        (f"|1 TOKEN=a {SECRET} \n'b {CLASSIC}pip3 install x", "RUN pip3 install x"),
        (f"|1 TOKEN=ash -c {SECRET} {CLASSIC}pip3 install x", "RUN pip3 install x"),
        (f"|1 TOKEN=a sh -c {SECRET} {CLASSIC}pip3 install x", "RUN pip3 install x"),
        (f"|1 TOKEN=a {CLASSIC}{SECRET} {CLASSIC}pip3 install x", "RUN *** pip3 install x"),
        (f"RUN |1 TOKEN=a\n/bin/bash -c\n{SECRET} /bin/bash -o pipefail -c make # buildkit", "RUN make"),
        (f"RUN |1 TOKEN=a /bin/bash -c b\n{SECRET} /bin/bash -o pipefail -c make # buildkit", "RUN *** make"),
        (f"|1 TOKEN={SECRET} {CLASSIC}/bin/bash -c 'make'", "RUN /bin/bash -c 'make'"),
        (f"|1 TOKEN={SECRET} {CLASSIC}make && bash -c 'x y'", "RUN make && bash -c 'x y'"),
        (f"|1 TOKEN={SECRET} /bin/bash -c make && bash -c 'x y'", "RUN *** 'x y'"),
        (f"|0 {CLASSIC}make", "RUN make"),
        (f"|1 TOKEN={SECRET} /bin/busybox sh -c make", "RUN make"),
        (f"|1 TOKEN={SECRET} /usr/bin/fish -c make", "RUN make"),
        (f"|1 TOKEN={SECRET} /bin/bash --login -c make", "RUN make"),
        (f"|1 TOKEN={SECRET} /usr/bin/env bash -euo pipefail -c make", "RUN make"),
        (f"|1 TOKEN={SECRET} python3 -c print()", "RUN ***"),
        (f"|1 TOKEN={SECRET}", "RUN ***"),
        (f"|2 TOKEN={SECRET} {CLASSIC}", "RUN ***"),
        ("/usr/bin/fish -c make", "RUN make"),
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
        (f"ENV PYTHON_X=ghp_{SECRET * 4}", "ENV PYTHON_X=***"),
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
    assert instruction(written) == shown
    assert shown is None or SECRET not in shown


def test_a_line_that_no_shell_could_be_given_is_not_looked_through() -> None:
    assert instruction(f"RUN /bin/sh -c {'x ' * (1 << 16)}y") == "RUN ***"
    assert instruction(f"RUN /bin/sh -c {'x' * (1 << 17)}") == f"RUN {'x' * (1 << 17)}"


def test_the_shell_of_a_run_is_the_one_that_was_set_before() -> None:
    """So that neither a shell in a build argument nor one in the command is taken for it."""
    bash = f"RUN |1 TOKEN=a {CLASSIC}{SECRET} /bin/bash -o pipefail -c make && /bin/sh -c x # buildkit"
    for setting in ("SHELL [/bin/bash -o pipefail -c]", f"{NOP}SHELL [/bin/bash -o pipefail -c]"):
        history = [entry(bash), entry(setting, empty=True), entry(bash), entry("SHELL [/bin/sh -c]", empty=True)]
        last = f"RUN |1 TOKEN=a /bin/bash -o pipefail -c {SECRET} /bin/sh -c make # buildkit"
        shown = ("RUN *** x", "RUN make && /bin/sh -c x", "RUN make")
        assert from_config([*history, entry(last)], 3) == shown
        entries = [(one.created_by or "", 0 if one.empty_layer else 1) for one in [*history, entry(last)]]
        assert instructions(entries, 3) == [(text, 1) for text in shown]


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
    assert instruction(shape.format(words)) == f"RUN {words}"


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
    shown = instruction(f"RUN /bin/sh -c {words} # buildkit")
    assert shown is not None
    assert shown.startswith("RUN ")
    assert SECRET not in shown


@given(st.text(max_size=60))
def test_any_history_is_read(text: str) -> None:
    shown = instruction(text)
    assert (shown is None) == (not text.strip().removesuffix("# buildkit").strip())
