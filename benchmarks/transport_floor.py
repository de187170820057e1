"""Raw gRPC on loopback: what one hop costs without anything of ours. ``python -m benchmarks.transport_floor FOLDER``
is the receiving process; with certificates in FOLDER it speaks mTLS."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc

from benchmarks.processes import Usage
from federatedml.federation.identity import create_ca, dns_name, issue

CHUNK = 2 * 2**20
PARTY = "9999"
_OPTIONS = [("grpc.max_receive_message_length", 4 * 2**20), ("grpc.max_send_message_length", 4 * 2**20)]


async def serve(folder: Path) -> None:
    """Take what comes until the standard input ends; the first line of output is the port."""

    async def take(requests: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
        async for _ in requests:
            pass
        yield b""

    async def echo(requests: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
        async for request in requests:
            yield request

    handlers = {
        name: grpc.stream_stream_rpc_method_handler(method) for name, method in (("take", take), ("echo", echo))
    }
    server = grpc.aio.server(options=_OPTIONS)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("raw", handlers),))
    address = "127.0.0.1:0"
    if (folder / "key").exists():
        ca, certificate, key = ((folder / name).read_bytes() for name in ("ca", "certificate", "key"))
        credentials = grpc.ssl_server_credentials([(key, certificate)], ca, require_client_auth=True)
        port = server.add_secure_port(address, credentials)
    else:
        port = server.add_insecure_port(address)
    await server.start()
    print(port, flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await server.stop(0)


def raw(folder: Path, tls: bool, size: int, pings: int) -> tuple[Usage, Usage]:
    """Both processes' use for ``size`` bytes in one stream, and for ``pings`` messages of 8 bytes there and back."""
    folder.mkdir()
    if tls:
        ca = create_ca(PARTY)
        own = issue(ca, PARTY)
        for name, content in (("ca", ca.certificate), ("certificate", own.certificate), ("key", own.key)):
            (folder / name).write_bytes(content)
    command = [sys.executable, "-m", __name__, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        return asyncio.run(_measured(folder, tls, int(server.stdout.readline()), server.pid, size, pings))


async def _measured(folder: Path, tls: bool, port: int, pid: int, size: int, pings: int) -> tuple[Usage, Usage]:
    address, options = f"127.0.0.1:{port}", [*_OPTIONS, ("grpc.ssl_target_name_override", dns_name(PARTY))]
    if tls:
        ca, certificate, key = ((folder / name).read_bytes() for name in ("ca", "certificate", "key"))
        channel = grpc.aio.secure_channel(address, grpc.ssl_channel_credentials(ca, key, certificate), options)
    else:
        channel = grpc.aio.insecure_channel(address, options)
    async with channel:
        with Usage.of(this=None, server=pid) as bulk:
            call = channel.stream_stream("/raw/take")()
            body = bytes(CHUNK)
            for _ in range(size // CHUNK):
                await call.write(body)
            await call.done_writing()
            await call.read()
        call = channel.stream_stream("/raw/echo")()
        with Usage.of(this=None, server=pid) as small:
            for _ in range(pings):
                await call.write(bytes(8))
                await call.read()
        call.cancel()
    return bulk, small


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1])))
