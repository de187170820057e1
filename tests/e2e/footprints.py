"""What the processes of a party touch, seen from outside through /proc."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from airfed import proc
from federatedml.federation.home import PartyHome


@dataclass
class Footprints:
    """Trespasses of all parties, collected while a job runs.

    Attributes:
        trespasses: sentences; empty is good.
        looks, sockets: how much was seen, so that a test can tell that it looked at all.
    """

    homes: Mapping[str, PartyHome]
    trespasses: set[str] = field(default_factory=set)
    looks: int = 0
    sockets: int = 0
    _stop: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Footprints:
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(0.5):
            for name, home in self.homes.items():
                for process in proc.of_home(home.root):
                    self._look(name, process.pid)
            self.looks += 1

    def _look(self, name: str, pid: int) -> None:
        foreign = {other: str(home.root) for other, home in self.homes.items() if other != name}
        for path in _files(pid):
            for other, root in foreign.items():
                if path == root or path.startswith(f"{root}/"):
                    self.trespasses.add(f"a process of {name} has {path} of {other} open")
        doors = self._closed_doors(name)
        for port in _peers(pid):
            self.sockets += 1
            if port in doors:
                self.trespasses.add(f"a process of {name} is connected to {doors[port]}")

    def _closed_doors(self, name: str) -> dict[int, str]:
        """Ports of the other parties that are for their own people and processes only."""
        found = {}
        for other, home in self.homes.items():
            if other != name:
                for kind, port in home.config.ports.model_dump().items():
                    if kind not in ("gateway", "serving_grpc"):
                        found[port] = f"{kind} of {other}"
        return found


def _files(pid: int) -> list[str]:
    found = []
    for folder in (Path(f"/proc/{pid}/fd"), Path(f"/proc/{pid}/map_files")):
        try:
            found += [os.readlink(entry) for entry in folder.iterdir()]
        except OSError:  # the process or the file has gone
            continue
    with contextlib.suppress(OSError):
        found.append(os.readlink(f"/proc/{pid}/cwd"))
    return found


def listening(pid: int) -> list[str]:
    """Addresses on which the process listens."""
    return [c.laddr.ip for c in _connections(pid) if c.status == psutil.CONN_LISTEN]


def _peers(pid: int) -> list[int]:
    """Remote ports of the process's connections."""
    return [c.raddr.port for c in _connections(pid) if c.raddr]


def _connections(pid: int) -> list[Any]:
    try:
        return list(psutil.Process(pid).net_connections("tcp"))
    except psutil.Error:  # the process has gone
        return []
