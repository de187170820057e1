"""``python party_of_toys.py HOME PORT``: a supervised party whose processes cost nothing but behave like Airflow's.

``server`` listens; ``scheduler`` has a worker, which has a task in a process group of its own, and counts as
stuck when there is a file ``stuck`` in the home; ``stubborn`` ignores SIGTERM.
"""

import asyncio
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from airfed import health, supervisor
from airfed.processes import Program
from federatedml.federation.home import PartyHome

HERE = str(Path(__file__).resolve())


def server(port: str) -> None:
    tempfile.mkdtemp(prefix="left")
    with socket.create_server(("127.0.0.1", int(port))) as listening:
        while True:
            peer, _ = listening.accept()
            peer.recv(65536)
            peer.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok")
            peer.close()


def scheduler() -> None:
    task = [sys.executable, "-c", "import os, time; os.setpgid(0, 0); time.sleep(1000)"]
    worker = f"import subprocess; subprocess.run({task!r})"
    subprocess.run([sys.executable, "-c", worker], check=False)


def stubborn() -> None:
    import signal

    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while True:
        time.sleep(1000)


async def stuck(home: PartyHome, _since: float) -> str:
    file = home.root / "stuck"
    while not file.exists():
        await asyncio.sleep(0.02)
    file.unlink()
    return "there was a file"


def toys(port: str) -> list[Program]:
    answers = health.http(f"http://127.0.0.1:{port}/")
    return [
        Program("server", (HERE, "server", port), answers, (int(port),)),
        Program("scheduler", (HERE, "scheduler"), answers, stuck=stuck),
        Program("stubborn", (HERE, "stubborn"), answers),
    ]


if __name__ == "__main__":
    what, *arguments = sys.argv[1:]
    roles = {"server": server, "scheduler": scheduler, "stubborn": stubborn}
    if what in roles:
        roles[what](*arguments)
    else:
        supervisor.GRACE = 0.3
        supervisor.supervise(PartyHome(Path(what)), make=lambda _home: toys(arguments[0]))
