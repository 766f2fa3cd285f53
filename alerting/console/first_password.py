"""The one-time password of the first admin, on its way to whoever started the console, and to no log."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Final

from alerting.console.desk import FIRST_USER
from shared.log import get_logger

_REMEDY: Final = f"or make another one: linewarden console users password {FIRST_USER} --config FILE"


def tell_first_password(password: str) -> Path | None:
    """Write it to the terminal, if standard error is one, else into a file for this user alone, whose path is logged.

    Logs are kept, and read by many: a container's standard error is one. Returns the file, which is to go when the
    console ends.
    """
    if sys.stderr.isatty():
        sys.stderr.write(f"console: sign in as {FIRST_USER!r} with the one-time password {password}\n")
        sys.stderr.flush()
        return None
    log = get_logger("console")
    try:
        # Made for its owner alone, whatever the umask.
        opened, path = tempfile.mkstemp(prefix="linewarden-console-", suffix=".password")
        with os.fdopen(opened, "w", encoding="utf-8") as file:
            file.write(f"{password}\n")
    except OSError as error:
        log.warning("console.first_user", name=FIRST_USER, error=str(error), remedy=_REMEDY.removeprefix("or "))
        return None
    log.warning("console.first_user", name=FIRST_USER, one_time_password_in=path, remedy=_REMEDY)
    return Path(path)
