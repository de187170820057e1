"""A message whose pieces come in at the receiving worker: kept as they came or, if it is large, in an unlinked file."""

from __future__ import annotations

import hashlib
import tempfile
from typing import IO

from federated_operators.gateway.frames import Piece
from federatedml.errors import ProtocolError

SMALL = 4 * 2**20  # bytes of a body that never goes to a file: files are few


class Arriving:
    """Pieces of one message.

    Args:
        piece: the first one that came, which need not be the first one of the message.
        chunk: bytes of every piece but the last.
        free: bytes of memory that are left; a larger body goes to a file.
    """

    def __init__(self, piece: Piece, chunk: int, free: int) -> None:
        self.digest, self.count, self._chunk = piece.head.sha256, piece.head.count, chunk
        self.size = self.count * chunk if self.count > 1 else len(piece.data)  # bytes at most
        self.in_order = 0  # so many first pieces are here
        self._hash = hashlib.sha256()
        self._missing = set(range(self.count))
        self._pieces: dict[int, bytes | bytearray | memoryview] = {}
        self._file: IO[bytes] | None = None
        if self.size > max(SMALL, free):
            self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by body or close

    @property
    def in_memory(self) -> int:
        """Bytes that it may take in memory."""
        return 0 if self._file else self.size

    @property
    def complete(self) -> bool:
        """Whether all pieces are here."""
        return not self._missing

    def take(self, piece: Piece) -> bool:
        """Keep a piece; whether it is new.

        Raises:
            ProtocolError: it is not as long as it must be for its place.
        """
        index = piece.head.index
        if index not in self._missing:
            return False
        self._check(index, len(piece.data))
        self._missing.discard(index)
        if self._file:
            self._file.seek(index * self._chunk)
            self._file.write(piece.data)
        else:
            self._pieces[index] = piece.data
        if index == self.in_order:
            self._hash.update(piece.data)
            self._follow()
        return True

    def _check(self, index: int, size: int) -> None:
        if size > self._chunk or (size < self._chunk and index < self.count - 1):
            raise ProtocolError("FED-308", f"piece {index} of {self.count} has {size} bytes", f"{self._chunk} each")

    def _follow(self) -> None:
        """Hash the pieces that came before their turn."""
        self.in_order += 1
        while self.in_order < self.count and self.in_order not in self._missing:
            self._hash.update(self._read(self.in_order))
            self.in_order += 1

    def _read(self, index: int) -> bytes | bytearray | memoryview:
        if self._file is None:
            return self._pieces[index]
        self._file.seek(index * self._chunk)
        return self._file.read(self._chunk)

    def intact(self) -> bool:
        """Whether a complete message is what its digest says."""
        return self._hash.digest() == self.digest

    def body(self) -> bytes:
        """The whole message; it is not kept any longer."""
        if self._file is None:
            found = b"".join(self._pieces[index] for index in range(self.count))
        else:
            self._file.seek(0)
            found = self._file.read()
        self.close()
        return found

    def close(self) -> None:
        """Forget it."""
        self._pieces.clear()
        if self._file:
            self._file.close()
