"""Sample ids as the parties compare them: one spelling (Unicode NFC), UTF-8, all in one buffer.

Ten million Python strings fill 700 MB and cost a microsecond each in every set and sort; here they are a buffer and
offsets, which compiled loops read.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from functools import cached_property
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from federatedml.compute.kernels import compiled
from federatedml.crypto.psi import blake2s

CHUNK = 2**14
END = "\0"  # stands behind every id; an id may contain it
SORT_WIDTH = 64  # ids up to this length are sorted as rows of bytes
PERSON = b"psi id  "
DIGEST_MASK = np.uint64(2**56 - 1)  # of a digest's second word: its last byte is free for a counter

Bytes = NDArray[np.uint8]
I64 = NDArray[np.int64]
Digests = NDArray[np.uint64]  # (n, 2), 120 bits


class IdColumn(Sequence[bytes]):
    """Ids, each as UTF-8 of its normal form.

    Args:
        body: all ids, a zero byte behind each.
        starts: (n + 1,) where each begins, and the end of the last.
    """

    def __init__(self, body: Bytes, starts: I64) -> None:
        self._body, self._starts = body, starts

    @classmethod
    def of(cls, ids: NDArray[Any]) -> IdColumn:
        """The column of (n,) strings in any spelling."""
        body, starts = bytearray(), np.zeros(len(ids) + 1, np.int64)
        for start in range(0, len(ids), CHUNK):
            part = ids[start : start + CHUNK]
            more, ends = _encoded(part.tolist())
            starts[start + 1 : start + 1 + len(part)] = ends + len(body)
            body += more
        return cls(np.frombuffer(body, np.uint8), starts)

    def __len__(self) -> int:
        return len(self._starts) - 1

    @overload
    def __getitem__(self, index: int) -> bytes: ...

    @overload
    def __getitem__(self, index: slice) -> IdColumn: ...

    def __getitem__(self, index: int | slice) -> bytes | IdColumn:
        if isinstance(index, slice):
            start, stop, step = index.indices(len(self))
            if step != 1:
                raise ValueError("a slice of ids has step 1")
            return IdColumn(self._body, self._starts[start : max(start, stop) + 1])
        at = range(len(self))[index]
        return self._body[self._starts[at] : self._starts[at + 1] - 1].tobytes()

    @property
    def ascii(self) -> bool:
        """Whether all ids are ASCII, and so the same as they came."""
        return int(self._body.max(initial=0)) < 128

    @cached_property
    def digests(self) -> Digests:
        """(n, 2) words: BLAKE2s of each id, 120 bits.

        Two of 2^25 ids have one digest with probability 2^-71, and to find two on purpose takes 2^60 trials. A digest
        hides nothing: ids can be tried. It never leaves its party.
        """
        found = np.empty((len(self), 2), np.uint64)
        for start in range(0, len(self), CHUNK):
            part = self[start : start + CHUNK]
            found[start : start + len(part)] = part._digests()
        found[:, 1] &= DIGEST_MASK
        return found

    def repeated(self) -> int:
        """How many ids are equal to an earlier one."""
        words = np.sort(self.digests[:, 0])
        if not (words[1:] == words[:-1]).any():
            return 0
        return len(self) - len(set(self))

    def ordered(self, positions: I64) -> I64:
        """``positions`` in the order of their ids, which is that of code points."""
        lengths = self._starts[positions + 1] - self._starts[positions] - 1
        width = int(lengths.max(initial=1))
        rows = np.zeros((len(positions), min(width, SORT_WIDTH)), np.uint8)
        _copy(self._body, self._starts[positions], lengths, rows)
        if width > SORT_WIDTH or int(np.count_nonzero(rows)) != int(lengths.sum()):  # zero bytes within ids
            keys = [self[position] for position in positions]
            return positions[np.array(sorted(range(len(keys)), key=keys.__getitem__), np.int64)]
        return positions[_row_order(rows)]

    def _digests(self) -> Digests:
        messages = np.zeros((len(self), blake2s.BLOCK_BYTES), np.uint8)
        lengths = np.diff(self._starts) - 1
        _copy(self._body, self._starts[:-1], lengths, messages)
        salts = np.zeros((len(self), 2), np.uint32)
        found = blake2s.digests(messages.view(np.uint32), lengths.astype(np.uint32), salts, PERSON)
        for long in np.flatnonzero(lengths > blake2s.BLOCK_BYTES):
            found[long] = np.frombuffer(blake2s.digest(self[int(long)], bytes(8), PERSON), np.uint32)
        return found.view(np.uint64)


def _row_order(rows: Bytes) -> I64:
    """Which row is first, second, ... in the order of their bytes, which are compared eight at a time."""
    differ = np.flatnonzero((rows != rows[:1]).any(axis=0))
    if not len(differ):
        return np.arange(len(rows))
    used = rows[:, differ[0] : differ[-1] + 1]
    padded = np.zeros((len(rows), -(-used.shape[1] // 8) * 8), np.uint8)
    padded[:, : used.shape[1]] = used
    words = padded.view(">u8").astype(np.uint64)
    return np.lexsort(words.T[::-1]) if words.shape[1] > 1 else np.argsort(words[:, 0])


def _encoded(ids: list[str]) -> tuple[bytes, I64]:
    """Bytes of some ids, and where each one ends."""
    text = END.join(ids) + END
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)  # no character composes with END: as if each were normalised alone
    body = text.encode()
    ends = np.flatnonzero(np.frombuffer(body, np.uint8) == 0) + 1
    if len(ends) != len(ids):
        ends = np.cumsum([len(unicodedata.normalize("NFC", sample_id).encode()) + 1 for sample_id in ids])
    return body, ends


@compiled
def _copy(body: Bytes, starts: I64, lengths: I64, rows: Bytes) -> None:  # pragma: no cover
    """The first bytes of every id."""
    for i in range(len(rows)):
        for k in range(min(lengths[i], rows.shape[1])):
            rows[i, k] = body[starts[i] + k]
