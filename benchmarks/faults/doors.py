"""TCP relays between the parties' gateways: a network that can be cut, without rights on the machine.

While it is cut, nothing goes through and nobody is told: what was sent arrives afterwards, as TCP would repeat it.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from airfed.party import rewrite
from federatedml.federation.home import PartyHome

CHUNK = 1 << 16


@dataclass(frozen=True)
class Door:
    """The way from one party's gateway to another's."""

    caller: str
    callee: str
    port: int
    target: int
    open: asyncio.Event = field(default_factory=asyncio.Event)


class Network:
    """All ways between three gateways, served by a thread of this process."""

    def __init__(self, doors: Sequence[Door]) -> None:
        self._doors = doors
        self._servers: list[asyncio.Server] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def start(self) -> None:
        """Open all doors."""
        self._thread.start()
        self._call(self._serve())

    def stop(self) -> None:
        """Close what is open."""
        self._call(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @contextmanager
    def cut(self, party: str) -> Iterator[None]:
        """Nothing passes between ``party`` and the others."""
        mine = [door for door in self._doors if party in (door.caller, door.callee)]
        for door in mine:
            self._loop.call_soon_threadsafe(door.open.clear)
        try:
            yield
        finally:
            for door in mine:
                self._loop.call_soon_threadsafe(door.open.set)

    def _call(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10.0)

    async def _serve(self) -> None:
        for door in self._doors:
            door.open.set()
            self._servers.append(await asyncio.start_server(partial(_relay, door), "127.0.0.1", door.port))

    async def _end(self) -> None:
        for server in self._servers:
            server.close()
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def network(homes: Mapping[str, PartyHome], base_port: int) -> Network:
    """Let the parties, which do not run yet, know each other by doors at ``base_port`` and above."""
    pairs = [(caller, callee) for caller in homes for callee in homes if caller != callee]
    doors = [
        Door(caller, callee, base_port + at, homes[callee].config.ports.gateway)
        for at, (caller, callee) in enumerate(pairs)
    ]
    for name, home in homes.items():
        ports = {homes[door.callee].config.party_id: door.port for door in doors if door.caller == name}
        peers = {
            party: peer.model_copy(update={"gateway": f"127.0.0.1:{ports[party]}"})
            for party, peer in home.config.peers.items()
        }
        rewrite(home, home.config.model_copy(update={"peers": peers}))
    return Network(doors)


async def _relay(door: Door, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with _closed(writer):
        await door.open.wait()
        with contextlib.suppress(OSError):
            there, back = await asyncio.open_connection("127.0.0.1", door.target)
            with _closed(back):
                await asyncio.gather(_pump(door, reader, back), _pump(door, there, writer))


async def _pump(door: Door, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(CHUNK):
            await door.open.wait()
            writer.write(data)
            await writer.drain()
    await door.open.wait()
    writer.close()


@contextmanager
def _closed(writer: asyncio.StreamWriter) -> Iterator[None]:
    try:
        yield
    finally:
        writer.close()
