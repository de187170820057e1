"""Sample ids as the parties compare them: one spelling (Unicode NFC), UTF-8.

A view on a table's ids: bytes are made chunk by chunk where they are needed, for compiled loops to read. Ten million
ids as Python's ``bytes``, in sets and sorts, would fill gigabytes and cost microseconds each.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from federatedml.compute.kernels import compiled_unless_little
from federatedml.crypto.psi import blake2s

CHUNK = 2**14
END = "\0"  # stands behind every id; an id may contain it
SORT_WIDTH = 64  # ids up to this length are sorted as rows of bytes
PERSON = b"psi id  "
DIGEST_MASK = np.uint64(2**56 - 1)  # of a digest's second word: its last byte is free for a counter

Bytes = NDArray[np.uint8]
I64 = NDArray[np.int64]
Digests = NDArray[np.uint64]  # (n, 2), 120 bits


def normalised(sample_id: str) -> str:
    """The one spelling under which both parties know an id: Unicode NFC."""
    return unicodedata.normalize("NFC", sample_id)


class IdColumn(Sequence[bytes]):
    """Ids, each as UTF-8 of its normal form.

    Args:
        ids: strings in any spelling.
        rows: (n,) which of them; all by default.
    """

    def __init__(self, ids: NDArray[Any], rows: I64 | None = None) -> None:
        self._ids, self._rows = ids, rows

    def __len__(self) -> int:
        return len(self._ids if self._rows is None else self._rows)

    @overload
    def __getitem__(self, index: int) -> bytes: ...

    @overload
    def __getitem__(self, index: slice) -> IdColumn: ...

    def __getitem__(self, index: int | slice) -> bytes | IdColumn:
        if isinstance(index, slice):
            return IdColumn(self._part(index))
        return normalised(self._ids[index if self._rows is None else self._rows[index]]).encode()

    def text(self) -> NDArray[Any]:
        """(n,) the strings in normal form."""
        whole = self._part(slice(None))
        if all("".join(whole[at : at + CHUNK].tolist()).isascii() for at in range(0, len(whole), CHUNK)):
            return whole
        return np.array([*map(normalised, whole), None], dtype=object)[:-1]

    def digests(self) -> Digests:
        """(n, 2) words: BLAKE2s of each id, 120 bits.

        Two of 2^25 ids have one digest with probability 2^-71, and to find two on purpose takes 2^60 trials. A digest
        hides nothing: ids can be tried. It never leaves its party.
        """
        found = np.empty((len(self), 2), np.uint64)
        for start, chunk in self._chunks():
            found[start : start + len(chunk)] = chunk.digests()
        found[:, 1] &= DIGEST_MASK
        return found

    def repeated(self) -> int:
        """How many ids are equal to an earlier one."""
        words = self.digests()[:, 0].copy()
        words.sort()
        return len(self) - len(set(self)) if (words[1:] == words[:-1]).any() else 0

    def ordered(self) -> I64:
        """(n,) positions in the order of their ids, which is that of code points."""
        if not len(self):
            return np.zeros(0, np.int64)
        first = _Chunk.of(self._part(slice(1)).tolist()).rows(SORT_WIDTH)[0]
        differ = np.zeros(SORT_WIDTH, np.bool_)
        for _, chunk in self._chunks():
            if not chunk.plain or chunk.lengths.max() > SORT_WIDTH:
                return np.array(sorted(range(len(self)), key=self.__getitem__), np.int64)
            differ |= (chunk.rows(SORT_WIDTH) != first).any(axis=0)
        return self._ordered(*np.flatnonzero(differ)[[0, -1]]) if differ.any() else np.arange(len(self))

    def _ordered(self, low: int, high: int) -> I64:
        """The order of ids that differ from byte ``low`` to ``high``, by eight bytes at a time."""
        width = -(-(high + 1 - low) // 8) * 8
        words = np.empty((width // 8, len(self)), np.uint64)
        for start, chunk in self._chunks():
            part = np.ascontiguousarray(chunk.rows(low + width)[:, low:])
            words[:, start : start + len(chunk)] = part.view(">u8").T
        return np.lexsort(words[::-1]) if len(words) > 1 else np.argsort(words[0])

    def _chunks(self) -> Iterator[tuple[int, _Chunk]]:
        for start in range(0, len(self), CHUNK):
            yield start, _Chunk.of(self._part(slice(start, start + CHUNK)).tolist())

    def _part(self, which: slice) -> NDArray[Any]:
        return self._ids[which] if self._rows is None else self._ids[self._rows[which]]


class _Chunk:
    """Some ids in one buffer, a zero byte behind each.

    Attributes:
        lengths: (n,) of each in bytes.
        plain: no id contains a zero byte.
    """

    def __init__(self, body: Bytes, ends: I64, plain: bool) -> None:
        self._body, self.plain = body, plain
        self._starts = np.concatenate([np.zeros(1, np.int64), ends[:-1]])
        self.lengths = ends - self._starts - 1

    @classmethod
    def of(cls, ids: list[str]) -> _Chunk:
        text = END.join(ids) + END
        if not text.isascii():
            text = normalised(text)  # no character composes with END: as if each stood alone
        body = np.frombuffer(text.encode(), np.uint8)
        ends = np.flatnonzero(body == 0) + 1
        plain = len(ends) == len(ids)
        if not plain:
            ends = np.cumsum([len(normalised(sample_id).encode()) + 1 for sample_id in ids])
        return cls(body, ends, plain)

    def __len__(self) -> int:
        return len(self.lengths)

    def rows(self, width: int) -> Bytes:
        """(n, width): the first bytes of each, zero behind its end."""
        rows = np.zeros((len(self), width), np.uint8)
        _copy(self._body, self._starts, self.lengths, rows)
        return rows

    def digests(self) -> Digests:
        """(n, 2) words, 128 bits."""
        messages = self.rows(blake2s.BLOCK_BYTES).view(np.uint32)
        salts = np.zeros((len(self), 2), np.uint32)
        found = blake2s.digests(messages, self.lengths.astype(np.uint32), salts, PERSON)
        for long in np.flatnonzero(self.lengths > blake2s.BLOCK_BYTES):
            whole = self._body[self._starts[long] :][: self.lengths[long]].tobytes()
            found[long] = np.frombuffer(blake2s.digest(whole, bytes(8), PERSON), np.uint32)
        return found.view(np.uint64)


def _copy_each(body: Bytes, starts: I64, lengths: I64, rows: Bytes) -> None:
    for row, start, length in zip(rows, starts, np.minimum(lengths, rows.shape[1]), strict=True):
        row[:length] = body[start : start + length]


@compiled_unless_little(_copy_each, lambda body, starts, lengths, rows: 0.6e-6 * len(rows))
def _copy(body: Bytes, starts: I64, lengths: I64, rows: Bytes) -> None:  # pragma: no cover
    """The first bytes of every id."""
    for i in range(len(rows)):
        for k in range(min(lengths[i], rows.shape[1])):
            rows[i, k] = body[starts[i] + k]
