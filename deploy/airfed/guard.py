"""A process that outlives a killed supervisor just long enough to end everything the supervisor started.

``PR_SET_PDEATHSIG`` reaches the direct children only; Airflow and MLflow have children of their own.
"""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

from airfed import proc, state
from federatedml.federation.home import PartyHome


def fork_guard(home: PartyHome) -> tuple[int, int]:
    """Fork the guard; it acts when the returned file is closed, by whatever cause.

    Call it before there are threads or an event loop. The child inherits the lock of the home, so nobody can start the
    party while leftovers are being ended.

    Returns:
        pid of the guard, and the writing end that this process must keep open.
    """
    reading, writing = os.pipe()
    pid = os.fork()
    if pid:
        os.close(reading)
        return pid, writing
    try:
        os.setsid()
        for sign in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(sign, signal.SIG_IGN)
        os.close(writing)
        os.read(reading, 1)  # blocks until the supervisor is gone
        clear_away(home)
    finally:
        os._exit(0)


def clear_away(home: PartyHome) -> None:
    """End what the last supervisor of this home left behind, and remove temporary files. Only under the home's lock."""
    end_sessions(home)
    for path in temporary(home).iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def temporary(home: PartyHome) -> Path:
    """The folder for temporary files of all processes of the party."""
    folder = home.run / "tmp"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder


def end_sessions(home: PartyHome) -> None:
    """End what the last supervisor of this home left behind."""
    for record in state.read(home).records:
        if record.pid:
            proc.kill_session(record.pid, home.root)
