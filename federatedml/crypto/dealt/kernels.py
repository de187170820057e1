"""Dense products of ring words, compiled, in parts on the party's cores."""

from __future__ import annotations

import numpy as np

from federatedml.compute.engine import SERIAL, Compute
from federatedml.compute.kernels import compiled_unless_little
from federatedml.compute.names import lock_free
from federatedml.crypto.dealt.words import RingWords

TILE = 512  # words of an accumulator's row that stay in the first-level cache beside eight rows of ``right``
CHUNK = 128  # rows of ``right`` that stay in the second-level cache for ``OUTPUTS`` rows of ``out``
OUTPUTS = 32


def product(left: RingWords, right: RingWords, compute: Compute = SERIAL) -> RingWords:
    """``left.T @ right`` modulo the ring: (n, m), (n, k) to (m, k); in parts of the m columns."""
    size = -(-left.shape[1] // max(compute.workers, 1))
    parts = [(left[:, i : i + size], right) for i in range(0, left.shape[1], max(size, 1))]
    return np.concatenate(compute.map(_product, parts))


@lock_free
def _product(part: tuple[RingWords, RingWords]) -> RingWords:
    """One part; the wider of the two operands is the inner loop."""
    left, right = (_read_only(words) for words in part)
    out = np.zeros((left.shape[1], right.shape[1]), left.dtype)
    if right.shape[1] >= left.shape[1]:
        add_product(left, right, out)
        return out
    turned = np.zeros((right.shape[1], left.shape[1]), left.dtype)
    add_product(right, left, turned)
    return np.ascontiguousarray(turned.T)


def _read_only(words: RingWords) -> RingWords:
    """As what comes from the wire is, without a copy: the loop is compiled for one kind of operand."""
    frozen = np.ascontiguousarray(words).view()
    frozen.flags.writeable = False
    return frozen


def _add_product(left: RingWords, right: RingWords, out: RingWords) -> None:
    out += left.T @ right


@compiled_unless_little(_add_product, lambda left, right, out: 1.5e-9 * left.size * right.shape[1])
def add_product(left: RingWords, right: RingWords, out: RingWords) -> None:
    """``out += left.T @ right``, eight rows at a time; C-contiguous arrays of one unsigned type."""
    rows, outputs, width = left.shape[0], left.shape[1], right.shape[1]
    whole = rows - rows % 8
    for start in range(0, width, TILE):
        end = min(width, start + TILE)
        for first in range(0, outputs, OUTPUTS):
            for chunk in range(0, whole, CHUNK):
                for j in range(first, min(outputs, first + OUTPUTS)):
                    o = out[j, start:end]
                    for i in range(chunk, min(chunk + CHUNK, whole), 8):
                        x0, x1, x2, x3 = left[i, j], left[i + 1, j], left[i + 2, j], left[i + 3, j]
                        x4, x5, x6, x7 = left[i + 4, j], left[i + 5, j], left[i + 6, j], left[i + 7, j]
                        v0, v1 = right[i, start:end], right[i + 1, start:end]
                        v2, v3 = right[i + 2, start:end], right[i + 3, start:end]
                        v4, v5 = right[i + 4, start:end], right[i + 5, start:end]
                        v6, v7 = right[i + 6, start:end], right[i + 7, start:end]
                        for q in range(end - start):
                            o[q] += (
                                x0 * v0[q] + x1 * v1[q] + x2 * v2[q] + x3 * v3[q]
                                + x4 * v4[q] + x5 * v5[q] + x6 * v6[q] + x7 * v7[q]
                            )  # fmt: skip
        for i in range(whole, rows):
            for j in range(outputs):
                for q in range(start, end):
                    out[j, q] += left[i, j] * right[i, q]
