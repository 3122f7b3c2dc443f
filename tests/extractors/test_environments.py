from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from reprocheck.extractors import environments
from reprocheck.extractors.assemble import assemble
from reprocheck.extractors.discovery import denied
from reprocheck.extractors.places import parse_pyvenv
from reprocheck.model import codec
from reprocheck.model.evidence import (
    OUT_OF_REACH,
    EngineFacts,
    Evidence,
    FileEvidence,
    InterpreterEvidence,
    InterpreterFacts,
    Listing,
)
from tests.evidence import HEADER, Tree, interpreter, plant, process

METADATA = "Name: six\nVersion: 1.0\n"
FILES: dict[str, str | bytes] = {
    "/usr/local/bin/python3": "",
    "/usr/local/lib/python3.9/site-packages/six-1.0.dist-info/METADATA": METADATA,
    "/opt/venv/pyvenv.cfg": "home = /usr/local/bin\ninclude-system-site-packages = false\nversion = 3.9.2\n",
    "/opt/venv/bin/python3": "",
    "/opt/venv/lib/python3.9/site-packages/six-2.0.dist-info/METADATA": METADATA.replace("1.0", "2.0"),
    "/opt/conda/conda-meta/history": "",
    "/opt/conda/bin/python3": "",
    "/opt/conda/lib/python3.11/site-packages/six-3.0.dist-info/METADATA": METADATA.replace("1.0", "3.0"),
    "/opt/conda/pkgs/six/site-packages/six-9.0.dist-info/METADATA": METADATA.replace("1.0", "9.0"),
    "/srv/cache/pip/six-8.0.dist-info/METADATA": METADATA.replace("1.0", "8.0"),
}
INTERPRETERS = {
    "/usr/local/bin/python3": interpreter(),
    "/opt/venv/bin/python3": interpreter(),
    "/opt/conda/bin/python3": interpreter("3.11.4", "/opt/conda"),
}


def engine(**variables: str) -> EngineFacts:
    return EngineFacts(image_id="sha256:0", platform="linux/amd64", variables=dict(variables))


def test_every_environment_is_found(tmp_path: Path) -> None:
    evidence = Tree(plant(tmp_path, FILES), interpreters=INTERPRETERS, engine=engine(PATH="/opt/venv/bin")).evidence()
    facts = environments.read(evidence)
    assert [
        (one.id, one.kind, one.on_path, one.python and one.python.version, [six.version for six in one.packages])
        for one in facts.fields["environments"]
    ] == [
        ("/opt/conda", "conda", False, "3.11.4", ["3.0"]),
        ("/opt/venv", "venv", True, "3.9.2", ["2.0"]),
        ("/usr/local", "system", False, "3.9.2", ["1.0"]),
    ]
    assert facts.gaps == ()
    assert facts.coverage.state == "complete"


def test_the_path_decides_which_is_active(tmp_path: Path) -> None:
    plant(tmp_path, FILES)
    for path, chosen in (("/nowhere:/opt/conda/bin:/opt/venv/bin", "/opt/conda"), ("", "/usr/local")):
        variables = {"PATH": path} if path else {}
        evidence = Tree(tmp_path, interpreters=INTERPRETERS, engine=engine(**variables)).evidence()
        found = environments.read(evidence).fields["environments"]
        assert [one.id for one in found if one.on_path] == [chosen]


def test_system_site_is_seen_where_the_environment_says_so(tmp_path: Path) -> None:
    config = "home = /usr/local/bin\nInclude-System-Site-Packages = TRUE\n"
    plant(tmp_path, {**FILES, "/opt/venv/pyvenv.cfg": config})
    found = environments.read(Tree(tmp_path, interpreters=INTERPRETERS).evidence()).fields["environments"]
    (venv,) = (one for one in found if one.id == "/opt/venv")
    assert [(six.version, six.active, six.location) for six in venv.packages] == [
        ("2.0", True, "{prefix}/lib/python3.9/site-packages"),
        ("1.0", False, "{base}/lib/python3.9/site-packages"),
    ]


@pytest.mark.parametrize("collected", [False, True])
def test_a_site_module_that_can_not_be_read(collected: bool, tmp_path: Path) -> None:
    """As compiled alone; evidence that was collected before anybody asked for it has no gap."""
    tree = plant(tmp_path, {**FILES, "/usr/local/lib/python3/dist-packages/x": ""})
    evidence = Tree(tree, interpreters=INTERPRETERS).evidence()
    file = evidence.files["/usr/local/lib/python3.9/site.py"]
    assert file.problem == "ENOENT"
    if not collected:
        del evidence.files["/usr/local/lib/python3.9/site.py"]
    gaps = {(gap.what, gap.where) for gap in environments.read(evidence).gaps}
    assert gaps == ({("environments[/usr/local].search_path", "/usr/local/bin/python3")} if collected else set())


def test_a_virtual_environment_made_of_copies_does_not_pass_for_the_original(tmp_path: Path) -> None:
    plant(tmp_path, FILES)
    programs = {"/opt/venv/bin/python3": interpreter(), "/usr/local/bin/python3.9": interpreter()}
    found = environments.read(Tree(tmp_path, interpreters=programs).evidence()).fields["environments"]
    assert {one.id: one.python.executable for one in found if one.python} == {
        "/usr/local": "/usr/local/bin/python3.9",
        "/opt/venv": "/opt/venv/bin/python3",
    }


def test_no_python_is_a_gap_and_not_an_empty_success(tmp_path: Path) -> None:
    facts = environments.read(Tree(plant(tmp_path, {"/etc/hostname": "x"})).evidence())
    assert facts.fields["environments"] == ()
    assert facts.coverage.state == "partial"
    assert [gap.reason for gap in facts.gaps] == ["no Python environment was found"]


@pytest.mark.parametrize("config", ["", "\n", "no pair", "prompt = x\n", "\xff = \xfe\n"])
def test_a_pyvenv_without_a_home_or_an_interpreter_is_none(config: str, tmp_path: Path) -> None:
    plant(tmp_path, {"/usr/local/bin/python3": "", "/srv/test-data/pyvenv.cfg": config.encode("latin-1")})
    tree = Tree(tmp_path, interpreters={"/usr/local/bin/python3": interpreter()})
    assert [one.id for one in environments.read(tree.evidence()).fields["environments"]] == ["/usr/local"]


def test_a_broken_virtual_environment_is_a_gap(tmp_path: Path) -> None:
    """Its interpreter leads nowhere; its packages are listed all the same."""
    plant(tmp_path, FILES)
    kept = {path: facts for path, facts in INTERPRETERS.items() if "venv" not in path}
    facts = environments.read(Tree(tmp_path, interpreters=kept).evidence())
    (venv,) = (one for one in facts.fields["environments"] if one.id == "/opt/venv")
    assert venv.python is None
    assert [six.version for six in venv.packages] == ["2.0"]
    assert [(gap.what, gap.reason) for gap in facts.gaps] == [
        ("environments[/opt/venv].python", "its bin/python leads nowhere")
    ]


def test_an_interpreter_that_hangs_is_a_gap_and_a_script_is_nothing(tmp_path: Path) -> None:
    plant(tmp_path, FILES)
    odd = {
        "/usr/bin/python3": "no answer in 10 s",
        "/usr/bin/python3.9": "not a program but a script",
        "/usr/bin/python": "does not start (exit code 1)",
    }
    facts = environments.read(Tree(tmp_path, interpreters={**INTERPRETERS, **odd}).evidence())
    assert [(gap.where, gap.reason) for gap in facts.gaps] == [
        ("/usr/bin/python3", "its Python gave no answer in 10 s")
    ]
    assert [note.where for note in facts.notes] == ["/usr/bin/python"]


@pytest.mark.parametrize(
    ("state", "said"),
    [("paused", "docker unpause test"), ("exited", "docker start test"), ("dead", "the container is dead")],
)
def test_a_container_that_does_not_run(state: str, said: str, tmp_path: Path) -> None:
    stopped = EngineFacts(image_id="x", platform="linux/amd64", state=state)
    facts = environments.read(Evidence(Tree(tmp_path, kind="container", engine=stopped).document))
    assert facts.coverage.state == "not-read"
    assert [said in gap.reason for gap in facts.gaps] == [True]


def test_a_want_that_failed_is_a_gap(tmp_path: Path) -> None:
    tree = Tree(plant(tmp_path, FILES), interpreters=INTERPRETERS)
    evidence = tree.evidence()
    evidence.failed.append(({"want": "list"}, "OSError: x"))
    (gap,) = [gap for gap in assemble(evidence).gaps if gap.what == "environments"]
    assert gap.where == HEADER.target
    assert "OSError: x" in gap.reason


def test_the_same_tree_gives_the_same_bytes(tmp_path: Path) -> None:
    """Whatever order the directories have: files written forwards and backwards."""
    written = []
    for name, order in (("a", list(FILES)), ("b", list(reversed(FILES)))):
        plant(tmp_path / name, {path: FILES[path] for path in order})
        evidence = Tree(tmp_path / name, interpreters=dict(reversed(INTERPRETERS.items()))).evidence()
        written.append(codec.encode_json(assemble(evidence)))
    assert written[0] == written[1]
    assert b'"six"' in written[0]


def test_the_home_of_the_targets_user_is_a_named_root(tmp_path: Path) -> None:
    user = "/home/me/.local/lib/python3.9/site-packages"
    plant(tmp_path, {**FILES, f"{user}/seven-1.0.dist-info/METADATA": "Name: seven\nVersion: 1.0\n"})
    evidence = Tree(tmp_path, interpreters=INTERPRETERS, running=process("/home/me")).evidence()
    (system,) = (one for one in environments.read(evidence).fields["environments"] if one.id == "/usr/local")
    assert [(one.name, one.location) for one in system.packages] == [
        ("seven", "{home}/.local/lib/python3.9/site-packages"),
        ("six", "{prefix}/lib/python3.9/site-packages"),
    ]


def test_a_user_whose_home_is_the_root_directory(tmp_path: Path) -> None:
    """As one without an entry in passwd has it."""
    user = "/.local/lib/python3.9/site-packages/seven-1.0.dist-info/METADATA"
    plant(tmp_path, {**FILES, user: "Name: seven\nVersion: 1.0\n"})
    facts = environments.read(Tree(tmp_path, interpreters=INTERPRETERS, running=process("/")).evidence())
    assert facts.gaps == ()
    (system,) = (one for one in facts.fields["environments"] if one.id == "/usr/local")
    assert [(one.name, one.location) for one in system.packages] == [
        ("seven", "/.local/lib/python3.9/site-packages"),
        ("six", "{prefix}/lib/python3.9/site-packages"),
    ]
    without = plant(tmp_path / "other", FILES)
    assert environments.read(Tree(without, interpreters=INTERPRETERS, running=process("/")).evidence()).gaps == ()


@pytest.mark.parametrize("by", ["PYTHONPATH", ".pth"])
def test_an_archive_on_the_search_path_is_a_gap(by: str, tmp_path: Path) -> None:
    """But for the one of the standard library, which holds no distributions."""
    standard = {"/usr/local/lib/python39.zip": "PK", "/usr/local/lib/python3.9/x-1.0.dist-info/METADATA": METADATA}
    plant(tmp_path, {**FILES, **standard, "/opt/app.zip": "PK"})
    variables = {"PYTHONPATH": "/opt/app.zip:/opt/none.zip"} if by == "PYTHONPATH" else {}
    if by == ".pth":
        plant(tmp_path, {"/usr/local/lib/python3.9/site-packages/x.pth": "/opt/app.zip\n/opt/none.zip\n"})
    programs = {"/usr/local/bin/python3": interpreter()}
    facts = environments.read(Tree(tmp_path, interpreters=programs, engine=engine(**variables)).evidence())
    told = {(gap.where, gap.reason) for gap in facts.gaps if gap.what == "environments[/usr/local].search_path"}
    ((where, reason),) = told
    assert where == "/opt/app.zip"
    assert reason.startswith("lies on the search path and is an archive that can't be read")
    (system,) = (one for one in facts.fields["environments"] if one.id == "/usr/local")
    assert "{prefix}/lib/python3.9" in [one.location for one in system.packages]


@pytest.mark.parametrize("folder", ["pkgs", "node_modules", ".git", "conda-meta/pkgs"])
def test_an_environment_is_found_below_a_directory_of_any_name(folder: str, tmp_path: Path) -> None:
    venv = f"/srv/{folder}/app"
    plant(tmp_path, {f"{venv}{path.removeprefix('/opt/venv')}": FILES[path] for path in FILES if "venv" in path})
    evidence = Tree(tmp_path, interpreters={f"{venv}/bin/python3": interpreter()}).evidence()
    found = [one.id for one in environments.read(evidence).fields["environments"]]
    assert (venv in found) == (folder != "conda-meta/pkgs")


def test_the_package_cache_of_conda_is_not_searched(tmp_path: Path) -> None:
    plant(tmp_path, {**FILES, "/opt/conda/pkgs/python-3.11/bin/python3": ""})
    evidence = Tree(tmp_path, interpreters=INTERPRETERS).evidence()
    assert not any("pkgs" in path for paths in evidence.found.values() for path in paths)


@pytest.mark.parametrize(
    ("started_as", "executable", "chosen"),
    [
        ("python3", "/usr/local/bin/python3", "/usr/local"),
        ("python3", "/opt/venv/bin/python3", "/opt/venv"),
        ("python", "/opt/conda/bin/python3", "/opt/conda"),
        ("python3", "/somewhere/else", None),
        ("/opt/conda/bin/python3", "/opt/conda/bin/python3", None),
        (None, "/usr/local/bin/python3", None),
    ],
)
def test_a_wrapper_script_on_the_path_starts_what_it_likes(
    started_as: str | None, executable: str, chosen: str | None, tmp_path: Path
) -> None:
    """What was started through PATH tells; the files don't."""
    running = replace(process(), started_as=started_as, executable=executable)
    programs: dict[str, InterpreterFacts | str] = {**INTERPRETERS, "/shims/python3": "not a program but a script"}
    variables = {"PATH": "/shims:/opt/venv/bin"}
    evidence = Tree(
        plant(tmp_path, FILES), interpreters=programs, engine=engine(**variables), running=running
    ).evidence()
    found = environments.read(evidence).fields["environments"]
    assert [one.id for one in found if one.on_path] == ([chosen] if chosen else [])


def test_pyvenv() -> None:
    raw = b"home = /usr/bin\r\nInclude-System-Site-Packages=TRUE\n# x\nversion_info = 3.11.7.final.0\na = b = c\n"
    assert parse_pyvenv(raw) == {
        "home": "/usr/bin",
        "include-system-site-packages": "TRUE",
        "version_info": "3.11.7.final.0",
        "a": "b = c",
    }
    assert parse_pyvenv(b"") == {}
    assert parse_pyvenv(b"\xff\xfe") == {}


def test_a_denied_directory_is_a_gap_on_a_search_path_and_a_note_elsewhere(tmp_path: Path) -> None:
    evidence = Tree(
        plant(tmp_path, FILES),
        interpreters=INTERPRETERS,
        engine=engine(PYTHONPATH="/opt/secret:/srv/closed/lib"),
    ).evidence()
    assert evidence.walk is not None
    evidence.walk = replace(evidence.walk, denied=("/opt/secret", "/srv/closed", "/var/private"))
    for path in ("/opt/secret", "/srv/closed/lib"):
        evidence.listings[path] = Listing(problem="EACCES")
    facts = environments.read(evidence)
    assert {gap.where for gap in facts.gaps} == {"/opt/secret", "/srv/closed/lib"}
    (note,) = [note for note in facts.notes if "can't be entered" in note.reason]
    assert note.where == "/var/private"
    evidence.walk = replace(evidence.walk, denied=("/opt/secret",))
    assert not [note for note in environments.read(evidence).notes if "can't be entered" in note.reason]


def test_what_may_not_be_entered_or_run_is_told_by_its_outermost_directory(tmp_path: Path) -> None:
    evidence = Tree(plant(tmp_path, FILES), interpreters=INTERPRETERS, engine=engine()).evidence()
    assert evidence.walk is not None
    evidence.walk = replace(evidence.walk, denied=("/srv/app/data", "/srv/app", "/srv/app-data"))
    evidence.interpreters["/opt/closed/bin/python3"] = InterpreterEvidence(real="/opt/real/python3.9", problem="EACCES")
    evidence.files["/opt/way/bin/pyvenv.cfg"] = FileEvidence(problem="EACCES")
    evidence.files["/opt/way/pyvenv.cfg"] = FileEvidence(problem="EACCES")
    evidence.files["/opt/other/pyvenv.cfg"] = FileEvidence(problem="ENOENT")
    assert denied(evidence) == ["/opt/real/python3.9", "/opt/way", "/srv/app-data", "/srv/app"]


def test_a_program_on_path_that_the_probe_may_not_run_is_not_passed_over(tmp_path: Path) -> None:
    """Where the target's own user could; behind the one that was started it makes no difference."""
    for path, known in (("/srv/venv/bin:/usr/bin", []), ("/usr/bin:/srv/venv/bin", ["/usr"])):
        started = replace(process(), executable="/usr/bin/python3", started_as="python3")
        told = {"/usr/bin/python3": interpreter(base="/usr")}
        files: dict[str, str | bytes] = {"/usr/bin/python3": "", "/usr/lib/python3.9/os.py": ""}
        tree = Tree(plant(tmp_path, files), interpreters=told, engine=engine(PATH=path), running=started)
        evidence = tree.evidence()
        evidence.interpreters["/srv/venv/bin/python3"] = InterpreterEvidence(
            real="/srv/venv/bin/python3", problem=OUT_OF_REACH
        )
        facts = environments.read(evidence)
        assert [one.id for one in facts.fields["environments"] if one.on_path] == known
        assert [gap.what for gap in facts.gaps] == ([] if known else ["environments[/srv/venv]"])
        assert not [note for note in facts.notes if "/srv/venv" in note.where]
