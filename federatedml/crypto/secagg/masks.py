"""Masks of 64-bit words: AES-128 in counter mode, expanded and added in blocks that stay in the cache.

A key serves one mask, so counters start at 0. A range of a mask can be expanded by itself, which is how threads share
the work. Cost per word and mask: 8 bytes of AES and one addition, about 1 ns on a core with AES instructions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from federatedml.compute.engine import Compute
from federatedml.compute.names import lock_free
from federatedml.crypto.ring import Floats, Words
from federatedml.crypto.secagg.fixed import FixedPoint

KEY_BYTES = 16
BLOCK = 1 << 15  # words: 256 KiB
_ZEROS = bytes(8 * BLOCK)


@dataclass(frozen=True, repr=False)
class Mask:
    """One mask: its key, and whether it is subtracted."""

    key: bytes
    subtracted: bool = False

    def inverse(self) -> Mask:
        """What takes the mask away again."""
        return Mask(self.key, not self.subtracted)


def masked_numbers(values: Floats, fixed: FixedPoint, weight: float, masks: Sequence[Mask], compute: Compute) -> Words:
    """Words of ``values * weight`` (n,) plus all masks. ``DataError`` (``FED-761``) for a value out of bounds."""
    kernel = partial(_masked_numbers, fixed=fixed, weight=weight, masks=tuple(masks))
    return _joined(compute.map(kernel, _ranges(values, compute.workers)))


def masked_words(words: Words, masks: Sequence[Mask], compute: Compute) -> Words:
    """Words (n,) plus all masks."""
    kernel = partial(_masked_words, masks=tuple(masks))
    return _joined(compute.map(kernel, _ranges(words, compute.workers)))


@lock_free
def _masked_numbers(part: tuple[int, Floats], fixed: FixedPoint, weight: float, masks: tuple[Mask, ...]) -> Words:
    start, values = part
    out, pads = np.empty(len(values), np.uint64), _Pads(masks, start)
    for at in range(0, len(values), BLOCK):
        block = out[at : at + BLOCK]
        fixed.encode(values[at : at + BLOCK], weight, block)
        pads.add_to(block)
    return out


@lock_free
def _masked_words(part: tuple[int, Words], masks: tuple[Mask, ...]) -> Words:
    start, words = part
    out, pads = np.array(words, np.uint64), _Pads(masks, start)
    for at in range(0, len(words), BLOCK):
        pads.add_to(out[at : at + BLOCK])
    return out


class _Pads:
    """Masks from word ``start`` (a multiple of two) on, block after block."""

    def __init__(self, masks: Sequence[Mask], start: int) -> None:
        counter = (start // 2).to_bytes(16, "big")  # one AES block is two words
        self._streams = [
            (
                Cipher(algorithms.AES128(mask.key), modes.CTR(counter)).encryptor(),
                np.subtract if mask.subtracted else np.add,
            )
            for mask in masks
        ]
        self._pad = np.empty(BLOCK + 2, "<u8")

    def add_to(self, block: Words) -> None:
        """Add the next words of every mask; all blocks but the last have ``BLOCK`` words."""
        pad, zeros = self._pad[: len(block)], _ZEROS if len(block) == BLOCK else bytes(8 * len(block))
        for stream, apply in self._streams:
            stream.update_into(zeros, self._pad.data.cast("B"))
            apply(block, pad, out=block)


def _ranges(array: Floats | Words, workers: int) -> list[tuple[int, Floats | Words]]:
    """Pieces for the workers, with the index at which each starts."""
    blocks = -(-len(array) // BLOCK)
    step = max(1, -(-blocks // workers)) * BLOCK
    return [(start, array[start : start + step]) for start in range(0, len(array), step)] or [(0, array)]


def _joined(pieces: list[Words]) -> Words:
    return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)
