"""pip-audit, loaded where nothing else can be taken for a part of it."""

from __future__ import annotations

import os

from reprocheck.errors import TargetError


def load() -> None:
    """Import pip-audit.

    What it rests on runs ``python -m pip --version`` when it is imported, and ``-m`` looks into the working directory
    first: a ``pip.py`` that lies there, beside the files of whoever is audited, would be run. So it is imported from
    the root directory.

    Raises:
        TargetError: it can't be imported.
    """
    here = os.open(".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.chdir("/")
        import pip_audit._service  # noqa: F401 - loaded here, used where it is asked
    except Exception as error:
        why = str(error).partition("\n")[0]
        needs = "it needs pip in the environment of reprocheck, and a home directory (HOME)"
        raise TargetError(f"pip-audit can't be loaded ({why}); {needs}") from error
    finally:
        os.fchdir(here)
        os.close(here)
