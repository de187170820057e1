"""Sample ids as the parties compare them: one spelling (Unicode NFC), UTF-8, all in one buffer.

Ten million Python strings fill 700 MB and cost a microsecond each in every set and sort; here they are a buffer and
offsets, which compiled loops read.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Sequence
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
        bodies, ends, total = [np.empty(0, np.uint8)], [np.zeros(1, np.int64)], 0
        for start in range(0, len(ids), CHUNK):
            body, found = _encoded(ids[start : start + CHUNK].tolist())
            bodies.append(body)
            ends.append(found + total)
            total += len(body)
        return cls(np.concatenate(bodies), np.concatenate(ends))

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

    def digests(self, context: bytes) -> Digests:
        """(n, 2) words: BLAKE2s of each id, 120 bits. ``context`` (a job's attempt) separates runs.

        Two of 2^25 ids have one digest with probability 2^-71. A digest hides nothing: ids can be tried.
        """
        salt = np.frombuffer(hashlib.sha256(context).digest()[:8], np.uint32)
        found = np.empty((len(self), 2), np.uint64)
        for start in range(0, len(self), CHUNK):
            part = self[start : start + CHUNK]
            found[start : start + len(part)] = part._digests(salt)
        found[:, 1] &= DIGEST_MASK
        return found

    def repeated(self) -> int:
        """How many ids are equal to an earlier one."""
        words = np.sort(self.digests(b"")[:, 0])
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
        return positions[np.argsort(rows.view(f"S{rows.shape[1]}").ravel(), kind="stable")]

    def _digests(self, salt: NDArray[np.uint32]) -> Digests:
        messages = np.zeros((len(self), blake2s.BLOCK_BYTES), np.uint8)
        lengths = np.diff(self._starts) - 1
        _copy(self._body, self._starts[:-1], lengths, messages)
        salts = np.tile(salt, (len(self), 1))
        found = blake2s.digests(messages.view(np.uint32), lengths.astype(np.uint32), salts, PERSON)
        for long in np.flatnonzero(lengths > blake2s.BLOCK_BYTES):
            found[long] = np.frombuffer(blake2s.digest(self[int(long)], salt.tobytes(), PERSON), np.uint32)
        return found.view(np.uint64)


def _encoded(ids: list[str]) -> tuple[Bytes, I64]:
    """Bytes of some ids, and where each one ends."""
    text = END.join(ids) + END
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)  # no character composes with END: as if each were normalised alone
    body = np.frombuffer(text.encode(), np.uint8)
    ends = np.flatnonzero(body == 0) + 1
    if len(ends) != len(ids):
        ends = np.cumsum([len(unicodedata.normalize("NFC", sample_id).encode()) + 1 for sample_id in ids])
    return body, ends


@compiled
def _copy(body: Bytes, starts: I64, lengths: I64, rows: Bytes) -> None:  # pragma: no cover
    """The first bytes of every id."""
    for i in range(len(rows)):
        for k in range(min(lengths[i], rows.shape[1])):
            rows[i, k] = body[starts[i] + k]
