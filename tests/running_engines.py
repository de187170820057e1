"""What engines have running."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from contextlib import suppress

import psutil


def running() -> set[str]:
    """Threads and processes of engines in this process."""
    threads = {f"{thread.name} {thread.ident}" for thread in threading.enumerate() if thread.name.startswith("airfed-")}
    children = psutil.Process().children()
    return threads | {f"process {child.pid}" for child in children if "compute.nursery" in " ".join(child.cmdline())}


def processes(pids: Iterable[int]) -> list[psutil.Process]:
    """Those that are there."""
    found = []
    for pid in pids:
        with suppress(psutil.NoSuchProcess):
            found.append(psutil.Process(pid))
    return found


def assert_gone(ended: Iterable[psutil.Process]) -> None:
    """They end; what nobody has collected yet has ended."""
    _, left = psutil.wait_procs(list(ended), timeout=60)
    for process in left:
        with suppress(psutil.NoSuchProcess):
            assert process.status() == psutil.STATUS_ZOMBIE
