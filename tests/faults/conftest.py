"""The command line in this process: a start of its own for each of many small cases would take most of the time."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from reprocheck.cli.main import main
from tests.integration.running import Ran

Command = Callable[..., Ran]


@pytest.fixture
def command(
    tmp_path_factory: pytest.TempPathFactory, capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Command]:
    """Run the command line; it has a cache of its own, and no engine."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere")
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def runs(*words: str | Path) -> Ran:
        said = tuple(os.fspath(word) for word in words)
        capfdbinary.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(said)
        out, err = capfdbinary.readouterr()
        code = ended.value.code
        assert isinstance(code, int)
        return Ran(words=said, code=int(code), stdout=out.decode(), stderr=err.decode(), pid=os.getpid())

    yield runs
    for number, handler in before.items():
        signal.signal(number, handler)
